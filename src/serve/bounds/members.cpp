#include "serve/bounds/members.h"

#include "serve/bounds/member.h"
#include "serve/bounds/schema.h"
#include "serve/http/http_error.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace shimmy::serve {

namespace {

std::string type_of(const Json & object) {
    const Json * type = find_member(object, "type");
    return type != nullptr && type->is_string() ? type->get<std::string>() : "";
}

bool is_empty(const Json & value) {
    return value == false || value == "" || (value.is_structured() && value.empty());
}

struct Unsupported {
    const char * member;
    const char * why;
};

constexpr std::array CHAT{
    Unsupported{"audio", "is not supported: the models here write text"},
    Unsupported{"web_search_options", "is not supported: nothing is looked up"},
    Unsupported{"functions", "is not supported any more: send \"tools\""},
};
constexpr std::array COMPLETIONS{
    Unsupported{"suffix", "is not supported here: POST /infill fills in"},
};
constexpr std::array RESPONSES{
    Unsupported{"background", "is not supported: answers are not kept here"},
    Unsupported{"conversation", "is not supported: send all turns as \"input\""},
    Unsupported{"previous_response_id", "is not supported: send all turns as \"input\""},
    Unsupported{"prompt", "is not supported: there are no stored prompts here"},
};
constexpr std::array MESSAGES{
    Unsupported{"container", "is not supported: no code is run here"},
    Unsupported{"mcp_servers", "is not supported: no other server is asked"},
};
constexpr std::array OLLAMA{
    Unsupported{"suffix", "is not supported here: POST /infill of the main address fills in"},
    Unsupported{"template", "is not supported: the model's own is used (--chat-template-file)"},
    Unsupported{"context", "is not supported: send all turns as \"messages\""},
    Unsupported{"logprobs", "is not supported here: /v1/chat/completions gives them"},
};

template <size_t N>
void require_none(const Json & request, const std::array<Unsupported, N> & members) {
    for (const Unsupported & one : members) {
        const Json * value = find_member(request, one.member);
        if (value != nullptr && !is_empty(*value)) refuse(one.member, one.why);
    }
}

// ---- Tools ----

// Also where schemas of tools are to be kept exactly.
void require_functions(const Json & request, Dialect dialect) {
    const Json * tools = find_member(request, "tools");
    if (tools == nullptr || !tools->is_array()) return;
    const bool anthropic = dialect == Dialect::messages;
    for (const Json & tool : *tools) {
        const std::string type = type_of(tool);
        const bool known = anthropic ? type.empty() || type == "custom" : type == "function";
        if (!known)
            refuse("tools", type.empty() ? "must hold objects with a \"type\""
                                         : fmt::format("holds one of type {}, which is not supported", type));
        const Json * function = find_member(tool, "function");
        const Json & holder = function != nullptr ? *function : tool;
        const Json * strict = find_member(holder, "strict");
        const Json * schema = find_member(holder, anthropic ? "input_schema" : "parameters");
        if (strict != nullptr && *strict == true && schema != nullptr) require_enforceable_schema(*schema, "tools");
    }
}

// Whether the choice is that some tool must be called.
bool must_call(const Json & choice, Dialect dialect) {
    if (choice.is_string()) return choice == "required";
    const std::string type = type_of(choice);
    return dialect == Dialect::messages ? type == "any" || type == "tool" : choice.is_object();
}

void require_choice(const Json & request, Dialect dialect) {
    const Json * choice = find_member(request, "tool_choice");
    if (choice == nullptr) return;
    if (dialect == Dialect::messages) {
        const std::string type = type_of(*choice);
        if (type != "auto" && type != "any" && type != "tool" && type != "none")
            refuse("tool_choice", "must be an object of type auto, any, tool or none");
    } else if (choice->is_object() && type_of(*choice) != "function") {
        refuse("tool_choice", "must be auto, none, required, or an object of type function");
    } else if (!choice->is_object() && *choice != "auto" && *choice != "none" && *choice != "required") {
        refuse("tool_choice", "must be auto, none, required, or an object of type function");
    }
    const Json * tools = find_member(request, "tools");
    if (must_call(*choice, dialect) && (tools == nullptr || tools->empty()))
        refuse("tool_choice", "asks for a tool, and there are no \"tools\"");
}

// ---- Form of the answer ----

// {"type": "json_schema", …} and the like; `schema_holder`: the member of it that holds the schema; "": it does itself.
void require_format(const Json * format, const char * where, const char * schema_holder) {
    if (format == nullptr || *format == Json::object()) return;
    const std::string type = type_of(*format);
    if (type == "text") return;
    if (type != "json_object" && type != "json_schema")
        refuse(where, "must be an object of type text, json_object or json_schema");
    const Json * holder =
        type == "json_schema" && *schema_holder != '\0' ? find_member(*format, schema_holder) : format;
    const Json * schema = holder == nullptr ? nullptr : find_member(*holder, "schema");
    if (type == "json_schema" && schema == nullptr) refuse(where, "of type json_schema has no schema");
    if (schema != nullptr) require_enforceable_schema(*schema, where);
}

// ---- Anthropic ----

void require_blocks(const Json & blocks, std::initializer_list<std::string_view> known) {
    for (const Json & block : blocks) {
        const std::string type = type_of(block);
        if (std::find(known.begin(), known.end(), type) == known.end())
            refuse("content", fmt::format("holds a block of type {}, which is not supported", type));
        const Json * inner = find_member(block, "content");
        if (type == "tool_result" && inner != nullptr && !inner->is_string()) require_blocks(*inner, {"text", "image"});
    }
}

void require_anthropic(const Json & request) {
    if (const Json * system = find_member(request, "system"); system != nullptr && !system->is_string()) {
        if (!system->is_array()) refuse("system", "must be a string or an array");
        require_blocks(*system, {"text"});
    }
    const Json * messages = find_member(request, "messages");
    if (messages != nullptr) {
        for (const Json & message : *messages) {
            const Json * content = find_member(message, "content");
            if (content != nullptr && content->is_array())
                require_blocks(*content, {"text", "image", "thinking", "redacted_thinking", "tool_use", "tool_result"});
        }
    }
    const Json * config = find_member(request, "output_config");
    require_format(config == nullptr ? nullptr : find_member(*config, "format"), "output_config.format", "");
    require_format(find_member(request, "output_format"), "output_format", "");
}

void require_responses(const Json & request) {
    const Json * text = find_member(request, "text");
    if (text != nullptr && !text->is_object()) refuse("text", "must be an object");
    require_format(text == nullptr ? nullptr : find_member(*text, "format"), "text.format", "");
    const Json * include = find_member(request, "include");
    if (include != nullptr && include->is_array() &&
        std::find(include->begin(), include->end(), "message.output_text.logprobs") != include->end())
        refuse("include", "of logprobs is not supported here: /v1/chat/completions gives them");
    const Json * top = find_member(request, "top_logprobs");
    if (top != nullptr && *top != 0) refuse("top_logprobs", "is not supported here: /v1/chat/completions gives them");
}

void require_chat(const Json & request) {
    require_format(find_member(request, "response_format"), "response_format", "json_schema");
    if (const Json * schema = find_member(request, "json_schema"); schema != nullptr)
        require_enforceable_schema(*schema, "json_schema");
    const Json * modalities = find_member(request, "modalities");
    if (modalities != nullptr && *modalities != Json::array({"text"}))
        refuse("modalities", "must be [\"text\"]: the models here write nothing else");
}

void require_completions(const Json & request) {
    const Json * best_of = find_member(request, "best_of");
    if (best_of != nullptr && *best_of != 1) refuse("best_of", "is not supported: ask for \"n\" and choose");
    if (const Json * schema = find_member(request, "json_schema"); schema != nullptr)
        require_enforceable_schema(*schema, "json_schema");
}

void require_ollama(const Json & request) {
    const Json * format = find_member(request, "format");
    if (format == nullptr || *format == "" || *format == "json") return;
    if (!format->is_object()) refuse("format", "must be \"json\" or a schema");
    require_enforceable_schema(*format, "format");
}

}  // namespace

void require_supported(const Json & request, Dialect dialect) {
    switch (dialect) {
        case Dialect::chat:
            require_none(request, CHAT);
            require_chat(request);
            break;
        case Dialect::completions:
            require_none(request, COMPLETIONS);
            return require_completions(request);
        case Dialect::responses:
            require_none(request, RESPONSES);
            require_responses(request);
            break;
        case Dialect::messages:
            require_none(request, MESSAGES);
            require_anthropic(request);
            break;
        case Dialect::ollama:
            require_none(request, OLLAMA);
            require_ollama(request);
            break;
        case Dialect::llama:
            if (const Json * schema = find_member(request, "json_schema"); schema != nullptr)
                require_enforceable_schema(*schema, "json_schema");
            return;
    }
    require_functions(request, dialect);
    require_choice(request, dialect);
}

}  // namespace shimmy::serve
