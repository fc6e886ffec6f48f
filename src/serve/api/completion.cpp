#include "serve/api/completion.h"

#include "serve/bounds/media.h"
#include "serve/bounds/request_bounds.h"

namespace shimmy::serve {

namespace {

const char * route_of(const Json & body) {
    return body.contains("messages") ? "/v1/chat/completions" : "/v1/completions";
}

Json & streamed(Json & body) {
    require_bounded(body);
    if (body.contains("messages")) require_messages(body);
    require_media(body);
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    return body;
}

Piece piece_of(const Json & event) {
    Piece piece;
    if (event.contains("choices") && !event["choices"].empty()) {
        const Json & choice = event["choices"][0];
        const Json delta = choice.value("delta", Json::object());
        piece.text = choice.contains("text") ? string_of(choice, "text", "") : string_of(delta, "content", "");
        piece.reasoning = string_of(delta, "reasoning_content", "");
        piece.tool_calls = delta.value("tool_calls", Json());
        piece.finish_reason = string_of(choice, "finish_reason", "");
    }
    piece.usage = event.value("usage", Json());
    piece.timings = event.value("timings", Json());
    return piece;
}

}  // namespace

Completion::Completion(Lease lease, const std::string & path, Json body, const StopCheck & should_stop)
    : conversation_(std::move(lease), path, route_of(body), {}, to_text(streamed(body)), /*tell_timings=*/true,
                    should_stop) {
    conversation_.head();
}

std::optional<Piece> Completion::next() {
    while (pieces_.empty()) {
        if (ended_) return std::nullopt;
        const std::optional<std::string> part = conversation_.next();
        ended_ = !part;
        if (!part) continue;
        for (const std::string & data : events_.feed(*part))
            read_event(data);
    }
    Piece piece = std::move(pieces_.front());
    pieces_.pop_front();
    return piece;
}

void Completion::read_event(const std::string & data) {
    if (data != "[DONE]") pieces_.push_back(piece_of(Json::parse(data)));
}

void add_tool_calls(Json & calls, const Json & deltas) {
    if (!deltas.is_array()) return;
    if (!calls.is_array()) calls = Json::array();
    for (const Json & delta : deltas) {
        const auto index = static_cast<size_t>(integer_of(delta, "index", 0));
        if (index >= calls.size()) calls.push_back({{"id", ""}, {"name", ""}, {"arguments", ""}});
        Json & call = calls.back();
        const Json function = delta.value("function", Json::object());
        if (delta.contains("id")) call["id"] = string_of(delta, "id", "");
        if (function.contains("name")) call["name"] = string_of(function, "name", "");
        call["arguments"] = string_of(call, "arguments", "") + string_of(function, "arguments", "");
    }
}

Piece read_whole(Completion & completion) {
    Piece whole;
    while (std::optional<Piece> piece = completion.next()) {
        whole.text += piece->text;
        whole.reasoning += piece->reasoning;
        if (!piece->finish_reason.empty()) whole.finish_reason = piece->finish_reason;
        add_tool_calls(whole.tool_calls, piece->tool_calls);
        if (!piece->usage.is_null()) whole.usage = piece->usage;
        if (!piece->timings.is_null()) whole.timings = piece->timings;
    }
    return whole;
}

}  // namespace shimmy::serve
