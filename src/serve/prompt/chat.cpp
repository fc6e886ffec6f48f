#include "serve/prompt/chat.h"

#include "serve/bounds/pattern.h"
#include "serve/prompt/tool_choice.h"

#include "chat.h"
#include "server-chat.h"

#include <regex>
#include <sstream>
#include <stdexcept>

namespace shimmy::serve::worker {

namespace {

// ---- Schemas ----

// Every pattern of a schema in the form that llama.cpp keeps.
void make_enforceable(json & schema) {
    if (schema.is_array()) {
        for (json & one : schema)
            make_enforceable(one);
        return;
    }
    if (!schema.is_object()) return;
    for (auto [key, value] : schema.items()) {
        const bool holds_values = key == "const" || key == "enum" || key == "default" || key == "examples";
        if (key == "pattern" && value.is_string())
            value = enforceable_pattern(value.get<std::string>());
        else if (!holds_values)
            make_enforceable(value);
    }
}

void make_enforceable(json & holder, const char * key) {
    if (holder.is_object() && holder.contains(key)) make_enforceable(holder.at(key));
}

// Those that the answer is to be held to; of other tools the schemas only help the model.
void make_schemas_enforceable(json & request) {
    make_enforceable(request, "json_schema");
    if (request.contains("response_format") && request.at("response_format").is_object()) {
        json & format = request.at("response_format");
        make_enforceable(format, "schema");
        if (format.contains("json_schema")) make_enforceable(format.at("json_schema"), "schema");
    }
    if (!request.contains("tools") || !request.at("tools").is_array()) return;
    for (json & tool : request.at("tools")) {
        if (!tool.is_object() || !tool.contains("function")) continue;
        json & function = tool.at("function");
        if (json_value(function, "strict", false)) make_enforceable(function, "parameters");
    }
}

// ---- Tools ----

bool has_tools(const json & request) {
    return request.contains("tools") && request.at("tools").is_array() && !request.at("tools").empty();
}

bool ends_with_answer(const json & request) {
    const json messages = json_value(request, "messages", json::array());
    return !messages.empty() && json_value(messages.back(), "role", std::string()) == "assistant";
}

bool continues_answer(const json & request) {
    return ends_with_answer(request) || request.contains("continue_final_message");
}

void require_template_with_tools(const server_chat_params & chat) {
    const auto caps = common_chat_templates_get_caps(chat.tmpls.get());
    if (!caps.at("supports_tools") && !caps.at("supports_tool_calls"))
        throw std::invalid_argument(
            "\"tools\" are not supported: the chat template of this model has no place for them (--chat-template-file "
            "names another)");
}

// llama.cpp's grammar for a call that is required lets text of any length stand before the call, and lines of spaces
// inside it. What remains is the end of the prompt, what the model thinks, and the call.
void force_call(json & parameters) {
    std::istringstream rules(json_value(parameters, "grammar", std::string()));
    std::string grammar = "gap ::= | \" \"\n";
    for (std::string rule; std::getline(rules, rule);) {
        static const std::regex TEXT(" until-[0-9]+[?]?(?= (?:space )?tools?\\b)");
        static const std::regex SPACE(" space(?= |$)");
        if (rule.starts_with("root ::="))
            rule = std::regex_replace(rule, TEXT, "");
        else if (rule.starts_with("tool-") || rule.starts_with("json-"))
            rule = std::regex_replace(rule, SPACE, " gap");
        grammar += rule + "\n";
    }
    parameters["grammar"] = grammar;
}

// ---- Anthropic ----

json format_of(const json & request) {
    const json config = json_value(request, "output_config", json::object());
    const json format = json_value(config, "format", json());
    return format.is_null() ? json_value(request, "output_format", json()) : format;
}

// llama.cpp logs a system prompt that begins so and has not the form it expects; what follows is the prompt's.
void hide_billing(json & system) {
    constexpr const char * HEADER = "x-anthropic-billing-header:";
    if (system.is_array()) {
        for (json & block : system) {
            if (block.is_object() && block.contains("text")) hide_billing(block.at("text"));
        }
        return;
    }
    if (!system.is_string()) return;
    const std::string text = system.get<std::string>();
    const size_t stamp = text.find("cch=");
    constexpr size_t STAMP_END = 9;  // "cch=a5145;"
    const bool expected =
        stamp != std::string::npos && stamp + STAMP_END < text.size() && text[stamp + STAMP_END] == ';';
    if (text.starts_with(HEADER) && stamp != std::string::npos && !expected) system = " " + text;
}

}  // namespace

json chat_parameters(const server_chat_params & chat, json request, std::vector<raw_buffer> & files) {
    request = with_tool_choice(std::move(request));
    make_schemas_enforceable(request);
    const std::string choice = json_value(request, "tool_choice", std::string("auto"));
    if (has_tools(request) && choice != "none") require_template_with_tools(chat);
    const bool forces_call = has_tools(request) && choice == "required" && !continues_answer(request);
    json parameters = oaicompat_chat_params_parse(request, chat, files);
    if (forces_call) force_call(parameters);
    return parameters;
}

json quiet_anthropic(json request) {
    if (request.contains("system")) hide_billing(request["system"]);
    return request;
}

json without_nulls(json request) {
    const auto drop = [](json & object, bool keeps_content) {
        std::vector<std::string> keys;
        for (const auto & [key, value] : object.items()) {
            if (value.is_null() && !(keeps_content && key == "content")) keys.push_back(key);
        }
        for (const std::string & key : keys)
            object.erase(key);
    };
    if (!request.is_object()) return request;
    drop(request, /*keeps_content=*/false);
    for (const char * list : {"messages", "input"}) {
        if (!request.contains(list) || !request.at(list).is_array()) continue;
        for (json & one : request.at(list)) {
            if (one.is_object()) drop(one, /*keeps_content=*/true);
        }
    }
    return request;
}

json chat_from_anthropic(json request) {
    request = quiet_anthropic(with_anthropic_tool_choice(std::move(request)));
    json chat = server_chat_convert_anthropic_to_oai(request);
    const json format = format_of(request);
    const std::string type = json_value(format, "type", std::string());
    if (type == "json_schema")
        chat["response_format"] = json{{"type", "json_schema"}, {"json_schema", json{{"schema", format.at("schema")}}}};
    else if (type == "json_object")
        chat["response_format"] = json{{"type", "json_object"}};
    const json thinking = json_value(request, "thinking", json::object());
    if (json_value(thinking, "type", std::string()) == "disabled") {
        json arguments = json_value(chat, "chat_template_kwargs", json::object());
        arguments["enable_thinking"] = false;
        chat["chat_template_kwargs"] = arguments;
    }
    return chat;
}

json with_enforceable_schema(json request) {
    make_enforceable(request, "json_schema");
    return request;
}

std::string begun_text(const json & request) {
    if (!ends_with_answer(request)) return "";
    const json last = request.at("messages").back();
    const json content = json_value(last, "content", json());
    if (content.is_string()) return content.get<std::string>();
    std::string text;
    if (content.is_array()) {
        for (const json & part : content)
            text += json_value(part, "text", std::string());
    }
    return text;
}

}  // namespace shimmy::serve::worker
