#include "serve/request_log.h"

#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace shimmy::serve {

namespace {

double queue_ms(const Json & timings, double ttft_ms) {
    return std::max(0.0, ttft_ms - timings.value("prompt_ms", 0.0));
}

std::string figures(const Json & timings, double ttft_ms) {
    if (!timings.is_object()) return "no answer";
    return fmt::format("queue {:.0f} ms, TTFT {:.0f} ms, prefill {} tokens in {:.0f} ms, decode {} tokens in {:.0f} ms",
                       queue_ms(timings, ttft_ms), ttft_ms, timings.value("prompt_n", 0),
                       timings.value("prompt_ms", 0.0), timings.value("predicted_n", 0),
                       timings.value("predicted_ms", 0.0));
}

}  // namespace

RequestLog::RequestLog(bool enabled, bool tell, std::string path, std::string model, Clock::time_point accepted)
    : enabled_(enabled), tell_(tell), path_(std::move(path)), model_(std::move(model)), accepted_(accepted) {}

RequestLog::~RequestLog() {
    if (!enabled_) return;
    fmt::print(stderr, "{} {}: {}, total {:.0f} ms\n", path_, model_, figures(timings_, ttft_ms_), ms());
}

double RequestLog::ms() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - accepted_).count();
}

void RequestLog::saw_whole(std::string & document) {
    first_part_ms_ = ms();
    read_timings(document, /*streamed=*/false);
}

void RequestLog::saw_part(std::string & events) {
    if (events.empty()) return;
    if (first_part_ms_ == 0.0) first_part_ms_ = ms();
    read_timings(events, /*streamed=*/true);
}

// A quote inside of JSON text has a backslash before it: what looks like this key is one.
void RequestLog::read_timings(std::string & text, bool streamed) {
    if (!enabled_ && !tell_) return;
    constexpr std::string_view KEY = "\"timings\":{";
    const size_t key = text.rfind(KEY);
    if (key == std::string::npos) return;
    const size_t begin = key + KEY.size();
    timings_ = Json::parse(text.substr(begin - 1, text.find('}', begin) + 2 - begin),  // it holds no other object
                           nullptr, /*allow_exceptions=*/false);
    if (!timings_.is_object()) return;
    // The first token of an answer that is sent whole came before its decoding.
    ttft_ms_ = std::max(timings_.value("prompt_ms", 0.0),
                        streamed ? first_part_ms_ : first_part_ms_ - timings_.value("predicted_ms", 0.0));
    if (!tell_) return;
    text.insert(begin, fmt::format("\"queue_ms\":{:.3f},\"ttft_ms\":{:.3f},", queue_ms(timings_, ttft_ms_), ttft_ms_));
}

}  // namespace shimmy::serve
