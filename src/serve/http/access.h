// Who may ask: keys, and what browsers say about where a request comes from.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace shimmy::serve {

// What a request's headers say of who asks; empty: the header is not there.
struct Asker {
    std::string host;           // Host
    std::string origin;         // Origin
    std::string authorization;  // Authorization
    std::string api_key;        // X-Api-Key
};

struct Refusal {
    int status = 403;
    std::string message;
};

class Access {
public:
    // `api_key` empty: none is asked for. `allowed_origins`: of pages and apps beside those of this machine, as
    // browsers send them ("https://ai.example.com", "app://obsidian.md"); "*": of all.
    Access(std::string api_key, std::vector<std::string> allowed_origins);

    // `is_open`: the path needs no key.
    std::optional<Refusal> check(const Asker & asker, bool is_open) const;

    // What Access-Control-Allow-Origin should say; empty: nothing.
    std::string allowed_origin(const std::string & origin) const;

private:
    bool is_allowed_origin(const std::string & origin) const;
    bool is_allowed_host(const std::string & host) const;
    bool has_key(const Asker & asker) const;

    std::string api_key_;
    std::vector<std::string> allowed_origins_;
};

// An origin as given with --allow-origin. Throws UsageError for what no browser sends.
std::string parse_origin(const std::string & text);

}  // namespace shimmy::serve
