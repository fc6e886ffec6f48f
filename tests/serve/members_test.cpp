// Members of requests that ask for what is not done here, and how long Ollama's clients keep a model.
#include "serve/bounds/members.h"
#include "serve/api/keep_alive.h"

#include "status_of.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace shimmy::serve {
namespace {

int status(const char * body, Dialect dialect) {
    return status_of([&] { require_supported(Json::parse(body), dialect); });
}

TEST(Members, WhatOnlyTellsAServiceSomethingPasses) {
    for (const char * body :
         {R"({"user": "x", "metadata": {"a": "b"}, "store": true, "service_tier": "auto", "prediction": {}})",
          R"({"audio": null, "functions": [], "modalities": ["text"], "response_format": {"type": "text"}})",
          R"({"response_format": {}, "tools": [], "tool_choice": "auto"})", R"({"tool_choice": "none"})"})
        EXPECT_EQ(status(body, Dialect::chat), 200) << body;
    EXPECT_EQ(status(R"({"echo": false, "suffix": "", "best_of": 1})", Dialect::completions), 200);
    EXPECT_EQ(status(R"({"store": true, "include": ["reasoning.encrypted_content"], "truncation": "auto",
                         "text": {"verbosity": "low"}, "background": false, "previous_response_id": null})",
                     Dialect::responses),
              200);
    EXPECT_EQ(status(R"({"metadata": {"user_id": "x"}, "mcp_servers": [], "context_management": {"edits": []}})",
                     Dialect::messages),
              200);
    EXPECT_EQ(status(R"({"format": "", "template": "", "logprobs": false})", Dialect::ollama), 200);
}

TEST(Members, WhatWouldChangeTheAnswerIsRefused) {
    const std::map<Dialect, std::vector<const char *>> requests{
        {Dialect::chat,
         {R"({"audio": {"voice": "a"}})", R"({"modalities": ["text", "audio"]})", R"({"functions": [{"name": "f"}]})",
          R"({"web_search_options": {"user_location": {}}})", R"({"response_format": "json"})",
          R"({"response_format": {"type": "banana"}})", R"({"response_format": {"type": "json_schema"}})",
          R"({"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}})",
          R"({"response_format": {"type": "json_object", "schema": {"not": {}}}})", R"({"json_schema": {"not": {}}})",
          R"({"tools": [{"type": "custom", "custom": {"name": "f"}}]})", R"({"tools": [{"function": {"name": "f"}}]})",
          R"({"tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": {"not": {}}}}]})",
          R"({"tool_choice": "required"})", R"({"tool_choice": "banana"})",
          R"({"tool_choice": {"type": "allowed_tools"}})",
          R"({"tool_choice": {"type": "function", "function": {"name": "f"}}})"}},
        {Dialect::completions, {R"({"suffix": "x"})", R"({"best_of": 3})", R"({"json_schema": {"not": {}}})"}},
        {Dialect::responses,
         {R"({"background": true})", R"({"conversation": "c"})", R"({"previous_response_id": "x"})",
          R"({"prompt": {"id": "x"}})", R"({"tools": [{"type": "web_search"}]})", R"({"text": "x"})",
          R"({"text": {"format": {"type": "json_schema"}}})",
          R"({"text": {"format": {"type": "json_schema", "schema": {"not": {}}}}})", R"({"top_logprobs": 2})",
          R"({"include": ["message.output_text.logprobs"]})", R"({"tool_choice": "required"})"}},
        {Dialect::messages,
         {R"({"container": "c"})", R"({"mcp_servers": [{}]})", R"({"tools": [{"type": "web_search_20250305"}]})",
          R"({"system": 3})", R"({"system": [{"type": "image"}]})", R"({"tool_choice": {"type": "banana"}})",
          R"({"tool_choice": "auto"})", R"({"tool_choice": {"type": "any"}})",
          R"({"output_config": {"format": {"type": "json_schema", "schema": {"not": {}}}}})",
          R"({"output_format": {"type": "banana"}})",
          R"({"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]})",
          R"({"messages": [{"role": "user", "content": [{"type": "server_tool_use"}]}]})",
          R"({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "document"}]}]}]})"}},
        {Dialect::ollama,
         {R"({"suffix": "x"})", R"({"template": "x"})", R"({"context": [1]})", R"({"logprobs": true})",
          R"({"format": 3})", R"({"format": "xml"})", R"({"format": {"not": {}}})"}},
        {Dialect::llama, {R"({"json_schema": {"not": {}}})"}},
    };
    for (const auto & [dialect, bodies] : requests) {
        for (const char * body : bodies)
            EXPECT_EQ(status(body, dialect), 400) << body;
    }
}

TEST(Members, SchemasOfToolsAreHeldToOnlyWhereTheyAreStrict) {
    EXPECT_EQ(status(R"({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"not": {}}}}]})",
                     Dialect::chat),
              200);
    EXPECT_EQ(status(R"({"tools": [{"name": "f", "strict": true, "input_schema": {"not": {}}}]})", Dialect::messages),
              400);
    EXPECT_EQ(status(R"({"tools": [{"type": "function", "name": "f", "strict": true, "parameters": {"not": {}}}]})",
                     Dialect::responses),
              400);
}

TEST(KeepAlive, IsReadAsGoDoes) {
    const auto ms = [](const char * value) -> int64_t {
        const auto keep_alive = keep_alive_of(Json::parse(value));
        if (!keep_alive) return -2;
        return keep_alive->time ? keep_alive->time->count() : -1;
    };
    EXPECT_EQ(ms("null"), -2) << "nothing is said";
    EXPECT_EQ(ms("300"), 300'000);
    EXPECT_EQ(ms("1.5"), 1500);
    EXPECT_EQ(ms("0"), 0);
    EXPECT_EQ(ms("\"0\""), 0);
    EXPECT_EQ(ms("\"5m\""), 300'000);
    EXPECT_EQ(ms("\"1h30m\""), 5'400'000);
    EXPECT_EQ(ms("\"1.5s\""), 1500);
    EXPECT_EQ(ms("\"500ms\""), 500);
    EXPECT_EQ(ms("\"+2s\""), 2000);
    EXPECT_EQ(ms("\"1h1m1s1ms\""), 3'661'001);
    for (const char * for_ever : {"-1", "\"-1m\"", "\"-1s\"", "1e300", "\"99999999h\""})
        EXPECT_EQ(ms(for_ever), -1) << for_ever;
    for (const char * none : {"\"\"", "\"banana\"", "\"5\"", "\"5 m\"", "\"m\"", "\"5x\"", "\"1..5s\"", "\".s\"",
                              "\"-\"", "true", "[]", "{}"})
        EXPECT_EQ(status_of([&] { keep_alive_of(Json::parse(none)); }), 400) << none;
}

}  // namespace
}  // namespace shimmy::serve
