#include "lab/http/http_client.h"

#include "base/error.h"
#include "base/http/http.h"

#include <chrono>

namespace shimmy::lab {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t MAX_ANSWER_BYTES = 64 << 20;
constexpr std::chrono::seconds SILENCE{600};  // without a byte: a model of this size answers, or hangs

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Without a proxy that the environment may name.
bool is_loopback(const std::string & url) {
    const size_t slashes = url.find("://");
    const std::string host = slashes == std::string::npos ? url : url.substr(slashes + 3);
    return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

std::string error_of(const std::string & body, long status) {
    const Json json = parse_json(body);
    const Json::json_pointer message("/error/message");
    const bool told = json.is_object() && json.contains(message) && json.at(message).is_string();
    return fmt::format("HTTP {}{}", status, told ? ": " + json.at(message).get<std::string>() : "");
}

void take_whole(HttpAnswer & answer, const std::string & body) {
    answer.document = parse_json(body);
    const Json::json_pointer choice("/choices/0");
    if (!answer.document.is_object() || !answer.document.contains(choice)) {
        answer.error = "the answer has no choice";
    } else if (!answer.document.at(choice).is_object() ||
               !answer.document.at(choice).value("finish_reason", Json()).is_string()) {
        answer.error = "the answer broke off: no finish_reason";
    }
    answer.ttft_ms = answer.total_ms;
}

void take_stream(HttpAnswer & answer) {
    answer.events.finish();
    if (answer.events.text_ms().empty() && answer.events.finish_reason().empty())
        answer.error = answer.events.defects().empty() ? "the stream held no text" : answer.events.defects().front();
    if (answer.error.empty() && !answer.events.failure().empty())
        answer.error = "the answer broke off: " + answer.events.failure();
    answer.ttft_ms = answer.events.text_ms().empty() ? answer.total_ms : answer.events.text_ms().front();
}

}  // namespace

HttpAnswer HttpClient::post(const std::string & path, const Json & body, const std::function<bool()> & stop,
                            std::chrono::milliseconds at_most) const {
    HttpAnswer answer;
    const bool stream = body.value("stream", false);
    http::Request request{.method = "POST", .url = base_url_ + path};
    request.headers = {"Content-Type: application/json"};
    request.body = json_text(body, -1);
    request.stop = stop;
    request.token = api_key_;
    request.direct = is_loopback(base_url_);
    request.patience = SILENCE;
    request.at_most = at_most;
    const Clock::time_point start = Clock::now();
    if (stream) {
        request.on_body = [&, n_bytes = size_t{0}](std::string_view bytes) mutable {
            n_bytes += bytes.size();
            if (n_bytes > MAX_ANSWER_BYTES) fail("the answer is larger than any that it could be");
            answer.events.feed(bytes, ms_since(start));
        };
    }
    http::Response response;
    try {
        response = http::send(request);
    } catch (const Interrupted &) {
        if (!stop) throw;
        response.stopped = true;  // whoever stops clients looks for that
    } catch (const Error & error) {
        answer.error = error.what();
    }
    answer.total_ms = ms_since(start);
    answer.stopped = response.stopped;
    answer.timed_out = response.timed_out;
    if (answer.timed_out)
        answer.error = fmt::format("no end within {:g} s", static_cast<double>(at_most.count()) / 1000.0);
    if (answer.stopped || !answer.error.empty()) return answer;
    if (response.status != 200) {
        answer.error = error_of(response.body, response.status);
    } else {
        stream ? take_stream(answer) : take_whole(answer, response.body);
    }
    return answer;
}

Json HttpClient::get(const std::string & path) const {
    const http::Response response =
        http::send({.url = base_url_ + path, .token = api_key_, .direct = is_loopback(base_url_)});
    if (response.status != 200) fail("{}: {}", response.url, error_of(response.body, response.status));
    return parse_json(response.body);
}

}  // namespace shimmy::lab
