#include "serve/http/access.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text/text.h"
#include "serve/listen/address.h"

#include <fmt/format.h>

#include <strings.h>

#include <algorithm>
#include <string_view>

namespace shimmy::serve {

namespace {

// In a time that tells nothing about where the two differ: both are hashed, and every byte of the hashes is looked at.
bool same_secret(const std::string & a, const std::string & b) {
    const std::string hash_a = sha256_hex(a);
    const std::string hash_b = sha256_hex(b);
    unsigned difference = 0;
    for (size_t i = 0; i < hash_a.size(); ++i)
        difference |= static_cast<unsigned char>(hash_a[i]) ^ static_cast<unsigned char>(hash_b[i]);
    return difference == 0;
}

// The host of "host", "host:port", "[v6]" and "[v6]:port", in lower case; empty for what is none of them.
std::string host_of(const std::string & authority) {
    if (authority.starts_with('[')) {
        const size_t end = authority.find(']');
        return end == std::string::npos ? "" : lower(authority.substr(1, end - 1));
    }
    if (std::count(authority.begin(), authority.end(), ':') > 1) return "";
    std::string host = lower(authority.substr(0, authority.find(':')));
    if (host.ends_with('.')) host.pop_back();
    return host;
}

struct Origin {
    std::string scheme;
    std::string authority;
};

Origin split_origin(const std::string & origin) {
    const size_t scheme = origin.find("://");
    if (scheme == std::string::npos) return {};
    return {lower(origin.substr(0, scheme)), origin.substr(scheme + 3)};
}

bool is_web(const Origin & origin) {
    return origin.scheme == "http" || origin.scheme == "https";
}

bool is_local_name(const std::string & host) {
    return is_loopback_host(host) || host.ends_with(".localhost");
}

// A page of this machine, whatever its port: "http://localhost:3000".
bool is_local_origin(const std::string & origin) {
    const Origin parts = split_origin(origin);
    return is_web(parts) && is_local_name(host_of(parts.authority));
}

// Names that no public name server gives out, so that no web site can have them point here (DNS rebinding): those of
// one word, and of the domains that are kept for local networks.
bool is_private_name(const std::string & host) {
    if (host.find('.') == std::string::npos) return !host.empty();
    for (const char * domain : {".local", ".internal", ".lan", ".home.arpa", ".svc"}) {
        if (host.ends_with(domain)) return true;
    }
    return false;
}

}  // namespace

std::string parse_origin(const std::string & text) {
    if (text == "*" || text == "null") return text;
    const Origin parts = split_origin(text);
    if (parts.scheme.empty() || parts.authority.find_first_of("/?# ") != std::string::npos)
        fail_usage("--allow-origin '{}' is no origin; one looks like https://ai.example.com or app://obsidian.md",
                   text);
    return parts.scheme + "://" + lower(parts.authority);
}

Access::Access(std::string api_key, std::vector<std::string> allowed_origins)
    : api_key_(std::move(api_key)), allowed_origins_(std::move(allowed_origins)) {}

bool Access::is_allowed_origin(const std::string & origin) const {
    return std::any_of(allowed_origins_.begin(), allowed_origins_.end(), [&](const std::string & allowed) {
        return allowed == "*" || ::strcasecmp(allowed.c_str(), origin.c_str()) == 0;
    });
}

bool Access::is_allowed_host(const std::string & authority) const {
    const std::string host = host_of(authority);
    if (is_ip_literal(host) || is_local_name(host) || is_private_name(host)) return true;
    return std::any_of(allowed_origins_.begin(), allowed_origins_.end(), [&](const std::string & allowed) {
        return allowed == "*" || (!host.empty() && host_of(split_origin(allowed).authority) == host);
    });
}

// "Authorization: Bearer KEY", or Anthropic's "X-Api-Key: KEY"; either is enough.
bool Access::has_key(const Asker & asker) const {
    constexpr std::string_view SCHEME = "bearer ";
    const bool bearer = asker.authorization.size() > SCHEME.size() &&
                        ::strncasecmp(asker.authorization.data(), SCHEME.data(), SCHEME.size()) == 0 &&
                        same_secret(asker.authorization.substr(SCHEME.size()), api_key_);
    return bearer || same_secret(asker.api_key, api_key_);
}

std::optional<Refusal> Access::check(const Asker & asker, bool is_open) const {
    if (!api_key_.empty()) {
        if (is_open || has_key(asker)) return std::nullopt;
        return Refusal{401, "the key is missing or wrong (Authorization: Bearer KEY)"};
    }
    // Without a key, any page that the user visits could make requests, WebSockets above all, that it cannot read; and
    // read them under a name of its own that it has point to this machine.
    if (!asker.host.empty() && !is_allowed_host(asker.host))
        return Refusal{
            403, fmt::format("this server is not known as {} (--allow-origin https://{})", asker.host, asker.host)};
    if (asker.origin.empty() || is_local_origin(asker.origin) || is_allowed_origin(asker.origin)) return std::nullopt;
    const Origin parts = split_origin(asker.origin);
    const bool own = is_web(parts) && lower(parts.authority) == lower(asker.host);
    if (own) return std::nullopt;
    return Refusal{403, fmt::format("pages of {} may not use this server (--allow-origin)", asker.origin)};
}

std::string Access::allowed_origin(const std::string & origin) const {
    return !origin.empty() && (is_local_origin(origin) || is_allowed_origin(origin)) ? origin : "";
}

}  // namespace shimmy::serve
