// shimmy serve and requests that ended it, hung it or filled its memory: each gets an error with a reason, and the
// server answers afterwards.
#include "base/files.h"
#include "chat_request.h"
#include "engine/rewritten_model.h"
#include "server_process.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <string>

namespace shimmy::e2e {
namespace {

std::string repeated(const std::string & text, size_t n) {
    std::string all;
    for (size_t i = 0; i < n; ++i)
        all += text;
    return all;
}

Json short_chat(const Json & more) {
    Json body{{"messages", question()}, {"max_tokens", 3}};
    body.update(more);
    return body;
}

Json with_schema(const Json & schema) {
    return short_chat({{"response_format", {{"type", "json_schema"}, {"json_schema", {{"schema", schema}}}}}});
}

class ServeHostile : public ::testing::Test {
protected:
    HttpReply post_file(const std::string & path, const std::string & body) const {
        const fs::path file = dir_.path() / "body.json";
        write_file_atomic(file, body);
        return server_.curl(path, {"--data-binary", "@" + file.string()});
    }

    // It is refused with a reason, and everything is as before.
    void expect_refused(const std::string & path, const std::string & body, int status = 400) const {
        const HttpReply reply = post_file(path, body);
        EXPECT_EQ(reply.status, status) << path << " " << body.substr(0, 200) << "\n" << reply.body;
        EXPECT_GT(reply.body.size(), 10U);
        EXPECT_EQ(server_.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 2}}).status, 200) << path;
    }

    const TempDir dir_;
    ServerProcess server_{{"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0"}};
};

TEST_F(ServeHostile, DeepJsonOnEveryPath) {
    const std::string body = "{\"x\":" + repeated("[", 200'000) + repeated("]", 200'000) + "}";
    const std::string ollama = "http://" + server_.started()["ollama_address"].get<std::string>();
    for (const std::string & path :
         {std::string(CHAT), std::string("/v1/completions"), std::string("/v1/messages"),
          std::string("/v1/messages/count_tokens"), std::string("/v1/responses"), std::string("/v1/embeddings"),
          std::string("/tokenize"), std::string("/api/generate"), ollama + "/api/chat", ollama + "/api/show"})
        expect_refused(path, body);
}

TEST_F(ServeHostile, GrammarsAndPatterns) {
    for (const std::string & grammar : {"root ::= " + repeated("(", 100'000) + "[a]" + repeated(")", 100'000),
                                        std::string("root ::= [a]{3,1}"), "root ::= " + repeated("[a]{2000} ", 100)})
        expect_refused(CHAT, short_chat({{"grammar", grammar}}).dump());
    for (const char * pattern : {"^a{3,1}$", "^a{0,99999999}$"})
        expect_refused(CHAT, with_schema({{"type", "string"}, {"pattern", pattern}}).dump());
    expect_refused(CHAT, with_schema({{"type", "string"}, {"pattern", "^" + std::string(1000, '(') + "$"}}).dump());
    expect_refused(CHAT, with_schema({{"type", "array"}, {"minItems", 5}, {"maxItems", 1}}).dump());
    expect_refused("/completion", Json{{"prompt", "a"},
                                       {"grammar", "root ::= [a]"},
                                       {"grammar_lazy", true},
                                       {"grammar_triggers", Json::array({{{"type", 99}, {"value", "a"}}})}}
                                      .dump());
}

TEST_F(ServeHostile, ValuesThatMeanSomethingElse) {
    expect_refused(CHAT, short_chat({{"max_tokens", 4294967297}}).dump());
    expect_refused(CHAT, short_chat({{"stop", ""}}).dump());
    expect_refused(CHAT, short_chat({{"stop", {""}}}).dump());
    expect_refused("/completion", Json{{"prompt", "a"}, {"id_slot", 99}}.dump());
    expect_refused("/completion", Json{{"prompt", {999'999'999}}}.dump());
}

TEST_F(ServeHostile, FaultsOfTheClientAreNotTheServers) {
    const Json image{{"type", "image_url"}, {"image_url", {{"url", "data:image/png;base64,AA=="}}}};
    for (const Json & messages :
         {Json::array({{{"role", "user"}, {"content", Json::array({image})}}}), Json::array({{{"content", "a"}}}),
          Json::array({{{"role", "user"}, {"content", Json::array({{{"type", "text"}}})}}}), Json::array(),
          Json::array({{{"role", "banana"}, {"content", "a"}}}),
          Json::array({{{"role", "user"}, {"content", nullptr}}})})
        expect_refused(CHAT, Json{{"messages", messages}}.dump());
    for (const Json & messages : {Json("hi"), Json{{"a", 1}}, Json::array()})
        expect_refused("/v1/messages", Json{{"max_tokens", 5}, {"messages", messages}}.dump());
}

TEST_F(ServeHostile, PromptsThatCannotFitAreRefusedBeforeTheyAreTokens) {
    const HttpReply reply = post_file("/v1/completions", Json{{"prompt", std::string(30'000'000, 'a')}}.dump());
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_EQ(reply.json()["error"]["n_ctx"], 512);
    EXPECT_GT(reply.json()["error"]["n_prompt_tokens"], 512);
    expect_refused(
        CHAT, Json{{"messages", Json::array({{{"role", "user"}, {"content", std::string(3'000'000, 'a')}}})}}.dump());
}

