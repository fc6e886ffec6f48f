#include "serve/bounds/schema.h"

#include "serve/bounds/pattern.h"
#include "serve/http/http_error.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string_view>
#include <vector>

namespace shimmy::serve {

namespace {

using Keys = std::vector<std::string_view>;

// Keywords by the type that they say something about. What is not listed only describes ("title", "default", "format").
const Keys OBJECT_KEYS{
    "properties",    "required",          "additionalProperties", "minProperties",    "maxProperties",
    "propertyNames", "patternProperties", "dependentRequired",    "dependentSchemas", "unevaluatedProperties"};
const Keys ARRAY_KEYS{"items",    "prefixItems", "minItems",    "maxItems",         "uniqueItems",
                      "contains", "minContains", "maxContains", "unevaluatedItems", "additionalItems"};
const Keys STRING_KEYS{"pattern", "minLength", "maxLength"};
const Keys NUMBER_KEYS{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
const Keys ANY_KEYS{"$ref", "anyOf", "oneOf", "allOf", "const", "enum", "not", "if", "then", "else", "$dynamicRef"};

// A keyword with a value that allows everything.
bool says_nothing(std::string_view key, const Json & value) {
    if (key == "uniqueItems") return value == false;
    if (key == "minProperties" || key == "minItems" || key == "minLength" || key == "minContains") return value == 0;
    if (key == "multipleOf") return value == 1;
    if (key.starts_with("unevaluated") || key == "additionalItems") return value == true;
    if (key == "required" || key == "dependentRequired" || key == "patternProperties") return value.empty();
    return false;
}

class SchemaCheck {
public:
    SchemaCheck(const Json & root, const std::string & where) : root_(root), where_(where) {}

    void whole() {
        check(root_);
        for (const char * definitions : {"$defs", "definitions"}) {
            if (!root_.is_object() || !root_.contains(definitions)) continue;
            for (const Json & one : root_[definitions])
                check(one);
        }
    }

private:
    [[noreturn]] void refuse(const std::string & why) const {
        throw HttpError(400, fmt::format("\"{}\": {}", where_, why));
    }

    // Of the keywords that say something about `known` types, none but `kept`.
    void only(const Json & schema, std::initializer_list<const Keys *> known, const Keys & kept,
              const char * beside) const {
        for (const Keys * keys : known) {
            for (const std::string_view key : *keys) {
                const auto member = schema.find(key);
                if (member == schema.end() || says_nothing(key, *member)) continue;
                if (std::find(kept.begin(), kept.end(), key) != kept.end()) continue;
                refuse(fmt::format("answers cannot be held to \"{}\"{}", key, beside));
            }
        }
    }

    // As llama.cpp chooses between keywords that each say what the value is.
    void check(const Json & schema) const {
        if (!schema.is_object()) refuse(fmt::format("a schema must be an object, not {}", schema.type_name()));
        const auto all = {&OBJECT_KEYS, &ARRAY_KEYS, &STRING_KEYS, &NUMBER_KEYS, &ANY_KEYS};
        if (schema.contains("$ref")) return only(schema, all, {"$ref"}, " beside \"$ref\"");
        for (const char * key : {"oneOf", "anyOf"}) {
            if (!schema.contains(key)) continue;
            only(schema, all, {key}, fmt::format(" beside \"{}\"", key).c_str());
            return each(schema[key]);
        }
        const Json type = schema.value("type", Json());
        if (type.is_array()) {
            for (const Json & one : type)
                check_type(schema, one);
            return;
        }
        for (const char * key : {"const", "enum"}) {
            if (schema.contains(key)) return only(schema, all, {key}, fmt::format(" beside \"{}\"", key).c_str());
        }
        check_type(schema, type);
    }

    void each(const Json & schemas) const {
        for (const Json & one : schemas)
            check(one);
    }

    void check_type(const Json & schema, const Json & type) const {
        if (type == "object") return check_object(schema);
        if (type == "array") return check_array(schema);
        if (type == "string") return check_string(schema);
        if (type == "integer") return check_integer(schema);
        if (type == "number")
            return only(schema, {&NUMBER_KEYS, &ANY_KEYS}, {}, " of a number: only \"integer\" can have bounds");
        if (!type.is_null()) return only(schema, {&ANY_KEYS}, {"const", "enum"}, "");
        // Without a type the first of these decides, and what is said about others is not kept.
        const bool object = schema.contains("properties") || schema.contains("additionalProperties");
        const bool array = schema.contains("items") || schema.contains("prefixItems");
        if (object || schema.contains("allOf")) {
            only(schema, {&ARRAY_KEYS, &STRING_KEYS, &NUMBER_KEYS}, {}, " without \"type\"");
            return check_object(schema);
        }
        if (array) {
            only(schema, {&OBJECT_KEYS, &STRING_KEYS, &NUMBER_KEYS}, {}, " without \"type\"");
            return check_array(schema);
        }
        only(schema, {&OBJECT_KEYS, &ARRAY_KEYS, &NUMBER_KEYS}, {}, " without \"type\"");
        check_string(schema);
    }

    void check_object(const Json & schema) const {
        const bool merges = schema.contains("allOf") && !schema.contains("properties") &&
                            schema.value("additionalProperties", Json(true)) == true;
        if (merges) {
            only(schema, {&OBJECT_KEYS, &ANY_KEYS}, {"allOf", "additionalProperties"}, " beside \"allOf\"");
            for (const Json & one : schema["allOf"])
                require_object(one);
            return each(schema["allOf"]);
        }
        only(schema, {&OBJECT_KEYS, &ANY_KEYS}, {"properties", "required", "additionalProperties"}, "");
        const Json & properties = schema.value("properties", Json::object());
        for (const Json & name : schema.value("required", Json::array())) {
            if (name.is_string() && !properties.contains(name.get_ref<const std::string &>()))
                refuse(fmt::format("\"required\" names {}, which is not among the properties", name.dump()));
        }
        each(properties);
        const Json additional = schema.value("additionalProperties", Json());
        if (additional.is_object()) check(additional);
    }

    // Parts of "allOf": objects are merged; of others nothing is kept.
    void require_object(const Json & schema) const {
        const Json & target = resolved(schema);
        const bool object = target.is_object() && (target.contains("properties") || target.contains("enum") ||
                                                   target.value("type", Json()) == "object");
        if (!object) refuse("answers can be held to an \"allOf\" of objects with properties only");
    }

    const Json & resolved(const Json & schema) const {
        const Json * one = &schema;
        for (int i = 0; i < 16 && one->is_object() && one->contains("$ref"); ++i) {
            const Json & ref = one->at("$ref");
            if (!ref.is_string() || !ref.get_ref<const std::string &>().starts_with("#/")) return *one;
            try {
                one = &root_.at(Json::json_pointer(ref.get_ref<const std::string &>().substr(1)));
            } catch (const Json::exception &) {
                refuse(fmt::format("there is no {}", ref.dump()));
            }
        }
        return *one;
    }

    void check_array(const Json & schema) const {
        const bool tuple = schema.contains("items") ? schema["items"].is_array() : schema.contains("prefixItems");
        if (tuple) {
            const char * key = schema.contains("items") ? "items" : "prefixItems";
            only(schema, {&ARRAY_KEYS, &ANY_KEYS}, {key, "minItems", "maxItems"}, " of a tuple");
            const auto n = static_cast<double>(schema[key].size());
            const auto bound = [&](const char * name) {
                const Json value = schema.value(name, Json(n));
                return value.is_number() ? value.get<double>() : n;
            };
            if (bound("minItems") > n || bound("maxItems") < n)
                refuse("a tuple has exactly as many items as are listed");
            return each(schema[key]);
        }
        only(schema, {&ARRAY_KEYS, &ANY_KEYS}, {"items", "minItems", "maxItems"}, "");
        if (schema.contains("items")) check(schema["items"]);
    }

    void check_string(const Json & schema) const {
        only(schema, {&STRING_KEYS, &ANY_KEYS},
             schema.contains("pattern") ? Keys{"pattern"} : Keys{"minLength", "maxLength"}, " beside \"pattern\"");
        if (!schema.contains("pattern") || !schema["pattern"].is_string()) return;
        try {
            (void)enforceable_pattern(schema["pattern"].get<std::string>());
        } catch (const Error & error) {
            refuse(fmt::format("answers cannot be held to the pattern {}: {}", schema["pattern"].dump(), error.what()));
        }
    }

    void check_integer(const Json & schema) const {
        only(schema, {&NUMBER_KEYS, &ANY_KEYS}, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}, "");
        for (const auto & [one, other] :
             {std::pair{"minimum", "exclusiveMinimum"}, std::pair{"maximum", "exclusiveMaximum"}}) {
            if (schema.contains(one) && schema.contains(other))
                refuse(fmt::format("\"{}\" and \"{}\" stand beside each other", one, other));
        }
    }

    const Json & root_;
    const std::string & where_;
};

}  // namespace

void require_enforceable_schema(const Json & schema, const std::string & where) {
    SchemaCheck(schema, where).whole();
}

}  // namespace shimmy::serve
