#include "serve/request_log.h"

#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace shimmy::serve {

namespace {

double ms_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// The first token of an answer that is sent whole came before its decoding.
std::string figures(const std::string & timings, double first_part_ms, bool streamed) {
    const Json json = Json::parse(timings, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return "no answer";
    const double prefill_ms = json.value("prompt_ms", 0.0);
    const double decode_ms = json.value("predicted_ms", 0.0);
    const double ttft_ms = std::max(prefill_ms, streamed ? first_part_ms : first_part_ms - decode_ms);
    return fmt::format("queue {:.0f} ms, TTFT {:.0f} ms, prefill {} tokens in {:.0f} ms, decode {} tokens in {:.0f} ms",
                       ttft_ms - prefill_ms, ttft_ms, json.value("prompt_n", 0), prefill_ms,
                       json.value("predicted_n", 0), decode_ms);
}

}  // namespace

RequestLog::RequestLog(bool enabled, std::string path, std::string model)
    : enabled_(enabled), path_(std::move(path)), model_(std::move(model)), start_(std::chrono::steady_clock::now()) {}

RequestLog::~RequestLog() {
    if (!enabled_) return;
    fmt::print(stderr, "{} {}: {}, total {:.0f} ms\n", path_, model_, figures(timings_, first_part_ms_, n_parts_ > 1),
               ms_since(start_));
}

void RequestLog::saw(const std::string & part) {
    if (!enabled_ || part.empty()) return;
    if (n_parts_++ == 0) first_part_ms_ = ms_since(start_);
    constexpr std::string_view KEY = "\"timings\":";
    const size_t key = part.rfind(KEY);
    if (key == std::string::npos) return;
    const size_t begin = key + KEY.size();
    timings_ = part.substr(begin, part.find('}', begin) + 1 - begin);  // it holds no other object
}

}  // namespace shimmy::serve
