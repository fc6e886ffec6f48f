#include "serve/completion.h"

namespace shimmy::serve {

namespace {

// {"error": {"code", "message"}} from llama.cpp.
[[noreturn]] void throw_error(const Json & document, int fallback_status) {
    const Json error = document.value("error", Json::object());
    throw HttpError(integer_of(error, "code", fallback_status), string_of(error, "message", "the request failed"));
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

Completion::Completion(Lease lease, const std::string & path, Json body, std::function<bool()> should_stop)
    : lease_(std::move(lease)),
      should_stop_(std::move(should_stop)),
      ticket_(lease_->watch(), should_stop_, /*keeps_marks=*/true),
      request_{{}, {}, "", "", "", {}, should_stop_},
      log_(lease_->logs_requests(), /*tell=*/true, path, lease_.name(), lease_.asked()) {
    const bool chat = body.contains("messages");
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    request_.path = chat ? "/v1/chat/completions" : "/v1/completions";
    request_.body = ticket_.marked(body.dump(-1, ' ', false, Json::error_handler_t::replace));
    const server_routes & routes = lease_->routes();
    answer_ = (chat ? routes.post_chat_completions : routes.post_completions_oai)(request_);
    if (answer_->is_stream() || should_stop_()) return;
    throw_error(Json::parse(answer_->data, nullptr, /*allow_exceptions=*/false), answer_->status);
}

std::optional<Piece> Completion::next() {
    while (pieces_.empty()) {
        if (ended_ || !answer_->is_stream()) return std::nullopt;
        ended_ = !read_more();
    }
    Piece piece = std::move(pieces_.front());
    pieces_.pop_front();
    return piece;
}

bool Completion::read_more() {
    std::string chunk;
    const bool more = answer_->next(chunk);
    log_.saw_part(chunk);
    unread_ += chunk;
    size_t start = 0;
    for (size_t end = 0; (end = unread_.find("\n\n", start)) != std::string::npos; start = end + 2)
        read_event(unread_.substr(start, end - start));
    unread_.erase(0, start);
    return more;
}

// "data: {…}"; comments, which keep a connection alive, say nothing.
void Completion::read_event(const std::string & line) {
    constexpr std::string_view PREFIX = "data: ";
    if (!line.starts_with(PREFIX)) return;
    const std::string data = line.substr(PREFIX.size());
    if (data == "[DONE]") return;
    const Json event = Json::parse(data);
    if (event.contains("error")) throw_error(event, 500);
    pieces_.push_back(piece_of(event));
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
