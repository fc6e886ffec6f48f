#include "serve/bounds/request_bounds.h"

#include "serve/bounds/grammar_bounds.h"
#include "serve/bounds/member.h"
#include "serve/http/request.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

namespace shimmy::serve {

namespace {

// What llama.cpp reads into 32 bits, cutting off the rest.
constexpr std::array INTEGERS{
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n_predict",
    "n_keep",
    "n_discard",
    "n_indent",
    "n",
    "n_cmpl",
    "n_probs",
    "n_cache_reuse",
    "top_k",
    "top_logprobs",
    "repeat_last_n",
    "dry_allowed_length",
    "dry_penalty_last_n",
    "mirostat",
    "min_keep",
    "id_slot",
    "reasoning_budget_tokens",
    "thinking_budget_tokens",
    "sse_ping_interval",
    "best_of",
    "logprobs",
};
constexpr std::array COUNTS{"n_probs", "top_logprobs", "logprobs"};  // of probabilities to tell
constexpr int MAX_TRIGGER_TYPE = 3;                                  // of llama.cpp's common_grammar_trigger_type
constexpr std::array ROLES{"system", "developer", "user", "assistant", "tool", "function"};

void require_integers(const Json & request) {
    constexpr double MOST = std::numeric_limits<int32_t>::max();
    for (const char * key : INTEGERS) {
        const Json * value = find_member(request, key);
        if (value == nullptr || value->is_boolean()) continue;  // "logprobs": true is OpenAI's
        if (!value->is_number()) refuse(key, fmt::format("must be a number, not {}", value->type_name()));
        const double number = value->get<double>();
        if (number != std::floor(number)) refuse(key, "must be a whole number");
        if (std::abs(number) > MOST)
            refuse(key, fmt::format("must be at most {}", std::numeric_limits<int32_t>::max()));
    }
    for (const char * key : COUNTS) {
        const Json * value = find_member(request, key);
        if (value != nullptr && value->is_number() && value->get<double>() < 0) refuse(key, "must not be below 0");
    }
    for (const char * key : {"seed", "t_max_predict_ms"}) {
        const Json * value = find_member(request, key);
        if (value != nullptr && value->is_number_float() && std::abs(value->get<double>()) > 9e18)
            refuse(key, "is beyond 64 bits");
    }
}

// An empty one would be found at once.
void require_stops(const Json & request, const char * key) {
    const Json * stop = find_member(request, key);
    if (stop == nullptr) return;
    const auto check = [&](const Json & one) {
        if (!one.is_string()) refuse(key, "must be a string or a list of strings");
        if (one.get_ref<const std::string &>().empty()) refuse(key, "must not hold an empty string");
    };
    if (!stop->is_array()) return check(*stop);
    for (const Json & one : *stop)
        check(one);
}

void require_grammar(const Json & request) {
    if (const Json * grammar = find_member(request, "grammar"); grammar != nullptr) {
        if (!grammar->is_string()) refuse("grammar", "must be a string");
        require_bounded_grammar(grammar->get_ref<const std::string &>(), "grammar");
    }
    if (const Json * triggers = find_member(request, "grammar_triggers"); triggers != nullptr) {
        if (!triggers->is_array()) refuse("grammar_triggers", "must be an array");
        for (const Json & trigger : *triggers) {
            const Json * type = find_member(trigger, "type");
            if (type == nullptr || !type->is_number_integer() || *type < 0 || *type > MAX_TRIGGER_TYPE)
                refuse("grammar_triggers",
                       fmt::format("must hold objects with a \"type\" from 0 to {}", MAX_TRIGGER_TYPE));
        }
    }
    if (find_member(request, "chat_parser") != nullptr) refuse("chat_parser", "is not for requests");
    if (const Json * format = find_member(request, "chat_format"); format != nullptr && !(*format == 0))
        refuse("chat_format", "is not for requests");
}

// Every schema that a request can hold, in any of the APIs' places.
void require_schemas(const Json & request) {
    const auto check = [](const Json * schema, const char * where) {
        if (schema != nullptr) require_bounded_schema(*schema, where);
    };
    for (const char * key : {"response_format", "json_schema", "format", "output_format"})
        check(find_member(request, key), key);
    for (const char * key : {"text", "output_config"}) {
        if (const Json * holder = find_member(request, key); holder != nullptr)
            check(find_member(*holder, "format"), key);
    }
    const Json * tools = find_member(request, "tools");
    if (tools == nullptr) return;
    if (!tools->is_array()) refuse("tools", "must be an array");
    for (const Json & tool : *tools) {
        if (const Json * function = find_member(tool, "function"); function != nullptr)
            check(find_member(*function, "parameters"), "parameters");
        check(find_member(tool, "parameters"), "parameters");
        check(find_member(tool, "input_schema"), "input_schema");
    }
}

const Json & messages_of(const Json & request) {
    const Json * messages = find_member(request, "messages");
    if (messages == nullptr) refuse("messages", "is missing");
    if (!messages->is_array()) refuse("messages", fmt::format("must be an array, not {}", messages->type_name()));
    if (messages->empty()) refuse("messages", "must not be empty");
    return *messages;
}

std::string role_of(const Json & message) {
    if (!message.is_object()) refuse("messages", "must hold objects");
    const Json * role = find_member(message, "role");
    if (role == nullptr || !role->is_string()) refuse("messages", "must hold objects with a \"role\"");
    return role->get<std::string>();
}

void require_parts(const Json & content) {
    for (const Json & part : content) {
        const Json * type = find_member(part, "type");
        if (type == nullptr || !type->is_string()) refuse("content", "must hold objects with a \"type\"");
        if (*type != "text") continue;
        const Json * text = find_member(part, "text");
        if (text == nullptr || !text->is_string()) refuse("content", "holds a part of type text without a \"text\"");
    }
}

}  // namespace

void require_bounded(const Json & request) {
    require_integers(request);
    require_stops(request, "stop");
    require_stops(request, "stop_sequences");
    require_grammar(request);
    require_schemas(request);
}

void require_messages(const Json & request) {
    for (const Json & message : messages_of(request)) {
        const std::string role = role_of(message);
        if (std::find(ROLES.begin(), ROLES.end(), role) == ROLES.end())
            refuse("role", fmt::format("must be one of {}, not {}", fmt::join(ROLES, ", "), role));
        const Json * content = find_member(message, "content");
        if (content == nullptr && role != "assistant")
            refuse("content", fmt::format("of a message of {} is missing", role));
        if (content != nullptr && content->is_array()) require_parts(*content);
    }
}

void require_anthropic_messages(const Json & request) {
    for (const Json & message : messages_of(request)) {
        const std::string role = role_of(message);
        if (role != "user" && role != "assistant" && role != "system")
            refuse("role", fmt::format("must be user or assistant, not {}", role));
        const Json * content = find_member(message, "content");
        if (content == nullptr || !(content->is_string() || content->is_array()))
            refuse("content", "must be a string or an array");
        if (content->is_array()) require_parts(*content);
    }
}

}  // namespace shimmy::serve
