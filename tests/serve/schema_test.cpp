// Patterns and schemas that answers are held to, and those that they cannot be held to.
#include "serve/bounds/schema.h"
#include "serve/bounds/pattern.h"

#include "base/error.h"
#include "status_of.h"

#include <gtest/gtest.h>

namespace shimmy::serve {
namespace {

TEST(Pattern, CharactersStandAsJsonWritesThem) {
    EXPECT_EQ(enforceable_pattern("^abc$"), "^abc$");
    EXPECT_EQ(enforceable_pattern("^a-b$"), "^a\\u002Db$");
    EXPECT_EQ(enforceable_pattern("^\"$"), "^\\\\\"$");
    EXPECT_EQ(enforceable_pattern("^\\\\$"), "^\\\\\\\\$");
    EXPECT_EQ(enforceable_pattern("^\\n$"), "^\\\\n$");
    EXPECT_EQ(enforceable_pattern("^\\x41\\u00e9$"), "^A\\u00E9$");
    EXPECT_EQ(enforceable_pattern("^\xc3\xa9$"), "^\\u00E9$");
    EXPECT_EQ(enforceable_pattern("^\xf0\x9f\xa4\x97$"), "^\\U0001F917$");
    EXPECT_EQ(enforceable_pattern("^\\/\\.\\-$"), "^\\u002F\\u002E\\u002D$");
    EXPECT_EQ(enforceable_pattern("^{$"), "^\\u007B$");
    EXPECT_EQ(enforceable_pattern("^a{,3}$"), "^a\\u007B\\u002C3\\u007D$") << "no repetition in ECMA-262";
}

TEST(Pattern, SetsAndTheirShortForms) {
    EXPECT_EQ(enforceable_pattern("^\\d$"), "^([0-9])$");
    EXPECT_EQ(enforceable_pattern("^[a-cx]$"), "^([a-cx])$");
    EXPECT_EQ(enforceable_pattern("^[cba]$"), "^([a-c])$");
    EXPECT_EQ(enforceable_pattern("^\\w$"), "^([0-9A-Z\\u005Fa-z])$");
    EXPECT_EQ(enforceable_pattern("^[\\d-]$"), "^([\\u002D0-9])$");
    EXPECT_EQ(enforceable_pattern("^[a\"]$"), "^([a]|\\\\\")$");
    EXPECT_EQ(enforceable_pattern("^[\\n]$"), "^(\\\\n)$");
    EXPECT_EQ(enforceable_pattern("^[^!-\\uFFFF]$"),
              "^([\\u0020\\U00010000-\\U0010FFFF]|\\\\b|\\\\f|\\\\n|\\\\r|\\\\t)$");
}

TEST(Pattern, RepetitionsAndGroups) {
    EXPECT_EQ(enforceable_pattern("^a*b+c?$"), "^(a)*(b)+(c)?$");
    EXPECT_EQ(enforceable_pattern("^\\d{4}$"), "^([0-9]){4}$");
    EXPECT_EQ(enforceable_pattern("^a{2,}?$"), "^(a){2,}$") << "which texts match is the same";
    EXPECT_EQ(enforceable_pattern("^(?:ab|c)+$"), "^(ab|c)+$");
    EXPECT_EQ(enforceable_pattern("^(?<year>a)$"), "^(a)$");
}

TEST(Pattern, WhatIsNotAnchoredMayStandAnywhere) {
    const std::string all = enforceable_pattern("");
    const std::string any = all.substr(1, (all.size() - 2) / 2);
    EXPECT_TRUE(any.starts_with("([") && any.ends_with(")*")) << any;
    EXPECT_EQ(all, "^" + any + any + "$");
    EXPECT_EQ(enforceable_pattern("a"), "^" + any + "a" + any + "$");
    EXPECT_EQ(enforceable_pattern("^a"), "^a" + any + "$");
    EXPECT_EQ(enforceable_pattern("a$"), "^" + any + "a$");
    EXPECT_EQ(enforceable_pattern("^a|b$"), "^(a" + any + "|" + any + "b)$");
}

TEST(Pattern, WhatCannotBeHeld) {
    for (const char * pattern :
         {"^(?=a)b$", "^(?!a)b$", "(?<=a)b", "(?<!a)b", "^\\bfoo$", "^(a)\\1$",  "^\\p{L}$", "^(?i)a$", "^a^$",
          "^a$b",     "^(^a)$",   "^(a$)$",  "^\\cA$",  "^\\0$",    "^\\ud83d$", "^[]$",     "^*$",     "^a**$",
          "^(a$",     "^a)$",     "^[a$",    "^a\\",    "^[z-a]$",  "^[a-\\d]$", "^\\u12$",  "^\\x$",   "^(?"})
        EXPECT_THROW(enforceable_pattern(pattern), Error) << pattern;
    EXPECT_THROW(enforceable_pattern(std::string(65, '(') + std::string(65, ')')), Error);
    EXPECT_NO_THROW(enforceable_pattern(std::string(64, '(') + std::string(64, ')')));
}

int status(const char * schema) {
    return status_of([&] { require_enforceable_schema(Json::parse(schema), "response_format"); });
}

TEST(Schema, WhatAnswersCanBeHeldTo) {
    for (
        const char * schema :
        {R"({})",
         R"({"type": "object"})",
         R"({"title": "x", "description": "y", "default": 1, "$schema": "z"})",
         R"({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false})",
         R"({"type": "object", "additionalProperties": {"type": "integer"}})",
         R"({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3, "uniqueItems": false})",
         R"({"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}], "minItems": 2, "maxItems": 2})",
         R"({"type": "string", "minLength": 1, "maxLength": 3})",
         R"({"type": "string", "format": "email"})",
         R"({"type": "string", "pattern": "^\\d+$"})",
         R"({"type": "integer", "minimum": 1, "exclusiveMaximum": 9})",
         R"({"type": "number"})",
         R"({"type": "boolean"})",
         R"({"enum": ["a", 1]})",
         R"({"const": "a"})",
         R"({"type": ["string", "null"], "minLength": 1})",
         R"({"anyOf": [{"type": "string"}, {"type": "null"}]})",
         R"({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})",
         R"({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "object", "properties": {}}}})",
         R"({"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "null"}}}]})",
         R"({"type": "object", "properties": {"not": {"type": "string"}, "pattern": {"type": "string"}}})",
         R"({"type": "string", "minProperties": 3})"})
        EXPECT_EQ(status(schema), 200) << schema;
}

