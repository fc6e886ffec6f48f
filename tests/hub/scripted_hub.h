// A Hub whose answers the test writes one by one: what a real one says at a bad moment.
#pragma once

#include "base/error.h"
#include "base/files.h"
#include "hub/api/api.h"
#include "local_server.h"

#include <deque>
#include <map>

namespace shimmy::hub {

struct Answer {
    int status = 200;
    std::string body = "{}";
    std::map<std::string, std::string> headers = {};
};

inline Answer json_answer(const Json & body, int status = 200) {
    return {status, body.dump(), {}};
}

class ScriptedHub {
public:
    ScriptedHub()
        : server_([this](const auto & request, httplib::Response & response) { answer(request, response); }) {}

    // Answers to "METHOD /path" (with its query) in turn; the last one stays.
    void in_turn(const std::string & call, const std::vector<Answer> & answers) {
        const std::lock_guard lock(mutex_);
        answers_[call] = {answers.begin(), answers.end()};
    }
    void on(const std::string & call, const Answer & answer) { in_turn(call, {answer}); }

    Environment environment(const std::string & token = "hf_secret") const {
        Environment environment;
        environment.endpoint = server_.url();
        environment.token = token;
        return environment;
    }
    // Tries once, unless told otherwise.
    Api api(int max_waits = 0, const Note & note = {}) const { return Api(environment(), note, max_waits); }

    std::string url() const { return server_.url(); }
    std::vector<LocalServer::Request> requests() const { return server_.requests(); }
    // "GET /a", "POST /b"
    std::vector<std::string> calls() const {
        std::vector<std::string> calls;
        for (const auto & request : server_.requests())
            calls.push_back(request.method + " " + request.path);
        return calls;
    }
    size_t n_calls(const std::string & call) const {
        const auto all = calls();
        return static_cast<size_t>(std::count(all.begin(), all.end(), call));
    }

private:
    void answer(const LocalServer::Request & request, httplib::Response & response) {
        const std::lock_guard lock(mutex_);
        const std::string method =
            request.method == "HEAD" ? "GET" : request.method;  // the body is left out by the server
        const auto found = answers_.find(method + " " + request.path);
        if (found == answers_.end()) {
            response.status = 404;
            return;
        }
        const Answer now = found->second.front();
        if (found->second.size() > 1) found->second.pop_front();
        response.status = now.status;
        for (const auto & [name, value] : now.headers)
            response.set_header(name, value);
        response.set_content(now.body, "application/json");
    }

    std::mutex mutex_;
    std::map<std::string, std::deque<Answer>> answers_;
    LocalServer server_;
};

// The message of the Error that `work` throws; "" if it throws none.
template <typename Work>
std::string error_of(const Work & work) {
    try {
        work();
    } catch (const Error & error) {
        return error.what();
    }
    return "";
}

}  // namespace shimmy::hub
