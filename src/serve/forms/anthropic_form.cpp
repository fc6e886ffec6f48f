#include "serve/forms/anthropic_form.h"

#include <algorithm>

namespace shimmy::serve::worker {

namespace {

json event_of(const char * type, int index, const json & more) {
    json data{{"type", type}, {"index", index}};
    for (const auto & [key, value] : more.items())
        data[key] = value;
    return json{{"event", type}, {"data", data}};
}

// Members that its clients' types have, of things that are not known here.
void set_null(json & holder, std::initializer_list<const char *> keys) {
    for (const char * key : keys) {
        if (!holder.contains(key)) holder[key] = nullptr;
    }
}

void complete_block(json & block) {
    const std::string type = json_value(block, "type", std::string());
    if (type == "text") set_null(block, {"citations"});
    if (type == "thinking" && !block.contains("signature")) block["signature"] = "";
    if (type != "tool_use") return;
    block["caller"] = json{{"type", "direct"}};
    if (!block.contains("input")) block["input"] = json::object();
}

void complete_message(json & message) {
    set_null(message, {"container", "diagnostics", "stop_details"});
    if (message.contains("usage"))
        set_null(message["usage"],
                 {"cache_creation", "cache_creation_input_tokens", "cache_read_input_tokens", "inference_geo",
                  "output_tokens_details", "server_tool_use", "service_tier", "speed"});
    if (!message.contains("content") || !message.at("content").is_array()) return;
    for (json & block : message.at("content"))
        complete_block(block);
}

}  // namespace

void AnthropicForm::name_stop(json & holder, const std::string & stop) const {
    if (stop.empty()) return;
    const bool named = std::find(stop_sequences_.begin(), stop_sequences_.end(), stop) != stop_sequences_.end();
    if (named)
        holder["stop_reason"] = "stop_sequence";
    else
        holder["stop_sequence"] = nullptr;
}

void AnthropicForm::complete_whole(json & message, const std::string & stop) const {
    name_stop(message, stop);
    complete_message(message);
}

// What was thought is signed by those who can.
void AnthropicForm::stop_open_block(json & events) {
    if (open_block_ < 0) return;
    if (types_[open_block_] == "thinking")
        events.push_back(event_of("content_block_delta", open_block_,
                                  json{{"delta", json{{"type", "signature_delta"}, {"signature", ""}}}}));
    events.push_back(event_of("content_block_stop", open_block_, json::object()));
    open_block_ = -1;
}

void AnthropicForm::complete_events(json & events, const std::string & stop) {
    if (!events.is_array()) return;
    json ordered = json::array();
    for (json & event : events) {
        json & data = event["data"];
        const std::string type = json_value(data, "type", std::string());
        const int index = json_value(data, "index", -1);
        if (type == "content_block_start") {
            stop_open_block(ordered);
            open_block_ = index;
            json & block = data["content_block"];
            types_[index] = json_value(block, "type", std::string());
            complete_block(block);
        } else if (type == "content_block_stop") {
            if (index == open_block_) stop_open_block(ordered);
            continue;
        } else if (type == "content_block_delta") {
            const std::string kind = json_value(data.at("delta"), "type", std::string());
            if (kind == "signature_delta") continue;
        } else if (type == "message_delta") {
            name_stop(data["delta"], stop);
            set_null(data["delta"], {"container", "stop_details"});
            set_null(data["usage"], {"cache_creation_input_tokens", "cache_read_input_tokens", "input_tokens",
                                     "output_tokens_details", "server_tool_use"});
        } else if (type == "message_start") {
            complete_message(data["message"]);
        }
        ordered.push_back(event);
    }
    events = ordered;
}

}  // namespace shimmy::serve::worker