// References that lead round in a circle have to end somewhere.
TEST(Schema, ReferencesToReferences) {
    for (const int n : {15, 16, 17}) {
        Json schema{{"allOf", {{{"$ref", "#/$defs/1"}}}}, {"$defs", {{std::to_string(n), {{"type", "object"}}}}}};
        for (int i = 1; i < n; ++i)
            schema["$defs"][std::to_string(i)] = {{"$ref", "#/$defs/" + std::to_string(i + 1)}};
        EXPECT_EQ(status(schema.dump().c_str()), n <= 16 ? 200 : 400) << n;
    }
}

TEST(Schema, WhatWouldBePassedOver) {
    for (const char * schema : {"true",
                                "\"x\"",
                                "null",
                                R"({"not": {"type": "string"}})",
                                R"({"if": {}, "then": {}})",
                                R"({"type": "array", "uniqueItems": true})",
                                R"({"type": "array", "contains": {"type": "integer"}})",
                                R"({"contains": {"type": "integer"}})",
                                R"({"type": "object", "patternProperties": {"^a": {}}})",
                                R"({"type": "object", "minProperties": 2})",
                                R"({"type": "object", "propertyNames": {"maxLength": 1}})",
                                R"({"type": "object", "dependentRequired": {"a": ["b"]}})",
                                R"({"dependentRequired": {"a": ["b"]}})",
                                R"({"type": "object", "properties": {}, "required": ["b"]})",
                                R"({"required": ["b"]})",
                                R"({"type": "object", "unevaluatedProperties": false})",
                                R"({"type": "integer", "multipleOf": 5})",
                                R"({"type": "integer", "minimum": 1, "exclusiveMinimum": 3})",
                                R"({"type": "number", "minimum": 0})",
                                R"({"type": "number", "multipleOf": 0.5})",
                                R"({"minimum": 3})",
                                R"({"type": "string", "pattern": "^(?=a)b$"})",
                                R"({"type": "string", "pattern": "^a$", "minLength": 3})",
                                R"({"$ref": "#/$defs/a", "minLength": 3, "$defs": {"a": {}}})",
                                R"({"anyOf": [{}], "oneOf": [{}]})",
                                R"({"anyOf": [{"required": ["a"]}], "properties": {"a": {}}})",
                                R"({"enum": ["a"], "maxLength": 1})",
                                R"({"allOf": [{"type": "string"}, {"type": "integer"}]})",
                                R"({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "string"}}})",
                                R"({"allOf": [{"$ref": "#/$defs/nothing"}]})",
                                R"({"type": "string", "allOf": [{"minLength": 3}]})",
                                R"({"type": "object", "properties": {"a": {"not": {}}}})",
                                R"({"type": "array", "items": {"not": {}}})",
                                R"({"anyOf": [{"type": "null"}, {"not": {}}]})",
                                R"({"type": "object", "additionalProperties": {"not": {}}})",
                                R"({"$defs": {"a": {"not": {}}}})",
                                R"({"type": ["object", "null"], "minProperties": 1})",
                                R"({"type": "array", "items": [{"type": "string"}], "minItems": 2})",
                                R"({"type": "array", "prefixItems": [{}, {}], "maxItems": 1})",
                                R"({"type": "array", "prefixItems": [{}], "items": {"type": "string"}})"})
        EXPECT_EQ(status(schema), 400) << schema;
}

}  // namespace
}  // namespace shimmy::serve
