// What a request may say before a model sees it.
#include "serve/bounds/grammar_bounds.h"
#include "serve/bounds/request_bounds.h"
#include "serve/http/budget.h"
#include "serve/http/json_limits.h"
#include "serve/http/request.h"

#include "status_of.h"

#include <gtest/gtest.h>

#include <string>

namespace shimmy::serve {
namespace {

std::string repeated(const std::string & text, size_t n) {
    std::string all;
    for (size_t i = 0; i < n; ++i)
        all += text;
    return all;
}

int status_of_request(const std::string & body) {
    return status_of([&] { require_bounded(parse_object(body)); });
}

TEST(JsonLimits, DepthAndNumberOfValues) {
    const auto nested = [](size_t depth) { return "{\"x\":" + repeated("[", depth) + repeated("]", depth) + "}"; };
    EXPECT_EQ(status_of([&] { parse_object(nested(MAX_JSON_DEPTH - 1)); }), 200);
    EXPECT_EQ(status_of([&] { parse_object(nested(MAX_JSON_DEPTH)); }), 400);
    EXPECT_EQ(status_of([&] { parse_object(nested(1'000'000)); }), 400);
    EXPECT_EQ(status_of([&] { parse_object(repeated("{\"x\":", 100'000)); }), 400);
    EXPECT_EQ(status_of([&] { parse_object("{\"x\":[0" + repeated(",0", 100'000) + "]}"); }), 200);
    EXPECT_EQ(status_of([&] { parse_object("{\"x\":[0" + repeated(",0", MAX_JSON_VALUES) + "]}"); }), 400);
    // Brackets in text are text.
    EXPECT_EQ(status_of([&] { parse_object("{\"x\":\"" + repeated("[{\\\"", 1000) + "\"}"); }), 200);
    EXPECT_EQ(status_of([&] { parse_object("{\"x\":\"\\\\\",\"y\":" + repeated("[", 200) + "}"); }), 400);
}

TEST(Bounds, NumbersThatDoNotFitAreNotCutOff) {
    for (const char * body : {R"({"max_tokens": 4294967297})", R"({"n_predict": -4294967295})",
                              R"({"max_tokens": 1e30})", R"({"top_k": 1.5})", R"({"n": "2"})", R"({"logprobs": -1})",
                              R"({"n_probs": -1})", R"({"max_output_tokens": 2147483648})", R"({"seed": 1e300})"})
        EXPECT_EQ(status_of_request(body), 400) << body;
    for (const char * body : {R"({"max_tokens": 2147483647})", R"({"max_tokens": null})", R"({"n_predict": -1})",
                              R"({"logprobs": true})", R"({"logprobs": 2})", R"({"seed": 9007199254740993})", "{}"})
        EXPECT_EQ(status_of_request(body), 200) << body;
}

TEST(Bounds, StopsAreTexts) {
    for (const char * body : {R"({"stop": ""})", R"({"stop": ["a", ""]})", R"({"stop": 3})", R"({"stop": [1]})",
                              R"({"stop_sequences": [""]})"})
        EXPECT_EQ(status_of_request(body), 400) << body;
    for (const char * body : {R"({"stop": "a"})", R"({"stop": []})", R"({"stop": null})", R"({"stop": ["a", "b"]})"})
        EXPECT_EQ(status_of_request(body), 200) << body;
}

TEST(Bounds, TriggersHaveTypesThatThereAre) {
    EXPECT_EQ(status_of_request(R"({"grammar_triggers": [{"type": 3, "value": "a"}]})"), 200);
    for (const char * body :
         {R"({"grammar_triggers": [{"type": 99, "value": "a"}]})", R"({"grammar_triggers": [{"type": -1}]})",
          R"({"grammar_triggers": [{}]})", R"({"grammar_triggers": [{"type": "0"}]})", R"({"grammar_triggers": 1})",
          R"({"chat_parser": "{}"})", R"({"chat_format": 99})"})
        EXPECT_EQ(status_of_request(body), 400) << body;
}

TEST(Bounds, Grammars) {
    const auto status = [](const std::string & grammar) {
        return status_of([&] { require_bounded_grammar(grammar, "grammar"); });
    };
    for (const std::string & good :
         {std::string("root ::= [a-z]{1,10} (\"((((\" | [({]+)*"), std::string("# ((((((\nroot ::= \"a\\\"(\" {2}"),
          "root ::= " + repeated("\"(\" ", 1000)})
        EXPECT_EQ(status(good), 200) << good;
    for (const std::string & bad :
         {"root ::= " + repeated("(", 100'000) + "[a]" + repeated(")", 100'000), std::string("root ::= \"a\"{3,1}"),
          std::string("root ::= \"a\"{1,99999999999999999999}"), "root ::= " + repeated("\"a\"{2000} ", 11),
          "root ::= [" + std::string(300'000, 'a') + "]", repeated("a ::= b\n", 6000)})
        EXPECT_EQ(status(bad), 400) << bad.substr(0, 100);
}

TEST(Bounds, PatternsInSchemas) {
    const auto status = [](const Json & schema) {
        return status_of([&] {
            require_bounded(
                Json{{"response_format", {{"type", "json_schema"}, {"json_schema", {{"schema", schema}}}}}});
        });
    };
    EXPECT_EQ(status({{"type", "string"}, {"pattern", "^a{1,3}[{(]\\{9,1\\}$"}}), 200);
    for (const std::string & pattern :
         {std::string("^a{3,1}$"), std::string("^a{0,3000}$"), "^" + std::string(200, '(') + "$",
          std::string(5000, 'a'), "^" + repeated("a{1999}", 20) + "$"})
        EXPECT_EQ(status({{"type", "string"}, {"pattern", pattern}}), 400) << pattern.substr(0, 50);
    EXPECT_EQ(status({{"properties", {{"a", {{"pattern", "^a{3,1}$"}}}}}}), 400) << "deeper";
    for (const Json & schema :
         {Json{{"minLength", 5}, {"maxLength", 1}}, Json{{"minItems", -1}}, Json{{"minimum", 1e300}},
          Json{{"minimum", 2}, {"maximum", 1}}, Json{{"maxItems", 1.5}}})
        EXPECT_EQ(status(schema), 400) << schema;
    const Json tools = Json::array({{{"type", "function"}, {"function", {{"parameters", {{"pattern", "^a{3,1}$"}}}}}}});
    EXPECT_EQ(status_of([&] { require_bounded(Json{{"tools", tools}}); }), 400);
    // A conversation may talk of patterns.
    EXPECT_EQ(status_of_request(R"({"messages": [{"role": "user", "content": [{"pattern": "a{3,1}"}]}]})"), 200);
}

TEST(Bounds, Conversations) {
    const auto status = [](const char * body) { return status_of([&] { require_messages(Json::parse(body)); }); };
    EXPECT_EQ(status(R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null}]})"),
              200);
    for (const char * body :
         {R"({})", R"({"messages": []})", R"({"messages": "a"})", R"({"messages": [1]})",
          R"({"messages": [{"content": "a"}]})", R"({"messages": [{"role": "banana", "content": "a"}]})",
          R"({"messages": [{"role": "user", "content": null}]})", R"({"messages": [{"role": 1, "content": "a"}]})",
          R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})"})
        EXPECT_EQ(status(body), 400) << body;
}

TEST(Bounds, AnthropicConversations) {
    const auto status = [](const char * body) {
        return status_of([&] { require_anthropic_messages(Json::parse(body)); });
    };
    EXPECT_EQ(status(R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]})"), 200);
    for (const char * body : {R"({"messages": "hi"})", R"({"messages": []})", R"({"messages": [{"role": "user"}]})",
                              R"({"messages": [{"role": "tool", "content": "a"}]})"})
        EXPECT_EQ(status(body), 400) << body;
}

TEST(Budget, IsSharedAndGivenBack) {
    Budget budget(100);
    {
        Budget::Share first(budget);
        EXPECT_TRUE(first.take(60));
        Budget::Share second(budget);
        EXPECT_FALSE(second.take(50));
        EXPECT_TRUE(second.take(40));
        EXPECT_FALSE(first.take(1));
        Budget::Share moved = std::move(first);
        EXPECT_FALSE(second.take(1));
    }
    Budget::Share whole(budget);
    EXPECT_TRUE(whole.take(100));
}

}  // namespace
}  // namespace shimmy::serve
