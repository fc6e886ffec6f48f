#include "serve/worker/responses.h"

#include <algorithm>
#include <ctime>
#include <stdexcept>

namespace shimmy::serve::worker {

namespace {

void set_default(json & object, const char * key, const json & value) {
    if (!object.contains(key)) object[key] = value;
}

void set_format(json & request) {
    if (!request.contains("text") || !request.at("text").is_object()) return;
    const json format = request.at("text").value("format", json());
    request.erase("text");
    if (!format.is_object()) return;
    const std::string type = json_value(format, "type", std::string());
    if (type == "json_schema") {
        request["response_format"] =
            json{{"type", "json_schema"}, {"json_schema", json{{"schema", format.at("schema")}}}};
    } else if (type == "json_object") {
        request["response_format"] = json{{"type", "json_object"}};
    }
}

}  // namespace

json readable_response_request(json request) {
    if (json_value(request, "background", false))
        throw std::invalid_argument("\"background\" is not supported: answers are not kept here");
    if (request.contains("conversation") && !request.at("conversation").is_null())
        throw std::invalid_argument("\"conversation\" is not supported: send all turns as \"input\"");
    set_format(request);
    if (!request.contains("input") || !request.at("input").is_array()) return request;
    for (json & item : request.at("input")) {
        const bool answer = item.is_object() && json_value(item, "role", std::string()) == "assistant";
        if (answer) set_default(item, "type", "message");
    }
    return request;
}

void ResponseForm::complete_whole(json & response, bool cut_off) const {
    if (cut_off) {
        response["status"] = "incomplete";
        response["incomplete_details"] = json{{"reason", "max_output_tokens"}};
    }
    for (const char * key : {"error", "incomplete_details", "instructions", "temperature", "top_p"})
        set_default(response, key, nullptr);
    set_default(response, "created_at", static_cast<int64_t>(std::time(nullptr)));
    set_default(response, "model", model_);
    set_default(response, "output", json::array());
    set_default(response, "tools", json::array());
    set_default(response, "tool_choice", "auto");
    set_default(response, "metadata", json::object());
    set_default(response, "parallel_tool_calls", true);
    if (response.contains("usage") && response.at("usage").is_object())
        set_default(response["usage"], "output_tokens_details", json{{"reasoning_tokens", 0}});
}

size_t ResponseForm::index_of(const std::string & item) {
    const auto known = std::find(items_.begin(), items_.end(), item);
    if (known != items_.end()) return static_cast<size_t>(known - items_.begin());
    items_.push_back(item);
    return items_.size() - 1;
}

void ResponseForm::complete_event(json & event, bool cut_off) {
    json & data = event["data"];
    const std::string type = json_value(data, "type", std::string());
    if (type == "response.completed" && cut_off) {
        event["event"] = "response.incomplete";
        data["type"] = "response.incomplete";
    }
    data["sequence_number"] = n_events_++;
    if (data.contains("response")) complete_whole(data["response"], cut_off && type == "response.completed");
    if (data.contains("item_id")) data["output_index"] = index_of(data.at("item_id").get<std::string>());
    if (data.contains("item")) data["output_index"] = index_of(json_value(data.at("item"), "id", std::string()));
    const bool text = type.starts_with("response.output_text.");
    if (text) set_default(data, "logprobs", json::array());
    if (text || type.starts_with("response.content_part.") || type.starts_with("response.reasoning_text."))
        set_default(data, "content_index", 0);
}

void ResponseForm::complete_events(json & events, bool cut_off) {
    if (!events.is_array()) return complete_event(events, cut_off);
    for (json & event : events)
        complete_event(event, cut_off);
}

}  // namespace shimmy::serve::worker
