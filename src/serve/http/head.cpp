#include "serve/http/head.h"

#include <fmt/format.h>

#include <strings.h>

#include <algorithm>
#include <cctype>

namespace shimmy::serve {

namespace {

constexpr size_t MAX_LENGTH_DIGITS = 15;  // of Content-Length: no body is so large

bool is_token(std::string_view text) {
    constexpr std::string_view OTHERS = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](unsigned char c) {
        return std::isalnum(c) != 0 || OTHERS.find(static_cast<char>(c)) != std::string_view::npos;
    });
}

bool is_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
}

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

// A path, a whole address (for proxies), or the server itself.
bool is_target(std::string_view text) {
    return text.starts_with('/') || text == "*" || text.starts_with("http://") || text.starts_with("https://");
}

// Lines of the head, checked one after another.
class HeadCheck {
public:
    std::optional<std::string> request_line(std::string_view line) {
        const size_t method_end = line.find(' ');
        const size_t target_end = line.rfind(' ');
        if (method_end == std::string_view::npos || target_end <= method_end) return "the request line has three parts";
        const std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);
        const std::string_view version = line.substr(target_end + 1);
        if (!is_token(line.substr(0, method_end))) return "the method is no word";
        if (target.empty() || target.find(' ') != std::string_view::npos || has_control(target))
            return "the path holds what it may not";
        if (!is_target(target)) return "the path does not begin with /";
        if (version != "HTTP/1.1" && version != "HTTP/1.0") return "only HTTP/1.1 and HTTP/1.0 are spoken here";
        is_http_1_0_ = version == "HTTP/1.0";
        return std::nullopt;
    }

    std::optional<std::string> header(std::string_view line) {
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return "a header has no proper name";
        const std::string_view name = line.substr(0, colon);
        const std::string_view value = trimmed(line.substr(colon + 1));
        if (has_control(value)) return fmt::format("{} holds control characters", name);
        if (same(name, "Host")) ++n_hosts_;
        if (same(name, "Content-Length")) {
            if (++n_lengths_ > 1) return "there are two lengths of the body";
            if (!is_digits(value) || value.size() > MAX_LENGTH_DIGITS) return "the length of the body is no number";
        }
        if (same(name, "Transfer-Encoding")) {
            if (++n_encodings_ > 1 || !same(value, "chunked")) return "the only transfer encoding is chunked";
        }
        return std::nullopt;
    }

    std::optional<std::string> whole() const {
        if (n_encodings_ > 0 && (n_lengths_ > 0 || is_http_1_0_)) return "the body has a length and is chunked, too";
        if (n_hosts_ > 1 || (n_hosts_ == 0 && !is_http_1_0_)) return "there must be one Host";
        return std::nullopt;
    }

private:
    bool is_http_1_0_ = false;
    int n_hosts_ = 0;
    int n_lengths_ = 0;
    int n_encodings_ = 0;
};

}  // namespace

std::optional<std::string> head_fault(std::string_view head) {
    constexpr std::string_view END = "\r\n";
    HeadCheck check;
    bool first = true;
    while (true) {
        const size_t end = head.find(END);
        if (end == std::string_view::npos) return "the head does not end";
        const std::string_view line = head.substr(0, end);
        head.remove_prefix(end + END.size());
        if (line.empty() && !first) return check.whole();
        if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
            return "a line ends in the middle";
        if (const auto fault = first ? check.request_line(line) : check.header(line)) return fault;
        first = false;
    }
}

}  // namespace shimmy::serve
