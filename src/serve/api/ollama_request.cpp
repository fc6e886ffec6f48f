#include "serve/api/ollama_request.h"

#include "serve/http/request.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace shimmy::serve {

namespace {

// "options" of a request, in OpenAI's and llama.cpp's names.
void set_options(Json & body, const Json & request) {
    Json options = request.value("options", Json::object());
    if (options.is_null()) options = Json::object();
    if (!options.is_object()) throw HttpError(400, "\"options\" must be an object");
    for (const auto & [ours, theirs] : std::initializer_list<std::pair<const char *, const char *>>{
             {"temperature", "temperature"},
             {"top_p", "top_p"},
             {"top_k", "top_k"},
             {"min_p", "min_p"},
             {"seed", "seed"},
             {"stop", "stop"},
             {"repeat_penalty", "repeat_penalty"},
             {"repeat_last_n", "repeat_last_n"},
             {"presence_penalty", "presence_penalty"},
             {"frequency_penalty", "frequency_penalty"},
             {"typical_p", "typical_p"},
             {"mirostat", "mirostat"},
             {"mirostat_tau", "mirostat_tau"},
             {"mirostat_eta", "mirostat_eta"},
             {"n_keep", "num_keep"},
             {"max_tokens", "num_predict"},
         }) {
        if (options.contains(theirs)) body[ours] = options[theirs];
    }
    const Json format = request.value("format", Json());
    if (format.is_null() || format == "") return;
    body["response_format"] = format == "json" ? Json{{"type", "json_object"}}
                                               : Json{{"type", "json_schema"}, {"json_schema", {{"schema", format}}}};
}

// Whether and how hard the model is to think, as its template takes it.
void set_thinking(Json & body, const Json & request) {
    const Json think = request.value("think", Json());
    if (think.is_null()) return;
    if (think.is_boolean()) {
        body["chat_template_kwargs"] = {{"enable_thinking", think}};
    } else if (think == "low" || think == "medium" || think == "high") {
        body["reasoning_effort"] = think;
    } else {
        throw HttpError(400, "\"think\" must be true, false, \"low\", \"medium\" or \"high\"");
    }
}

// A text with the pictures of "images", each in base64, as OpenAI has it.
Json content_of(const Json & text, const Json & holder) {
    const Json images = holder.value("images", Json());
    if (images.is_null() || images.empty()) return text;
    if (!images.is_array()) throw HttpError(400, "\"images\" must be an array");
    Json parts = Json::array();
    if (text.is_string() && text != "") parts.push_back({{"type", "text"}, {"text", text}});
    for (const Json & image : images) {
        if (!image.is_string()) throw HttpError(400, "\"images\" must hold base64");
        const std::string data = image.get<std::string>();
        const std::string url = data.starts_with("data:") ? data : "data:image/png;base64," + data;  // llama.cpp looks
        parts.push_back({{"type", "image_url"}, {"image_url", {{"url", url}}}});
    }
    return parts;
}

// Messages in OpenAI's form. There, a tool call's arguments are JSON text, and its
// answer names it by an id; some templates want nine letters and digits.
class Messages {
public:
    Json converted(Json message) {
        if (!message.is_object()) throw HttpError(400, "a message must be an object");
        message["content"] = content_of(message.value("content", Json()), message);
        message.erase("images");
        message.erase("thinking");
        if (string_of(message, "role", "") == "tool") name_call(message);
        if (message.contains("tool_calls") && message["tool_calls"].empty()) message.erase("tool_calls");
        if (!message.contains("tool_calls")) return message;
        open_.clear();
        for (Json & call : message["tool_calls"]) {
            call["type"] = "function";
            if (string_of(call, "id", "").empty()) call["id"] = fmt::format("call{:05}", n_calls_++);
            open_.push_back({string_of(call["function"], "name", ""), call["id"].get<std::string>()});
            Json & arguments = call["function"]["arguments"];
            if (!arguments.is_string()) arguments = arguments.dump();
        }
        return message;
    }

private:
    struct Call {
        std::string name;
        std::string id;
    };

    // The call that this answers: the first of its name, or else the first that is
    // not answered yet.
    void name_call(Json & message) {
        if (message.contains("tool_call_id") || open_.empty()) return;
        const std::string name = string_of(message, "tool_name", string_of(message, "name", ""));
        auto call = std::find_if(open_.begin(), open_.end(), [&](const Call & one) { return one.name == name; });
        if (call == open_.end()) call = open_.begin();
        message["tool_call_id"] = call->id;
        open_.erase(call);
    }

    std::vector<Call> open_;
    int n_calls_ = 0;
};

}  // namespace

Json openai_chat(const Json & request) {
    if (!request.contains("messages") || !request["messages"].is_array())
        throw HttpError(400, "\"messages\" must be an array");
    Json body{{"messages", Json::array()}};
    Messages messages;
    for (const Json & message : request["messages"])
        body["messages"].push_back(messages.converted(message));
    for (const char * key : {"tools", "tool_choice"}) {  // the second is OpenAI's: Ollama has nothing for it
        if (request.contains(key) && !request[key].is_null()) body[key] = request[key];
    }
    set_thinking(body, request);
    set_options(body, request);
    return body;
}

Json openai_generate(const Json & request, bool has_chat_template) {
    const std::string prompt = string_of(request, "prompt", "");
    const std::string system = string_of(request, "system", "");
    Json body;
    if (bool_of(request, "raw", false) || !has_chat_template) {
        if (!request.value("images", Json()).empty()) throw HttpError(400, "\"images\" need a chat template");
        body["prompt"] = prompt;
    } else {
        body["messages"] = Json::array();
        if (!system.empty()) body["messages"].push_back({{"role", "system"}, {"content", system}});
        body["messages"].push_back({{"role", "user"}, {"content", content_of(prompt, request)}});
        set_thinking(body, request);
    }
    set_options(body, request);
    return body;
}

}  // namespace shimmy::serve
