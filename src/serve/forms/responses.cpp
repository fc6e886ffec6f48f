#include "serve/forms/responses.h"

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

// What a model thought, kept by the service that gave it: clients send it back without its text.
bool is_empty_reasoning(const json & item) {
    if (!item.is_object() || json_value(item, "type", std::string()) != "reasoning") return false;
    const json content = json_value(item, "content", json());
    return !content.is_array() || content.empty();
}

}  // namespace

json readable_response_request(json request) {
    set_format(request);
    if (!request.contains("input") || !request.at("input").is_array()) return request;
    json items = json::array();
    for (json & item : request.at("input")) {
        const bool answer = item.is_object() && json_value(item, "role", std::string()) == "assistant";
        if (answer) set_default(item, "type", "message");
        if (!is_empty_reasoning(item)) items.push_back(item);
    }
    request["input"] = items;
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
    if (type == "response.content_part.added") set_default(data["part"], "annotations", json::array());
    const bool text = type.starts_with("response.output_text.");
    if (text) set_default(data, "logprobs", json::array());
    if (text || type.starts_with("response.content_part.") || type.starts_with("response.reasoning_text."))
        set_default(data, "content_index", 0);
}

// As llama.cpp says it when the whole answer is there, which is after the next item has begun.
void ResponseForm::end_open_item(json & events) {
    if (open_.is_null()) return;
    json item = open_;
    const std::string id = json_value(item, "id", std::string());
    const std::string type = json_value(item, "type", std::string());
    const auto add = [&](const char * name, json data) {
        data["type"] = name;
        events.push_back(json{{"event", name}, {"data", data}});
    };
    item["status"] = "completed";
    if (type == "reasoning") {
        item["content"] = json::array({json{{"type", "reasoning_text"}, {"text", open_text_}}});
        add("response.reasoning_text.done", json{{"item_id", id}, {"text", open_text_}});
    } else if (type == "message") {
        const json part{
            {"type", "output_text"}, {"annotations", json::array()}, {"logprobs", json::array()}, {"text", open_text_}};
        item["content"] = json::array({part});
        add("response.output_text.done", json{{"item_id", id}, {"text", open_text_}});
        add("response.content_part.done", json{{"item_id", id}, {"part", part}});
    } else {
        item["arguments"] = open_text_;
        add("response.function_call_arguments.done",
            json{{"item_id", id}, {"name", json_value(item, "name", std::string())}, {"arguments", open_text_}});
    }
    add("response.output_item.done", json{{"item", item}});
    done_.push_back(id);
    open_ = nullptr;
    open_text_.clear();
}

void ResponseForm::complete_events(json & events, bool cut_off) {
    json given = events.is_array() ? events : json::array({events});
    json ordered = json::array();
    for (json & event : given) {
        const json & data = event.at("data");
        const std::string type = json_value(data, "type", std::string());
        const bool ends = type.ends_with(".done");
        const std::string id = data.contains("item") ? json_value(data.at("item"), "id", std::string())
                                                     : json_value(data, "item_id", std::string());
        if (type == "response.output_item.added") {
            end_open_item(ordered);
            open_ = data.at("item");
        } else if (type.ends_with(".delta")) {
            open_text_ += json_value(data, "delta", std::string());
        } else if (type == "response.completed" || ends) {
            end_open_item(ordered);
        }
        if (ends && std::find(done_.begin(), done_.end(), id) != done_.end()) continue;
        ordered.push_back(event);
    }
    for (json & event : ordered)
        complete_event(event, cut_off);
    events = ordered;
}

}  // namespace shimmy::serve::worker
