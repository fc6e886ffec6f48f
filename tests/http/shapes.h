// Shapes of answers, written after the types of the npm packages openai 7.57.0, @anthropic-ai/sdk 1.12.0 and ollama
// 0.6.4 (tests/http/shapes.json). A type is {"member": type, "optional?": type}, [type], or words with "|" between
// them: names of JSON's types, 'literals', true, false, and @Names of other types. Members that are not listed may be
// there.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <sstream>
#include <string>

namespace shimmy {

class Shapes {
public:
    explicit Shapes(const std::filesystem::path & source_dir)
        : document_(Json::parse(read_file(source_dir / "tests/http/shapes.json"))) {}

    // What is wrong with an answer to `route`, a path that begins with "ollama:" on that address; empty: nothing, or a
    // route without a shape.
    std::string fault(const std::string & route, int status, const std::string & body) const {
        if (!document_["routes"].contains(route)) return "";
        const Json & types = document_["routes"][route];
        if (status >= 400) return fault_of(parse(body), types[2]);
        const bool events = body.starts_with("data:") || body.starts_with("event:") || body.starts_with(":");
        const bool lines = route.starts_with("ollama:") && body.find("}\n{") != std::string::npos;
        if (!events && !lines) return fault_of(parse(body), types[0]);
        std::istringstream stream(body);
        for (std::string line; std::getline(stream, line);) {
            if (events && (!line.starts_with("data: ") || line == "data: [DONE]")) continue;
            const std::string fault = fault_of(parse(events ? line.substr(6) : line), types[1]);
            if (!fault.empty()) return fault + " in " + line;
        }
        return "";
    }

private:
    static Json parse(const std::string & text) { return Json::parse(text, nullptr, /*allow_exceptions=*/false); }

    std::string fault_of(const Json & value, const Json & type) const {
        if (type.is_object()) return fault_of_object(value, type);
        if (type.is_array()) {
            if (!value.is_array()) return "no array";
            for (const Json & one : value) {
                const std::string fault = fault_of(one, type[0]);
                if (!fault.empty()) return "[]: " + fault;
            }
            return "";
        }
        std::istringstream words(type.get<std::string>());
        std::string faults;
        for (std::string word; std::getline(words, word, '|');) {
            const std::string fault = fault_of_word(value, word);
            if (fault.empty()) return "";
            faults += (faults.empty() ? "" : "; ") + fault;
        }
        return faults;
    }

    std::string fault_of_object(const Json & value, const Json & type) const {
        if (!value.is_object()) return "no object";
        for (const auto & [key, member] : type.items()) {
            const bool optional = key.ends_with('?');
            const std::string name = optional ? key.substr(0, key.size() - 1) : key;
            if (!value.contains(name)) {
                if (!optional) return name + " is missing";
                continue;
            }
            const std::string fault = fault_of(value[name], member);
            if (!fault.empty()) return name + ": " + fault;
        }
        return "";
    }

    std::string fault_of_word(const Json & value, const std::string & word) const {
        if (word.starts_with('@')) {
            const std::string fault = fault_of(value, document_["types"].at(word.substr(1)));
            return fault.empty() ? "" : word + ": " + fault;
        }
        const bool right = word == "string"    ? value.is_string()
                           : word == "integer" ? value.is_number_integer()
                           : word == "number"  ? value.is_number()
                           : word == "boolean" ? value.is_boolean()
                           : word == "object"  ? value.is_object()
                           : word == "array"   ? value.is_array()
                           : word == "null"    ? value.is_null()
                           : word == "true"    ? value == true
                           : word == "false"   ? value == false
                                             : word == "'" + (value.is_string() ? value.get<std::string>() : "") + "'";
        return right ? "" : "not " + word;
    }

    Json document_;
};

}  // namespace shimmy
