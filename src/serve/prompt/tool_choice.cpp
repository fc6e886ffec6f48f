#include "serve/prompt/tool_choice.h"

#include <stdexcept>

namespace shimmy::serve::worker {

namespace {

std::string name_of(const json & tool) {
    if (!tool.is_object()) return "";
    return tool.contains("function") ? name_of(tool.at("function")) : json_value(tool, "name", std::string());
}

void keep_only(json & request, const std::string & name) {
    const json tools = json_value(request, "tools", json::array());
    for (const json & tool : tools) {
        if (name_of(tool) != name) continue;
        request["tools"] = json::array({tool});
        return;
    }
    throw std::invalid_argument("\"tool_choice\" names \"" + name + "\", which is not among the tools");
}

}  // namespace

json with_tool_choice(json request) {
    if (!request.contains("tool_choice") || !request.at("tool_choice").is_object()) return request;
    keep_only(request, name_of(request.at("tool_choice")));
    request["tool_choice"] = "required";
    return request;
}

json with_anthropic_tool_choice(json request) {
    if (!request.contains("tool_choice") || !request.at("tool_choice").is_object()) return request;
    const json choice = request.at("tool_choice");
    const std::string type = json_value(choice, "type", std::string());
    if (type == "none") {
        request.erase("tools");
        request.erase("tool_choice");
    } else if (type == "tool") {
        keep_only(request, name_of(choice));
    }
    return request;
}

}  // namespace shimmy::serve::worker
