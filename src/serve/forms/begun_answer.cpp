#include "serve/forms/begun_answer.h"

#include <algorithm>
#include <string_view>

namespace shimmy::serve::worker {

namespace {

bool is_text(const json & holder, const char * key) {
    return holder.is_object() && holder.contains(key) && holder.at(key).is_string();
}

}  // namespace

void BegunAnswer::strip_text(json & holder, const char * key) const {
    if (!is_text(holder, key)) return;
    const std::string text = holder.at(key).get<std::string>();
    if (text.starts_with(text_)) holder[key] = text.substr(text_.size());
}

// The begun text may come in pieces, and with what follows it.
void BegunAnswer::strip_delta(json & holder, const char * key, int choice) {
    if (!is_text(holder, key)) return;
    size_t & n_stripped = n_stripped_[choice];
    const std::string_view rest = std::string_view(text_).substr(n_stripped);
    if (rest.empty()) return;
    const std::string text = holder.at(key).get<std::string>();
    const size_t n = std::min(rest.size(), text.size());
    if (text.compare(0, n, rest.substr(0, n)) != 0) {
        n_stripped = text_.size();  // it was read as something else, a call of a tool
        return;
    }
    n_stripped += n;
    holder[key] = text.substr(n);
}

void BegunAnswer::strip_response_item(json & item) const {
    if (!item.is_object() || !item.contains("content") || !item.at("content").is_array()) return;
    for (json & part : item.at("content")) {
        if (json_value(part, "type", std::string()) == "output_text") strip_text(part, "text");
    }
}

void BegunAnswer::strip(json & document, task_response_type shape) const {
    if (text_.empty()) return;
    if (shape == TASK_RESPONSE_TYPE_OAI_CHAT) {
        for (json & choice : document.at("choices"))
            strip_text(choice.at("message"), "content");
    } else if (shape == TASK_RESPONSE_TYPE_ANTHROPIC) {
        for (json & block : document.at("content")) {
            if (json_value(block, "type", std::string()) == "text") strip_text(block, "text");
        }
    } else if (shape == TASK_RESPONSE_TYPE_OAI_RESP && document.contains("output")) {
        for (json & item : document.at("output"))
            strip_response_item(item);
    }
}

void BegunAnswer::strip_event(json & event, task_response_type shape) {
    if (shape == TASK_RESPONSE_TYPE_OAI_CHAT) {
        for (json & choice : event.at("choices"))
            strip_delta(choice["delta"], "content", json_value(choice, "index", 0));
        return;
    }
    json & data = event["data"];
    const std::string type = json_value(data, "type", std::string());
    if (type == "content_block_delta")
        strip_delta(data["delta"], "text", 0);
    else if (type == "response.output_text.delta")
        strip_delta(data, "delta", 0);
    else if (type == "response.output_text.done")
        strip_text(data, "text");
    else if (type == "response.content_part.done")
        strip_text(data["part"], "text");
    else if (type == "response.output_item.done")
        strip_response_item(data["item"]);
    else if (data.contains("response"))
        strip(data["response"], shape);
}

void BegunAnswer::strip_events(json & events, task_response_type shape) {
    const bool known = shape == TASK_RESPONSE_TYPE_OAI_CHAT || shape == TASK_RESPONSE_TYPE_ANTHROPIC ||
                       shape == TASK_RESPONSE_TYPE_OAI_RESP;
    if (text_.empty() || !known || events.is_null()) return;
    if (!events.is_array()) return strip_event(events, shape);
    for (json & event : events)
        strip_event(event, shape);
}

}  // namespace shimmy::serve::worker
