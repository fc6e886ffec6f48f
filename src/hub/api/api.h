// Calls to the Hub's API: retried, with the token, and errors that say what to do.
#pragma once

#include "base/json.h"
#include "hub/http/environment.h"
#include "hub/http/retry.h"

#include <string>
#include <vector>

namespace shimmy::hub {

// Throws UsageError if it is not what the Hub takes for "USER/NAME". `what` begins the message: "--repo".
void check_repo_id(const std::string & repo, const std::string & what);

class Api {
public:
    // Throws Error if HF_HUB_OFFLINE is set. `max_waits`: how often a call is tried again.
    explicit Api(Environment environment, Note note = {}, int max_waits = Backoff::MAX_WAITS);

    const Environment & environment() const { return environment_; }
    const Note & note() const { return note_; }

    // `path` begins with '/', or is a whole URL that the Hub gave; the token goes to the Hub's own host only. Any
    // status is returned. Throws TransportError when tries are used up.
    Response get(const std::string & path) const;
    Response head(const std::string & path) const;  // follows redirects within the host only
    Response post(const std::string & path, const std::string & body, const std::string & content_type) const;
    Response post_json(const std::string & path, const Json & body) const;

    // The same, unsent, for callers that retry by rules of their own.
    Request request(const std::string & method, const std::string & path) const;

    // Throws the Error of an answer that is none of the expected ones. `what`: whom or what it was about.
    [[noreturn]] void fail_answer(const Response & response, const std::string & what) const;

    // The answer's document; fail_answer() unless it is a 2xx with one.
    Json document(const Response & response, const std::string & what) const;

private:
    Environment environment_;
    Note note_;
    int max_waits_;
};

// Runs `work`, and turns what a JSON answer of an unexpected form throws into an Error that says so.
template <typename Work>
auto checking_answers(const Work & work) {
    try {
        return work();
    } catch (const Json::exception & error) {
        fail("unexpected response from the Hub ({})", error.what());
    }
}

// Answer of POST whose body is git-lfs's own JSON, which has a type of its own.
inline constexpr const char * LFS_JSON_TYPE = "application/vnd.git-lfs+json";

// What the server says is wrong, or "".
std::string server_message(const Response & response);

}  // namespace shimmy::hub
