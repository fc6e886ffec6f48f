// shimmy serve answers what was asked: what cannot be done is a 400 that says so, and each API's answers have its own
// meaning, not another's.
#include "base/error.h"
#include "chat_request.h"
#include "server_process.h"
#include "temp_dir.h"

#include <httplib.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <thread>

namespace shimmy::e2e {
namespace {

#define TEMPLATE_OF(model) SHIMMY_LLAMA_DIR "/models/templates/" model ".jinja"

Json greedy_chat(const Json & more) {
    Json body{{"messages", question()}, {"temperature", 0}, {"max_tokens", 150}};
    body.update(more);
    return body;
}

// Behind a proxy that serves it under a path of its own, an address from the root would be somebody else's.
TEST(ServePage, AsksForNothingFromTheRoot) {
    ServerProcess server({"--model", tiny_moe().string()});
    const std::string page = server.curl("/").body;
    size_t n = 0;
    for (const char * path : {"v1/chat/completions", "api/models", "v1/moe"}) {
        for (size_t at = 0; (at = page.find(path, at)) != std::string::npos; ++at) {
            EXPECT_TRUE(page[at - 1] == '\'' || page[at - 1] == '"' || page[at - 1] == '`')
                << page.substr(at - std::min<size_t>(at, 40), 80);
            ++n;
        }
    }
    EXPECT_GE(n, 3U);
    EXPECT_EQ(page.find("href=\"/"), std::string::npos);
    EXPECT_EQ(page.find("src=\"/"), std::string::npos);
}

TEST(ServePage, IsCompressedForThoseWhoTakeIt) {
    ServerProcess server({"--model", tiny_moe().string()});
    const std::string page = server.curl("/").body;
    const std::string compressed = server.curl("/", {"-H", "Accept-Encoding: gzip"}).body;
    EXPECT_TRUE(page.starts_with("<!doctype html>"));
    EXPECT_TRUE(compressed.starts_with("\x1f\x8b")) << "gzip";
    EXPECT_LT(compressed.size(), page.size() / 2);
    EXPECT_EQ(server.curl("/", {"--compressed"}).body, page);
    EXPECT_EQ(server.curl("/", {"-H", "Accept-Encoding: gzip;q=0"}).body, page);
}

// Behind others that take longer than a second together: a stream begins before it has anything to say.
TEST(ServeQueue, AStreamThatWaitsBeginsWithAComment) {
    ServerProcess server({"--model", tiny_moe().string()});
    const auto complete = [&](const Json & body) {
        httplib::Client client("http://" + server.address());
        client.set_read_timeout(std::chrono::minutes(5));
        const auto result = client.Post("/v1/completions", body.dump(), "application/json");
        return result && result->status == 200 ? result->body : std::string();
    };
    std::vector<std::jthread> others;
    for (int i = 0; i < 12; ++i)
        others.emplace_back([&] {
            EXPECT_NE(complete({{"prompt", "a"}, {"max_tokens", 450}, {"ignore_eos", true}}), "");
        });
    const auto n_waiting = [&] {
        return server.curl("/api/models/tiny-moe-f16/status").json()["n_requests"].get<int>();
    };
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
         n_waiting() < 6 && std::chrono::steady_clock::now() < end;)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::string body = complete({{"prompt", "b"}, {"max_tokens", 2}, {"stream", true}});
    EXPECT_TRUE(body.starts_with(":\n\n")) << body;
    EXPECT_TRUE(body.ends_with("data: [DONE]\n\n")) << body;
}

class ServeMeaning : public ::testing::Test {
protected:
    std::string ollama(const std::string & path) const {
        return "http://" + server_.started()["ollama_address"].get<std::string>() + path;
    }
    int status(const std::string & path, const Json & body) const { return server_.post(path, body).status; }