TEST_F(ServeHostile, ProbabilitiesThatMemoryCannotHoldAreRefused) {
    for (const char * path : {"/completion", "/v1/completions"})
        expect_refused(path, R"({"prompt": "a", "n_probs": 2000000000})");
    expect_refused(CHAT, Json{{"messages", question()}, {"logprobs", true}, {"top_logprobs", 100'000}}.dump());
    const std::string error = server_.post("/completion", {{"prompt", "a"}, {"n_probs", 3000}}).body;
    EXPECT_NE(error.find("n_probs"), std::string::npos) << error;
    const Json answer = server_.post("/completion", {{"prompt", "a"}, {"n_predict", 2}, {"n_probs", 500}}).json();
    ASSERT_EQ(answer["completion_probabilities"].size(), 2) << answer.dump();
    EXPECT_EQ(answer["completion_probabilities"][1]["top_logprobs"].size(), 500);
}

TEST_F(ServeHostile, ABodyOfAMegabyteIsTakenWhateverItsType) {
    const HttpReply reply = post_file(
        "/v1/completions", Json{{"prompt", "a"}, {"max_tokens", 1}, {"x", std::string(1'200'000, 'b')}}.dump());
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(server_.curl("/v1/completions", {"-F", "prompt=a"}).status, 415);
}

TEST_F(ServeHostile, HostsAndOriginsOfOthersAreRefused) {
    const std::vector<std::string> rebound{"-H", "Host: evil.example", "-H", "Origin: http://evil.example"};
    EXPECT_EQ(server_.curl("/v1/models", rebound).status, 403);
    EXPECT_EQ(server_.curl("/api/models/tiny-moe-f16/unload", {"-X", "POST", "-H", "Host: evil.example"}).status, 403);
    EXPECT_EQ(server_.curl("/v1/models", {"-H", "Origin: app://obsidian.md"}).status, 403);
}

TEST(ServeOrigins, ThoseThatAreAllowedMayUseIt) {
    ServerProcess server({"--model", tiny_moe().string(), "--allow-origin", "app://obsidian.md", "--allow-origin",
                          "https://ai.example.com"});
    const HttpReply app = server.curl("/v1/models", {"-i", "-H", "Origin: app://obsidian.md"});
    EXPECT_EQ(app.status, 200) << app.body;
    EXPECT_NE(app.body.find("Access-Control-Allow-Origin: app://obsidian.md"), std::string::npos) << app.body;
    EXPECT_EQ(server.curl("/v1/models", {"-H", "Host: ai.example.com", "-H", "Origin: https://ai.example.com"}).status,
              200);
    EXPECT_EQ(server.curl("/v1/models", {"-H", "Host: evil.example"}).status, 403);
}

TEST(ServeOrigins, KeysAndAddressesThatMeanNothingAreErrors) {
    const std::string model = tiny_moe().string();
    expect_failure({"serve", "--model", model, "--api-key", "", "--bind", "127.0.0.1:0"}, 2, {"--api-key is empty"});
    expect_failure({"serve", "--model", model, "--bind", "127.evil.example:1"}, 2, {"other machines"});
    expect_failure({"serve", "--model", model, "--allow-origin", "example.com"}, 2, {"example.com", "no origin"});
}

// A chat template that never ends, in the model or given: its process goes, the server does not.
class ServeTemplates : public ::testing::TestWithParam<const char *> {};

TEST_P(ServeTemplates, ThatNeverEndCostTheirRequestOnly) {
    const TempDir dir;
    write_file_atomic(dir.path() / "template.jinja", GetParam());
    ServerProcess server({"--model", tiny_moe().string(), "--chat-template-file",
                          (dir.path() / "template.jinja").string(), "--stall-seconds", "3"});
    const HttpReply reply = server.post(CHAT, {{"messages", question()}, {"max_tokens", 2}, {"go", true}});
    EXPECT_TRUE(reply.status == 503 || reply.status == 400) << reply.status << reply.body;
    EXPECT_EQ(server.curl("/health").status, 200);
    EXPECT_EQ(server.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 2}}).status, 200);
}

// Only for this question, so that the model's process, which tries the template with texts of its own, loads.
INSTANTIATE_TEST_SUITE_P(
    Endless, ServeTemplates,
    ::testing::Values(
        "{%- macro again(n) -%}{{ again(n + 1) }}{%- endmacro -%}"
        "{%- for m in messages -%}{%- if 'gradient' in m['content'] -%}{{ again(0) }}{%- endif -%}{{ m['content'] }}{%- endfor -%}",
        "{%- for m in messages -%}{%- if 'gradient' in m['content'] -%}{%- for i in range(999999999) -%}x{%- endfor -%}{%- endif "
        "-%}{{ m['content'] }}{%- endfor -%}"));

// In the model's own file: it is tried when the model is loaded, before its weights are read.
TEST(ServeTemplateOfTheFile, ThatNeverEndsKeepsTheModelFromLoading) {
    const TempDir dir;
    engine::RewrittenModel model(tiny_moe());
    model.set("tokenizer.chat_template", "{% for i in range(999999999) %}x{% endfor %}");
    const ProcessResult result =
        shimmy({"serve", model.write(dir / "endless.gguf"), "--bind", "127.0.0.1:0", "--device", "cpu"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("the model's chat template takes more than"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace shimmy::e2e
