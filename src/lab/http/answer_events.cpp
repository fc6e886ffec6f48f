#include "lab/http/answer_events.h"

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

void AnswerEvents::feed(std::string_view bytes, double at_ms) {
    lines_.feed(bytes, [&](const SseLine & line) {
        if (line.kind == SseLine::Kind::data) event(line.text, at_ms);
        if (line.kind == SseLine::Kind::other) defect(fmt::format("line '{}' is no event", line.text.substr(0, 40)));
    });
    if (lines_.unread().size() <= MAX_LINE_BYTES) return;
    break_off("a line has no end");
    lines_.forget();
}

void AnswerEvents::event(std::string_view data, double at_ms) {
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

void AnswerEvents::finish() {
    if (!lines_.unread().empty()) defect("the last line has no end");
    if (n_done_ == 0) break_off("no [DONE]");
    if (finish_reason_.empty() && failure_.empty()) failure_ = "no finish_reason";
    if (n_done_ > 1) defect(fmt::format("[DONE] came {} times", n_done_));
    if (after_done_) defect("something came after [DONE]");
    const Json tokens = usage_.is_object() ? usage_.value("completion_tokens", Json()) : Json();
    if (!tokens.is_number_unsigned()) return defect("no usage.completion_tokens");
    if (text_ms_.size() > tokens.get<size_t>())
        defect(fmt::format("{} events with text for {} tokens", text_ms_.size(), tokens.get<size_t>()));
}

void AnswerEvents::break_off(const std::string & what) {
    if (failure_.empty()) failure_ = what;
    defect(what);
}

void AnswerEvents::defect(const std::string & what) {
    if (defects_.size() == MAX_DEFECTS) return;
    defects_.push_back(what);
}

}  // namespace shimmy::lab