    ServerProcess server_{{"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0", "--parallel", "4"}};
};

// Judged by the standard library's regular expressions, which are ECMA-262's as JSON Schema's are.
TEST_F(ServeMeaning, PatternsAreKept) {
    for (const char * pattern :
         {R"(^\d{4}-\d{2}-\d{2}$)", R"(^\w{1,3}@x$)", R"(^[a-z]{3}$)", R"(^[^\d\s]{4}$)", R"(^("|\\|/){2}$)",
          R"(^.{5}$)", R"(^(?:ab|cd){1,3}?$)", R"(^\S\s\S$)", R"(^a{2}\.\u0041$)", R"(^[\w.-]{2}\-\n$)"}) {
        const Json schema{{"type", "string"}, {"pattern", pattern}};
        const HttpReply reply = server_.post(
            CHAT, greedy_chat({{"response_format", {{"type", "json_schema"}, {"json_schema", {{"schema", schema}}}}}}));
        ASSERT_EQ(reply.status, 200) << pattern << reply.body;
        const Json answer = Json::parse(reply.json()["choices"][0]["message"]["content"].get<std::string>());
        EXPECT_TRUE(std::regex_match(answer.get<std::string>(), std::regex(pattern))) << pattern << ": " << answer;
    }
}

TEST_F(ServeMeaning, WhatCannotBeKeptIsRefusedByEveryApi) {
    const Json bad{{"type", "array"}, {"uniqueItems", true}};
    const Json format{{"type", "json_schema"}, {"schema", bad}};
    const Json named{{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", bad}}}};
    EXPECT_EQ(status(CHAT, greedy_chat({{"response_format", named}})), 400);
    EXPECT_EQ(status("/v1/completions", {{"prompt", "a"}, {"json_schema", bad}}), 400);
    EXPECT_EQ(status("/completion", {{"prompt", "a"}, {"json_schema", bad}}), 400);
    EXPECT_EQ(status("/v1/responses", {{"input", "a"}, {"text", {{"format", format}}}}), 400);
    EXPECT_EQ(status("/v1/messages", greedy_chat({{"output_config", {{"format", format}}}})), 400);
    EXPECT_EQ(status(ollama("/api/chat"), {{"messages", question()}, {"format", bad}}), 400);
    const HttpReply reply = server_.post("/v1/responses", {{"input", "a"}, {"prompt", {{"id", "x"}}}});
    EXPECT_EQ(reply.status, 400);
    EXPECT_NE(reply.body.find("\\\"prompt\\\" is not supported"), std::string::npos) << reply.body;
}

// Clients of typed languages send null for what was not set.
TEST_F(ServeMeaning, NullIsAsIfItWereNotThere) {
    const std::vector<std::pair<std::string, std::vector<const char *>>> members{
        {CHAT,
         {"tools",
          "tool_choice",
          "stop",
          "response_format",
          "temperature",
          "stream",
          "n",
          "logit_bias",
          "seed",
          "logprobs",
          "top_logprobs",
          "stream_options",
          "reasoning_effort",
          "reasoning_format",
          "grammar",
          "json_schema",
          "parallel_tool_calls",
          "chat_template_kwargs",
          "modalities",
          "id_slot"}},
        {"/v1/responses",
         {"tools", "tool_choice", "text", "reasoning", "instructions", "stream", "previous_response_id", "background",
          "conversation", "include", "top_logprobs", "temperature", "metadata", "prompt"}},
        {"/v1/messages",
         {"tools", "tool_choice", "system", "stop_sequences", "thinking", "metadata", "stream", "temperature", "top_k",
          "output_config", "container", "mcp_servers"}},
        {"/v1/completions", {"stop", "echo", "suffix", "best_of", "logprobs", "n", "stream", "seed", "logit_bias"}},
        {"/api/generate", {"messages", "system", "stop", "seed", "temperature", "top_k", "model"}},
        {"/v1/chat/completions/input_tokens", {"tools", "tool_choice", "reasoning_format"}},
        {"/v1/responses/input_tokens", {"tools", "text", "reasoning"}},
    };
    for (const auto & [path, keys] : members) {
        Json body = greedy_chat({{"max_tokens", 1}, {"max_output_tokens", 1}});
        if (path.find("responses") != std::string::npos) body["input"] = "a";
        if (path == "/v1/completions" || path == "/api/generate") {
            body["prompt"] = "a";
            body.erase("messages");
        }
        for (const char * key : keys) {
            Json with_null = body;
            with_null[key] = nullptr;
            EXPECT_EQ(status(path, with_null), 200) << path << " " << key;
        }
    }
    const Json messages =
        Json::array({{{"role", "user"}, {"content", "a"}, {"name", nullptr}},
                     {{"role", "assistant"}, {"content", "b"}, {"tool_calls", nullptr}, {"refusal", nullptr}},
                     {{"role", "user"}, {"content", "c"}}});
    EXPECT_EQ(status(CHAT, {{"messages", messages}, {"max_tokens", 1}}), 200);
}

// As OpenAI's client gives back what it got: whole items, thoughts without their text.
TEST_F(ServeMeaning, ItemsOfEarlierResponsesMayBeSentBack) {
    const Json answer{
        {"type", "message"},
        {"id", "msg_1"},
        {"role", "assistant"},
        {"status", "completed"},
        {"content", Json::array({{{"type", "output_text"}, {"text", "b"}, {"annotations", Json::array()}}})}};
    for (const Json & thought :
         {Json{{"type", "reasoning"}, {"id", "rs_1"}, {"summary", Json::array()}},
          Json{{"type", "reasoning"}, {"id", "rs_1"}, {"summary", Json::array()}, {"content", nullptr}},
          Json{{"type", "reasoning"}, {"id", "rs_1"}, {"summary", Json::array()}, {"content", Json::array()}}}) {
        const Json input =
            Json::array({{{"role", "user"}, {"content", "a"}}, thought, answer, {{"role", "user"}, {"content", "c"}}});
        EXPECT_EQ(status("/v1/responses", {{"input", input}, {"max_output_tokens", 2}}), 200) << thought;
        EXPECT_EQ(status("/v1/responses/input_tokens", {{"input", input}}), 200) << thought;
    }
}

TEST_F(ServeMeaning, AnthropicsFormatIsKept) {
    const Json schema{{"type", "object"}, {"properties", {{"a", {{"enum", {"yes", "no"}}}}}}, {"required", {"a"}}};
    for (const bool newer : {true, false}) {
        const Json format{{"type", "json_schema"}, {"schema", schema}};
        const Json more = newer ? Json{{"output_config", {{"format", format}}}} : Json{{"output_format", format}};
        const Json answer = server_.post("/v1/messages", greedy_chat(more)).json();
        const Json object = Json::parse(answer["content"][0]["text"].get<std::string>());
        EXPECT_TRUE(object["a"] == "yes" || object["a"] == "no") << answer;
    }
}

TEST_F(ServeMeaning, LegacyLogprobsHaveTheirOwnShape) {
    const Json request{{"prompt", "A"}, {"max_tokens", 3}, {"logprobs", 2}, {"temperature", 0}};
    const Json choice = server_.post("/v1/completions", request).json()["choices"][0];
    const Json & logprobs = choice["logprobs"];
    ASSERT_EQ(logprobs["tokens"].size(), 3U) << choice;
    std::string text;
    for (size_t i = 0; i < 3; ++i) {
        const std::string token = logprobs["tokens"][i];
        EXPECT_EQ(logprobs["text_offset"][i], text.size());
        EXPECT_EQ(logprobs["top_logprobs"][i].size(), 2U) << logprobs;
        EXPECT_EQ(logprobs["top_logprobs"][i][token], logprobs["token_logprobs"][i])
            << "the likeliest, at temperature 0";
        text += token;
    }
    EXPECT_EQ(text, choice["text"]);
    Json streamed = request;
    streamed["stream"] = true;
    size_t offset = 0;
    for (const Json & event : events_of(server_.post("/v1/completions", streamed).body)) {
        if (event["choices"].empty() || event["choices"][0]["logprobs"].is_null()) continue;
        const Json & one = event["choices"][0]["logprobs"];
        EXPECT_EQ(one["text_offset"][0], offset) << event;
        offset += one["tokens"][0].get<std::string>().size();
    }
    EXPECT_EQ(offset, text.size());
}

TEST_F(ServeMeaning, TokensOfEveryPromptAreCountedOnceWhateverTheChoices) {
    const auto usage = [&](const Json & prompts, int n) {
        return server_.post("/v1/completions", {{"prompt", prompts}, {"n", n}, {"max_tokens", 2}, {"ignore_eos", true}})
            .json()["usage"];
    };
    const int a = usage("A", 1)["prompt_tokens"];
    const int b = usage("one two three", 1)["prompt_tokens"];
    ASSERT_NE(a, b);
    for (const int n : {1, 2}) {
        const Json both = usage({"A", "one two three"}, n);
        EXPECT_EQ(both["prompt_tokens"], a + b) << n << both;
        EXPECT_EQ(both["completion_tokens"], 2 * 2 * n) << n << both;
        EXPECT_EQ(both["total_tokens"], a + b + 4 * n) << n << both;
    }
}

TEST_F(ServeMeaning, AnAnswerThatTheClientBeganIsNotGivenBack) {
    Json messages = question();
    messages.push_back({{"role", "assistant"}, {"content", "Gradient"}});
    const Json request{{"messages", messages}, {"max_tokens", 8}, {"temperature", 0}};
    const std::string text = server_.post("/v1/messages", request).json()["content"][0]["text"];
    EXPECT_TRUE(text.starts_with(" descent")) << text;
    Json streamed = request;
    streamed["stream"] = true;
    std::string deltas;
    for (const Json & event : events_of(server_.post("/v1/messages", streamed).body))
        if (event["type"] == "content_block_delta") deltas += event["delta"]["text"].get<std::string>();
    EXPECT_EQ(deltas, text);
    EXPECT_EQ(server_.post(CHAT, request).json()["choices"][0]["message"]["content"], text);
    deltas.clear();
    for (const Json & event : events_of(server_.post(CHAT, streamed).body)) {
        const Json delta = event["choices"].empty() ? Json::object() : event["choices"][0]["delta"];
        if (delta.contains("content") && delta["content"].is_string()) deltas += delta["content"].get<std::string>();
    }
    EXPECT_EQ(deltas, text);
    const Json options{{"temperature", 0}, {"num_predict", 8}};
    EXPECT_EQ(server_.post(ollama("/api/chat"), {{"messages", messages}, {"stream", false}, {"options", options}})
                  .json()["message"]["content"],
              text);
    const Json response =
        server_.post("/v1/responses", {{"input", messages}, {"max_output_tokens", 8}, {"temperature", 0}}).json();
    EXPECT_EQ(response["output"][0]["content"][0]["text"], text) << response;
}

TEST_F(ServeMeaning, ATemplateWithoutToolsIsSaidSo) {
    const Json tools = Json::array({{{"type", "function"}, {"function", {{"name", "f"}}}}});
    for (const Json & choice :
         {Json("auto"), Json("required"), Json{{"type", "function"}, {"function", {{"name", "f"}}}}}) {
        const HttpReply reply = server_.post(CHAT, greedy_chat({{"tools", tools}, {"tool_choice", choice}}));
        EXPECT_EQ(reply.status, 400) << choice;
        EXPECT_NE(reply.body.find("chat template of this model has no place for them"), std::string::npos)
            << reply.body;
    }
    EXPECT_EQ(status(CHAT, greedy_chat({{"tools", tools}, {"tool_choice", "none"}})), 200);
    EXPECT_EQ(status("/v1/messages", greedy_chat({{"tools", Json::array({{{"name", "f"}}})}})), 400);
    EXPECT_EQ(status(CHAT, greedy_chat({{"tool_choice", "required"}})), 400) << "of which tools?";
}

// Some clients read no calls from the line that ends an answer.
TEST(ServeToolChoice, OllamasCallsStandBeforeTheLastLine) {
    ServerProcess server({"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0", "--chat-template-file",
                          TEMPLATE_OF("mistralai-Mistral-Nemo-Instruct-2407")});
    const Json schema{
        {"type", "object"}, {"properties", {{"city", {{"enum", {"Berlin", "Paris"}}}}}}, {"required", {"city"}}};
    const Json tool{{"type", "function"}, {"function", {{"name", "get_weather"}, {"parameters", schema}}}};
    const std::string body = server
                                 .post("http://" + server.started()["ollama_address"].get<std::string>() + "/api/chat",
                                       {{"messages", Json::array({{{"role", "user"}, {"content", "a"}}})},
                                        {"tools", Json::array({tool})},
                                        {"tool_choice", "required"},
                                        {"options", {{"temperature", 0}, {"num_predict", 150}}}})
                                 .body;
    std::istringstream lines(body);
    bool called = false;
    for (std::string line; std::getline(lines, line);) {
        const Json part = Json::parse(line);
        if (!part["message"].contains("tool_calls")) continue;
        EXPECT_EQ(part["done"], false) << line;
        EXPECT_EQ(part["message"]["tool_calls"][0]["function"]["name"], "get_weather") << line;
        EXPECT_TRUE(part["message"]["tool_calls"][0]["function"]["arguments"].is_object()) << line;
        called = true;
    }
    EXPECT_TRUE(called) << body;
}

// With templates of several kinds: marks around calls, a call that is bare JSON, one that follows what was thought.
TEST(ServeToolChoice, ACallThatIsRequiredComesFirst) {
    const Json schema{{"type", "object"},
                      {"properties", {{"city", {{"type", "string"}, {"enum", {"Berlin", "Paris"}}}}}},
                      {"required", {"city"}}};
    const Json tool{{"type", "function"}, {"function", {{"name", "get_weather"}, {"parameters", schema}}}};
    for (const char * file : {TEMPLATE_OF("mistralai-Mistral-Nemo-Instruct-2407"),
                              TEMPLATE_OF("meta-llama-Llama-3.1-8B-Instruct"), TEMPLATE_OF("LFM2-8B-A1B")}) {
        ServerProcess server({"--model", tiny_moe().string(), "--chat-template-file", file});
        const Json request{{"messages", Json::array({{{"role", "user"}, {"content", "a"}}})},
                           {"temperature", 0},
                           {"max_tokens", 150},
                           {"tools", Json::array({tool})},
                           {"tool_choice", "required"}};
        const HttpReply reply = server.post(CHAT, request);
        ASSERT_EQ(reply.status, 200) << file << reply.body;
        const Json message = reply.json()["choices"][0]["message"];
        ASSERT_TRUE(message.contains("tool_calls")) << file << message;
        EXPECT_EQ(message["tool_calls"][0]["function"]["name"], "get_weather") << file << message;
        EXPECT_TRUE(message["content"].is_null() || message["content"] == "") << file << message;
    }
}

TEST(ServeThinking, IsTurnedOnAndOffAndInOrder) {
    ServerProcess server({"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0", "--chat-template-file",
                          TEMPLATE_OF("Qwen-Qwen3-0.6B")});
    const std::string chat_path = "http://" + server.started()["ollama_address"].get<std::string>() + "/api/chat";
    const auto n_tokens = [&](const Json & think) {
        return server
            .post(chat_path,
                  {{"messages", question()}, {"think", think}, {"stream", false}, {"options", {{"num_predict", 1}}}})
            .json()["prompt_eval_count"];
    };
    const auto count = [&](const Json & more) {
        Json body{{"messages", question()}};
        body.update(more);
        return server.post("/v1/chat/completions/input_tokens", body).json()["input_tokens"];
    };
    const Json off = count({{"reasoning_effort", "none"}});
    const Json on = count(Json::object());
    ASSERT_NE(on, off);
    EXPECT_EQ(n_tokens(false), off);
    EXPECT_EQ(n_tokens(true), on);
    EXPECT_EQ(n_tokens(nullptr), on);
    for (const Json & think : {Json("banana"), Json(5), Json::array()})
        EXPECT_EQ(server.post(chat_path, {{"messages", question()}, {"think", think}}).status, 400) << think;
}

TEST_F(ServeMeaning, ThinkingWhereThereIsNoneIsAnErrorAtOllamas) {
    const auto ask = [&](const Json & think) {
        return status(ollama("/api/chat"),
                      {{"messages", question()}, {"think", think}, {"options", {{"num_predict", 1}}}});
    };
    EXPECT_EQ(ask(true), 400);
    EXPECT_EQ(ask("high"), 400);
    EXPECT_EQ(ask(false), 200);
}

// The template begins the thought, and the budget ends it after a few tokens.
TEST(ServeThinking, OneBlockStopsBeforeTheNextStarts) {
    ServerProcess server({"--model", tiny_moe().string(), "--chat-template-file",
                          TEMPLATE_OF("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B")});
    const Json thinking{{"type", "enabled"}, {"budget_tokens", 3}};
    const std::string messages =
        server.post("/v1/messages", greedy_chat({{"stream", true}, {"max_tokens", 14}, {"thinking", thinking}})).body;
    std::vector<std::string> kinds;
    int open = -1;
    for (const Json & event : events_of(messages)) {
        const std::string type = event["type"];
        if (type == "content_block_start") {
            EXPECT_EQ(open, -1) << messages;
            open = event["index"];
            kinds.push_back(event["content_block"]["type"]);
        } else if (type == "content_block_delta" || type == "content_block_stop") {
            EXPECT_EQ(event["index"], open) << messages;
            if (type == "content_block_stop") open = -1;
        }
    }
    EXPECT_EQ(open, -1);
    EXPECT_EQ(kinds, (std::vector<std::string>{"thinking", "text"})) << messages;
    EXPECT_NE(messages.find("signature_delta"), std::string::npos);

    const std::string responses = server
                                      .post("/v1/responses", {{"input", "Explain gradient descent"},
                                                              {"stream", true},
                                                              {"temperature", 0},
                                                              {"max_output_tokens", 14},
                                                              {"thinking_budget_tokens", 3}})
                                      .body;
    std::string open_item;
    std::map<std::string, std::string> deltas;
    std::vector<Json> items;
    int n = 0;
    Json last;
    for (const Json & event : events_of(responses)) {
        EXPECT_EQ(event["sequence_number"], n++);
        const std::string type = event["type"];
        last = event;
        if (type == "response.output_item.added") {
            EXPECT_EQ(open_item, "") << responses;
            open_item = event["item"]["id"];
        } else if (type == "response.output_item.done") {
            EXPECT_EQ(event["item"]["id"], open_item) << responses;
            items.push_back(event["item"]);
            open_item.clear();
        } else if (event.contains("item_id")) {
            EXPECT_EQ(event["item_id"], open_item) << responses;
            if (type.ends_with(".delta")) deltas[event["item_id"]] += event["delta"].get<std::string>();
            if (type.ends_with("_text.done")) {
                EXPECT_EQ(event["text"], deltas[event["item_id"]]);
            }
        }
    }
    ASSERT_EQ(items.size(), 2U) << responses;
    const Json & output = last["response"]["output"];
    ASSERT_EQ(output.size(), 2U) << last;
    for (size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(items[i]["id"], output[i]["id"]);
        EXPECT_EQ(items[i]["content"][0]["text"], output[i]["content"][0]["text"]);
        EXPECT_EQ(output[i]["content"][0]["text"], deltas[items[i]["id"]]);
    }
}

TEST(ServeLogOfPrompts, NeverHoldsAnyOfThem) {
    ServerProcess server({"--model", tiny_moe().string(), "-v"});
    for (const Json & system :
         {Json("x-anthropic-billing-header: cch=abc;SECRET"), Json("x-anthropic-billing-header: cch=SECRET"),
          Json::array({{{"type", "text"}, {"text", "x-anthropic-billing-header: x cch=;SECRET"}}})})
        for (const char * path : {"/v1/messages", "/v1/messages/count_tokens"})
            EXPECT_EQ(server.post(path, greedy_chat({{"max_tokens", 1}, {"system", system}})).status, 200);
    EXPECT_EQ(server.process().stop(std::chrono::seconds(10)), 0);
    EXPECT_EQ(server.process().err().find("SECRET"), std::string::npos) << server.process().err();
}

TEST(ServeModelNames, MayHaveSlashes) {
    const TempDir dir;
    const fs::path store = dir.path() / "manifests/hf.co/user/model";
    fs::create_directories(store);
    fs::create_directories(dir.path() / "blobs");
    const std::string digest = "sha256-" + std::string(64, 'a');
    fs::create_symlink(tiny_moe(), dir.path() / "blobs" / digest);
    const std::string manifest = Json{{"layers", Json::array({{{"mediaType", "application/vnd.ollama.image.model"},
                                                               {"digest", "sha256:" + std::string(64, 'a')}}})}}
                                     .dump();
    std::ofstream(store / "latest") << manifest;
    ServerProcess server({"--model-dirs", dir.path().string()});
    const Json models = server.curl("/v1/models").json()["data"];
    ASSERT_EQ(models.size(), 1U) << models;
    const std::string name = models[0]["id"];
    ASSERT_EQ(name, "hf.co/user/model:latest");
    for (const std::string & spelling :
         {name, std::string("hf.co%2Fuser%2Fmodel:latest"), std::string("hf.co/user/model")}) {
        EXPECT_EQ(server.curl("/v1/models/" + spelling).json()["id"], name) << spelling;
        EXPECT_EQ(server.curl("/api/models/" + spelling + "/load", {"-X", "POST"}).json()["state"], "ready");
        EXPECT_EQ(server.curl("/api/models/" + spelling + "/status").json()["name"], name);
        EXPECT_EQ(server.curl("/api/models/" + spelling + "/unload", {"-X", "POST"}).json()["state"], "unloaded");
    }
    EXPECT_EQ(server.curl("/v1/models/").json()["object"], "list");
    EXPECT_EQ(server.curl("/v1/models/a/b/c/d/e/f").status, 404);
    EXPECT_EQ(server.post("/v1/completions", {{"model", std::string(100'000, 'a')}, {"prompt", "a"}}).status, 404);
}

TEST_F(ServeMeaning, OllamasKeepAliveIsATime) {
    const auto ask = [&](const Json & keep_alive) {
        return status(ollama("/api/chat"),
                      {{"messages", question()}, {"keep_alive", keep_alive}, {"options", {{"num_predict", 1}}}});
    };
    const auto running = [&] { return server_.curl(ollama("/api/ps")).json()["models"]; };
    EXPECT_EQ(ask("1h"), 200);
    const std::string expires = running()[0]["expires_at"];
    EXPECT_GE(expires, running()[0]["modified_at"].get<std::string>()) << "a time to come";
    EXPECT_EQ(ask(-1), 200);
    EXPECT_EQ(running()[0]["expires_at"], "0001-01-01T00:00:00Z") << "never";
    EXPECT_EQ(ask("banana"), 400);
    EXPECT_EQ(ask(true), 400);
    EXPECT_EQ(ask("100ms"), 200);
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!running().empty() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(running().size(), 0U);
    EXPECT_EQ(ask("1h"), 200) << "it is loaded again";
    EXPECT_EQ(running().size(), 1U);
    // An empty request sets it, too.
    EXPECT_EQ(status(ollama("/api/generate"), {{"model", "tiny-moe-f16"}, {"keep_alive", "50ms"}}), 200);
    while (!running().empty() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(running().size(), 0U);
}

}  // namespace
}  // namespace shimmy::e2e
