#include "lab/http/sse.h"

#include <fmt/format.h>

namespace shimmy::lab {

namespace {

constexpr size_t MAX_DEFECTS = 1000;
constexpr size_t MAX_LINE_BYTES = 1 << 20;

std::string string_at(const Json & object, const char * key) {
    const bool there = object.is_object() && object.contains(key) && object.at(key).is_string();
    return there ? object.at(key).get<std::string>() : "";
}

}  // namespace

std::string choice_text(const Json & choice) {
    if (!choice.is_object()) return "";
    for (const char * part : {"delta", "message"}) {
        if (choice.contains(part))
            return string_at(choice.at(part), "reasoning_content") + string_at(choice.at(part), "content");
    }
    return string_at(choice, "text");
}

void SseReader::feed(std::string_view bytes, double at_ms) {
    buffer_ += bytes;
    for (size_t end = 0; (end = buffer_.find('\n')) != std::string::npos;) {
        std::string text = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        if (text.ends_with('\r')) text.pop_back();
        line(text, at_ms);
    }
    if (buffer_.size() <= MAX_LINE_BYTES) return;
    break_off("a line has no end");
    buffer_.clear();
}

void SseReader::line(std::string_view text, double at_ms) {
    constexpr std::string_view DATA = "data:";
    if (text.empty() || text.starts_with(':')) return;  // the end of an event, or a comment
    if (!text.starts_with(DATA)) return defect(fmt::format("line '{}' is no event", text.substr(0, 40)));
    text.remove_prefix(DATA.size());
    if (text.starts_with(' ')) text.remove_prefix(1);
    event(text, at_ms);
}

void SseReader::event(std::string_view data, double at_ms) {
    if (n_done_ > 0) after_done_ = true;
    if (data == "[DONE]") {
        ++n_done_;
        return;
    }
    ++n_events_;
    const Json json = parse_json(data);  // refuses broken UTF-8 too
    if (!json.is_object()) return defect(fmt::format("event {} does not parse", n_events_));
    if (json.contains("error"))
        return break_off(fmt::format("event {} is an error: {}", n_events_, json_text(json["error"], -1)));
    if (json.contains("usage") && json["usage"].is_object()) usage_ = json["usage"];
    if (json.contains("timings") && json["timings"].is_object()) timings_ = json["timings"];
    const Json choices = json.value("choices", Json::array());
    if (!choices.is_array() || choices.empty()) return;
    const std::string piece = choice_text(choices[0]);
    if (const std::string reason = string_at(choices[0], "finish_reason"); !reason.empty()) finish_reason_ = reason;
    if (piece.empty()) return;
    text_ += piece;
    text_ms_.push_back(at_ms);
}

void SseReader::finish() {
    if (!buffer_.empty()) defect("the last line has no end");
    if (n_done_ == 0) break_off("no [DONE]");
    if (finish_reason_.empty() && failure_.empty()) failure_ = "no finish_reason";
    if (n_done_ > 1) defect(fmt::format("[DONE] came {} times", n_done_));
    if (after_done_) defect("something came after [DONE]");
    const Json tokens = usage_.is_object() ? usage_.value("completion_tokens", Json()) : Json();
    if (!tokens.is_number_unsigned()) return defect("no usage.completion_tokens");
    if (text_ms_.size() > tokens.get<size_t>())
        defect(fmt::format("{} events with text for {} tokens", text_ms_.size(), tokens.get<size_t>()));
}

void SseReader::break_off(const std::string & what) {
    if (failure_.empty()) failure_ = what;
    defect(what);
}

void SseReader::defect(const std::string & what) {
    if (defects_.size() == MAX_DEFECTS) return;
    defects_.push_back(what);
}

}  // namespace shimmy::lab
