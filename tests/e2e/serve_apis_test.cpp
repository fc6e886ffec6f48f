// shimmy serve's other APIs: shimmy's own, Ollama's, experts and metrics, and models that come and go.
#include "base/error.h"
#include "server_process.h"
#include "temp_dir.h"

#include <httplib.h>

#include <atomic>
#include <future>
#include <optional>
#include <sstream>
#include <thread>

namespace shimmy::e2e {
namespace {

using std::chrono::seconds;

constexpr const char * HELLO = "Hello";

// Greedy, so that every API must give the same text.
Json greedy(Json request) {
    request["temperature"] = 0;
    request["repeat_penalty"] = 1;
    return request;
}

std::string chat_text(const ServerProcess & server, int max_tokens) {
    const Json body =
        greedy({{"messages", Json::array({{{"role", "user"}, {"content", HELLO}}})}, {"max_tokens", max_tokens}});
    return server.post("/v1/chat/completions", body).json()["choices"][0]["message"]["content"];
}

// The text of raw server-sent events: the data lines of an event are lines of text.
std::string event_text(const std::string & body) {
    std::istringstream lines(body);
    std::string text;
    bool inside = false;  // of an event
    for (std::string line; std::getline(lines, line); inside = !line.empty()) {
        if (line.empty() || line == "data: [DONE]") continue;
        EXPECT_TRUE(line.starts_with("data: ")) << line;
        text += (inside ? "\n" : "") + line.substr(6);
    }
    return text;
}

class ServeApis : public ::testing::Test {
protected:
    std::string ollama(const std::string & path) const {
        return "http://" + server_.started()["ollama_address"].get<std::string>() + path;
    }

    ServerProcess server_{{"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0", "--parallel", "4"}};
};

TEST_F(ServeApis, GenerateStreamsRawTextByDefault) {
    const Json request = greedy({{"prompt", HELLO}, {"max_tokens", 24}});
    const std::string streamed = server_.post("/api/generate", request).body;
    EXPECT_TRUE(streamed.ends_with("data: [DONE]\n\n")) << streamed;
    Json whole = request;
    whole["stream"] = false;
    const Json answer = server_.post("/api/generate", whole).json();
    EXPECT_EQ(event_text(streamed), answer["response"]);
    EXPECT_EQ(answer["response"], chat_text(server_, 24));
    EXPECT_EQ(answer["usage"]["completion_tokens"], 24);
    EXPECT_EQ(answer["finish_reason"], "length");
    EXPECT_GT(answer["timings"]["predicted_per_second"].get<double>(), 0.0);
}

TEST_F(ServeApis, TimingsAreToldWhereTheyAreAskedFor) {
    Json request =
        greedy({{"messages", Json::array({{{"role", "user"}, {"content", "say \"timings\":{"}}})}, {"max_tokens", 8}});
    const Json plain = server_.post("/v1/chat/completions", request).json();
    EXPECT_FALSE(plain["timings"].contains("queue_ms")) << plain;
    request["timings"] = true;
    const Json whole = server_.post("/v1/chat/completions", request).json();
    EXPECT_EQ(whole["choices"], plain["choices"]);
    EXPECT_GE(whole["timings"]["queue_ms"].get<double>(), 0.0);
    EXPECT_GE(whole["timings"]["ttft_ms"].get<double>(), whole["timings"]["prompt_ms"].get<double>());
    request["stream"] = true;
    const std::string streamed = server_.post("/v1/chat/completions", request).body;
    EXPECT_NE(streamed.find("\"queue_ms\":"), std::string::npos) << streamed;
    EXPECT_EQ(server_.post("/v1/chat/completions", {{"timings", "yes"}, {"messages", Json::array()}}).status, 400);
    const Json generated =
        server_.post("/api/generate", {{"prompt", HELLO}, {"max_tokens", 2}, {"stream", false}}).json();
    EXPECT_GT(generated["timings"]["ttft_ms"].get<double>(), 0.0);
}

TEST(ServeLog, SaysWhatEveryRequestTook) {
    ServerProcess server({"--model", tiny_moe().string(), "-v"});
    EXPECT_EQ(server.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 4}}).status, 200);
    EXPECT_EQ(server.process().stop(seconds(5)), 0);
    const std::string log = server.process().err();
    for (const char * part :
         {"/v1/completions tiny-moe-f16: queue ", "TTFT ", "prefill 2 tokens", "decode 4 tokens", "total "})
        EXPECT_NE(log.find(part), std::string::npos) << part << " not in\n" << log;
}

// Whole characters in every piece, whatever tokens they come in.
TEST_F(ServeApis, NoPieceOfAStreamEndsInsideACharacter) {
    const std::string text = "h\u00e9llo \xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\xa4\x97";
    const Json schema{{"type", "string"}, {"enum", Json::array({text})}};
    const Json messages = Json::array({{{"role", "user"}, {"content", HELLO}}});
    const std::string chat =
        server_
            .post("/v1/chat/completions",
                  {{"messages", messages},
                   {"stream", true},
                   {"response_format", {{"type", "json_schema"}, {"json_schema", {{"schema", schema}}}}}})
            .body;
    std::string got;
    std::istringstream events(chat);
    for (std::string line; std::getline(events, line);) {
        if (!line.starts_with("data: {")) continue;
        const Json event = Json::parse(line.substr(6));  // throws where it is no UTF-8
        if (event["choices"].empty()) continue;
        const Json delta = event["choices"][0].value("delta", Json::object());
        if (delta.contains("content") && delta["content"].is_string()) got += delta["content"].get<std::string>();
    }
    EXPECT_EQ(got, "\"" + text + "\"");
    std::string lines_text;
    std::istringstream lines(
        server_.post(ollama("/api/chat"), {{"model", "tiny-moe-f16"}, {"messages", messages}, {"format", schema}})
            .body);
    for (std::string line; std::getline(lines, line);)
        lines_text += Json::parse(line)["message"]["content"].get<std::string>();
    EXPECT_EQ(lines_text, got);
    EXPECT_EQ(got.find("\xef\xbf\xbd"), std::string::npos) << "a replacement character";
}

TEST(ServeEmbeddings, AreGivenWhereTheyAreAskedFor) {
    ServerProcess server({"--model", tiny_moe().string(), "--embeddings"});
    const auto embed = [&](const std::string & text) {
        const Json reply = server.post("/v1/embeddings", {{"input", text}}).json();
        return reply["data"][0]["embedding"].get<std::vector<double>>();
    };
    const std::vector<double> train = embed("A train travels");
    double square = 0.0;
    for (const double x : train)
        square += x * x;
    EXPECT_NEAR(square, 1.0, 1e-4);
    EXPECT_EQ(embed("A train travels"), train);
    EXPECT_NE(embed("Gradient descent"), train);
    EXPECT_EQ(server.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 2}}).status, 200) << "it also writes";
    EXPECT_EQ(server.post("/v1/embeddings", Json::object()).status, 400);
}

TEST(ServeEmbeddings, WithoutPoolingAreOfEveryToken) {
    ServerProcess server({"--model", tiny_moe().string(), "--embeddings", "--pooling", "none"});
    const HttpReply one = server.post("/v1/embeddings", {{"input", "A train travels"}});
    EXPECT_EQ(one.status, 400);
    EXPECT_NE(one.body.find("ask /embedding"), std::string::npos) << one.body;
    const size_t n_tokens =
        server.post("/tokenize", {{"content", "A train travels"}, {"add_special", true}}).json()["tokens"].size();
    const Json all = server.post("/embedding", {{"content", "A train travels"}}).json();
    EXPECT_EQ(all[0]["embedding"].size(), n_tokens);
    EXPECT_GT(n_tokens, 2U);
}

TEST_F(ServeApis, GenerateRefusesWhatItCannotRead) {
    EXPECT_EQ(server_.post("/api/generate", Json::object()).status, 400);
    EXPECT_EQ(server_.post("/api/generate", {{"prompt", "a"}, {"max_tokens", "many"}}).status, 400);
    EXPECT_EQ(server_.post("/api/generate", {{"prompt", "a"}, {"max_tokens", 1.5}}).status, 400);
    EXPECT_EQ(server_.post("/api/generate", {{"prompt", "a"}, {"model", "nobody"}}).status, 404);
    EXPECT_EQ(server_.post("/api/generate", {{"messages", "a"}}).status, 400);
}

TEST_F(ServeApis, GenerateOverAWebSocket) {
    httplib::ws::WebSocketClient client("ws://" + server_.address() + "/ws/generate");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.send(greedy({{"prompt", HELLO}, {"max_tokens", 12}}).dump()));
    std::string text;
    Json last;
    for (std::string frame; last.is_null() && client.read(frame);) {
        const Json json = Json::parse(frame, nullptr, /*allow_exceptions=*/false);
        if (json.is_object())
            last = json;
        else
            text += frame;
    }
    client.close();
    EXPECT_EQ(last["done"], true);
    EXPECT_EQ(last["usage"]["completion_tokens"], 12);
    EXPECT_EQ(text, chat_text(server_, 12));

    httplib::ws::WebSocketClient wrong("ws://" + server_.address() + "/ws/generate");
    ASSERT_TRUE(wrong.connect());
    ASSERT_TRUE(wrong.send("{nonsense"));
    std::string error;
    ASSERT_TRUE(wrong.read(error));
    EXPECT_NE(Json::parse(error)["error"].get<std::string>().find("not JSON"), std::string::npos);
}

TEST_F(ServeApis, OllamaAnswersInItsOwnShape) {
    const Json options{{"temperature", 0}, {"repeat_penalty", 1}, {"num_predict", 12}};
    const Json chat{{"model", "tiny-moe-f16"},
                    {"messages", Json::array({{{"role", "user"}, {"content", HELLO}}})},
                    {"options", options}};
    std::string text;
    Json last;
    const std::string body = server_.post(ollama("/api/chat"), chat).body;
    for (size_t start = 0, end = 0; (end = body.find('\n', start)) != std::string::npos; start = end + 1) {
        last = Json::parse(body.substr(start, end - start));
        EXPECT_EQ(last["model"], "tiny-moe-f16");
        text += last["message"]["content"].get<std::string>();
    }
    EXPECT_EQ(text, chat_text(server_, 12));
    EXPECT_EQ(last["done"], true);
    EXPECT_EQ(last["done_reason"], "length");
    EXPECT_EQ(last["eval_count"], 12);
    EXPECT_GT(last["eval_duration"].get<int64_t>(), 0);
    const Json whole =
        server_
            .post(ollama("/api/generate"),
                  {{"model", "tiny-moe-f16"}, {"prompt", HELLO}, {"stream", false}, {"options", options}})
            .json();
    EXPECT_EQ(whole["response"], text);
    EXPECT_EQ(server_.post(ollama("/api/show"), {{"model", "tiny-moe-f16"}}).json()["details"]["family"], "deepseek");
    EXPECT_EQ(server_.curl(ollama("/api/tags")).json()["models"][0]["name"], "tiny-moe-f16");
    EXPECT_EQ(server_.curl(ollama("/api/ps")).json()["models"].size(), 1U);
    const HttpReply unknown = server_.post(ollama("/api/chat"), {{"model", "nobody"}, {"messages", chat["messages"]}});
    EXPECT_EQ(unknown.status, 404);
    EXPECT_TRUE(unknown.json()["error"].is_string()) << unknown.body;
}

// A long prompt and two tokens of answer: no figure can pass for another.
TEST_F(ServeApis, OllamaTellsWhatEachPartTook) {
    std::string prompt;
    for (int i = 0; i < 60; ++i)
        prompt += "train " + std::to_string(i) + " ";
    const size_t n_prompt =
        server_.post("/tokenize", {{"content", prompt}, {"add_special", true}}).json()["tokens"].size();
    ASSERT_GT(n_prompt, 120U);
    const auto asked = std::chrono::steady_clock::now();
    const Json line = server_
                          .post(ollama("/api/generate"), {{"model", "tiny-moe-f16"},
                                                          {"prompt", prompt},
                                                          {"raw", true},
                                                          {"stream", false},
                                                          {"options", {{"temperature", 0}, {"num_predict", 2}}}})
                          .json();
    const int64_t waited_ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - asked).count();
    const int64_t total = line.at("total_duration"), load = line.at("load_duration"),
                  prompt_eval = line.at("prompt_eval_duration"), eval = line.at("eval_duration");
    EXPECT_EQ(line.at("prompt_eval_count"), n_prompt);
    EXPECT_EQ(line.at("eval_count"), 2);
    EXPECT_GT(prompt_eval, eval) << "two tokens after more than a hundred";
    EXPECT_GT(eval, 0);
    EXPECT_GE(load, 0);
    EXPECT_GE(total, load + prompt_eval);
    EXPECT_LE(total, waited_ns);
}

TEST_F(ServeApis, OllamasClientsFindWhatTheyLookAtFirst) {
    const std::string version = server_.curl(ollama("/api/version")).json()["version"];
    EXPECT_EQ(version.substr(0, 2), "0.");
    EXPECT_GE(std::atoi(version.c_str() + 2), 7) << "Copilot asks for 0.6.4";
    const std::string digest = server_.curl(ollama("/api/tags")).json()["models"][0]["digest"];
    EXPECT_EQ(digest.size(), 64U);
    EXPECT_EQ(digest.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_EQ(server_.post(ollama("/api/show"), {{"model", "tiny-moe-f16:latest"}}).status, 200);
    EXPECT_EQ(server_.curl(ollama("/v1/models")).json()["data"][0]["id"], "tiny-moe-f16");
    const Json messages = Json::array({{{"role", "user"}, {"content", HELLO}}});
    EXPECT_EQ(server_.post(ollama("/v1/chat/completions"), {{"messages", messages}, {"max_tokens", 2}}).status, 200);
    EXPECT_TRUE(server_.post(ollama("/v1/chat/completions"), Json::object()).json()["error"]["message"].is_string());
}

TEST_F(ServeApis, OllamasModelsAreNotChanged) {
    EXPECT_EQ(server_.post(ollama("/api/pull"), {{"model", "tiny-moe-f16"}}).json()["status"], "success");
    const HttpReply other = server_.post(ollama("/api/pull"), {{"model", "llama3"}});
    EXPECT_EQ(other.status, 501);
    EXPECT_NE(other.body.find("shimmy pull"), std::string::npos) << other.body;
    EXPECT_EQ(server_.post(ollama("/api/pull"), Json::object()).status, 400);
    for (const char * path : {"/api/push", "/api/create", "/api/copy"})
        EXPECT_EQ(server_.post(ollama(path), {{"model", "tiny-moe-f16"}}).status, 501) << path;
    EXPECT_EQ(server_.post(ollama("/api/delete"), {{"model", "tiny-moe-f16"}}, {"-X", "DELETE"}).status, 501);
    EXPECT_EQ(server_.curl(ollama("/api/tags")).json()["models"].size(), 1U) << "it is still there";
}

TEST_F(ServeApis, OllamasNullIsAsIfItWereNotThere) {
    const Json messages = Json::array({{{"role", "user"}, {"content", HELLO}}});
    Json request{{"model", "tiny-moe-f16"},
                 {"messages", messages},
                 {"stream", false},
                 {"options", {{"num_predict", 12}, {"temperature", 0}}}};
    const Json plain = server_.post(ollama("/api/chat"), request).json();
    for (const char * key : {"format", "tools", "think", "keep_alive"})
        request[key] = nullptr;
    const Json with_null = server_.post(ollama("/api/chat"), request).json();
    EXPECT_EQ(with_null["message"], plain["message"]);
    request["options"] = nullptr;
    request["messages"][0]["images"] = nullptr;
    EXPECT_EQ(server_.post(ollama("/api/chat"), request).status, 200);
}

TEST_F(ServeApis, OllamasKeepAliveOfZeroUnloadsAfterTheAnswer) {
    const Json messages = Json::array({{{"role", "user"}, {"content", HELLO}}});
    for (const bool stream : {false, true}) {
        const Json request{{"model", "tiny-moe-f16"},
                           {"messages", messages},
                           {"stream", stream},
                           {"keep_alive", 0},
                           {"options", {{"num_predict", 3}}}};
        EXPECT_EQ(server_.post(ollama("/api/chat"), request).status, 200);
        EXPECT_EQ(server_.curl(ollama("/api/ps")).json()["models"].size(), 0U) << stream;
    }
}

TEST(ServeOllama, EmbedsAndKnowsItsTemplate) {
    ServerProcess server({"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0", "--embeddings",
                          "--chat-template-file",
                          SHIMMY_LLAMA_DIR "/models/templates/mistralai-Mistral-Nemo-Instruct-2407.jinja"});
    const auto ollama = [&](const std::string & path) {
        return "http://" + server.started()["ollama_address"].get<std::string>() + path;
    };
    const Json own = server.post("/v1/embeddings", {{"input", "a"}, {"encoding_format", nullptr}}).json();
    const Json one = server.post(ollama("/api/embed"), {{"model", "tiny-moe-f16"}, {"input", "a"}}).json();
    ASSERT_EQ(one["embeddings"].size(), 1U) << one;
    EXPECT_EQ(one["embeddings"][0], own["data"][0]["embedding"]);
    EXPECT_EQ(server.post(ollama("/api/embed"), {{"model", "tiny-moe-f16"}, {"input", {"a", "b"}}})
                  .json()["embeddings"]
                  .size(),
              2U);
    EXPECT_EQ(server.post(ollama("/api/embeddings"), {{"model", "tiny-moe-f16"}, {"prompt", "a"}}).json()["embedding"],
              one["embeddings"][0]);
    std::string many;
    for (int i = 0; i < 1500; ++i)
        many += "a b ";
    EXPECT_EQ(server.post("/v1/embeddings", {{"input", many}}).status, 400);
    const Json shown = server.post(ollama("/api/show"), {{"model", "tiny-moe-f16"}}).json();
    EXPECT_EQ(shown["capabilities"], Json::array({"completion", "tools", "embedding"}));
    // A call without an id, and its answer: this template wants ids of nine letters and digits.
    const Json messages =
        Json::array({{{"role", "user"}, {"content", "a"}},
                     {{"role", "assistant"},
                      {"content", ""},
                      {"tool_calls", Json::array({{{"function", {{"name", "f"}, {"arguments", Json::object()}}}}})}},
                     {{"role", "tool"}, {"content", "1"}, {"tool_name", "f"}}});
    const HttpReply reply = server.post(
        ollama("/api/chat"),
        {{"model", "tiny-moe-f16"}, {"messages", messages}, {"stream", false}, {"options", {{"num_predict", 2}}}});
    EXPECT_EQ(reply.status, 200) << reply.body;
}

TEST_F(ServeApis, ResponsesAreWholeAndInOrder) {
    const Json input = Json::array({{{"role", "user"}, {"content", "a"}},
                                    {{"role", "assistant"}, {"content", "b"}},
                                    {{"role", "user"}, {"content", "c"}}});
    const Json whole = server_.post("/v1/responses", {{"input", input}, {"max_output_tokens", 3}}).json();
    EXPECT_EQ(whole["status"], "incomplete");
    EXPECT_EQ(whole["incomplete_details"]["reason"], "max_output_tokens");
    EXPECT_TRUE(whole["error"].is_null() && whole["tools"].is_array() && whole["metadata"].is_object()) << whole;
    std::istringstream events(
        server_.post("/v1/responses", {{"input", HELLO}, {"max_output_tokens", 3}, {"stream", true}}).body);
    int n = 0;
    std::string last;
    for (std::string line; std::getline(events, line);) {
        if (!line.starts_with("data: ")) continue;
        const Json event = Json::parse(line.substr(6));
        last = event["type"];
        EXPECT_EQ(event["sequence_number"], n++) << event;
        if (event.contains("response")) {
            EXPECT_TRUE(event["response"]["output"].is_array()) << event;
        }
        if (event.contains("item_id") || event.contains("item")) {
            EXPECT_EQ(event["output_index"], 0) << event;
        }
        if (last.starts_with("response.output_text.")) {
            EXPECT_EQ(event["content_index"], 0) << event;
        }
    }
    EXPECT_EQ(last, "response.incomplete");
    EXPECT_GT(n, 5);
    const Json schema{{"type", "object"}, {"properties", {{"a", {{"type", "integer"}}}}}, {"required", {"a"}}};
    const Json typed = server_
                           .post("/v1/responses",
                                 {{"input", HELLO},
                                  {"max_output_tokens", 60},
                                  {"text", {{"format", {{"type", "json_schema"}, {"name", "x"}, {"schema", schema}}}}}})
                           .json();
    const std::string text = typed["output"][0]["content"][0]["text"];
    EXPECT_EQ(text.substr(0, 1), "{") << text;
    for (const Json & more : {Json{{"background", true}}, Json{{"conversation", "c"}}}) {
        Json request{{"input", HELLO}};
        request.update(more);
        EXPECT_EQ(server_.post("/v1/responses", request).status, 400) << more;
    }
}

TEST_F(ServeApis, AnthropicsStopsAreNamed) {
    Json request{{"max_tokens", 20},
                 {"temperature", 0},
                 {"stop_sequences", {"e"}},
                 {"messages", Json::array({{{"role", "user"}, {"content", HELLO}}})}};
    const Json whole = server_.post("/v1/messages", request).json();
    EXPECT_EQ(whole["stop_reason"], "stop_sequence");
    EXPECT_EQ(whole["stop_sequence"], "e");
    request["stream"] = true;
    const std::string events = server_.post("/v1/messages", request).body;
    EXPECT_NE(events.find("\"stop_reason\":\"stop_sequence\""), std::string::npos) << events;
    EXPECT_EQ(server_.post("/v1/messages", Json::object()).json()["error"]["type"], "invalid_request_error");
    EXPECT_EQ(server_.post("/v1/messages", {{"model", "none"}, {"messages", request["messages"]}}).json()["type"],
              "error");
}

// The begun answer makes the small model call a tool.
TEST(ServeTools, TheOneThatIsNamedAndNoneAreWhatTheySay) {
    ServerProcess server({"--model", tiny_moe().string(), "--chat-template-file",
                          SHIMMY_LLAMA_DIR "/models/templates/mistralai-Mistral-Nemo-Instruct-2407.jinja"});
    const Json schema{{"type", "object"},
                      {"properties", {{"city", {{"type", "string"}, {"enum", {"Berlin", "Paris"}}}}}},
                      {"required", {"city"}}};
    const auto function = [&](const char * name) {
        return Json{{"type", "function"}, {"function", {{"name", name}, {"parameters", schema}}}};
    };
    const Json messages = Json::array({{{"role", "user"}, {"content", "weather?"}}});
    const auto choose = [&](const char * name) {
        return server.post("/v1/chat/completions",
                           {{"messages", messages},
                            {"max_tokens", 3},
                            {"tools", Json::array({function("one"), function("two")})},
                            {"tool_choice", {{"type", "function"}, {"function", {{"name", name}}}}}});
    };
    EXPECT_EQ(choose("two").status, 200);
    const HttpReply unknown = choose("three");
    EXPECT_EQ(unknown.status, 400);
    EXPECT_NE(unknown.body.find("three"), std::string::npos) << unknown.body;
    const Json begun =
        Json::array({{{"role", "user"}, {"content", "weather?"}},
                     {{"role", "assistant"},
                      {"content", "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \""}}});
    Json request{{"max_tokens", 60},
                 {"temperature", 0},
                 {"messages", begun},
                 {"tools", Json::array({{{"name", "get_weather"}, {"input_schema", schema}}})}};
    for (const auto & [choice, calls] :
         {std::pair{Json{{"type", "any"}}, true}, std::pair{Json{{"type", "none"}}, false}}) {
        request["tool_choice"] = choice;
        const std::string body = server.post("/v1/messages", request).body;
        EXPECT_EQ(body.find("\"tool_use\"") != std::string::npos, calls) << choice << body;
    }
    request["tool_choice"] = {{"type", "tool"}, {"name", "nobody"}};
    EXPECT_EQ(server.post("/v1/messages", request).status, 400);
}

TEST_F(ServeApis, ChoicesAreAllCounted) {
    const Json messages = Json::array({{{"role", "user"}, {"content", HELLO}}});
    const Json answer =
        server_
            .post("/v1/chat/completions", {{"messages", messages}, {"n", 2}, {"max_tokens", 3}, {"ignore_eos", true}})
            .json();
    EXPECT_EQ(answer["choices"].size(), 2U);
    EXPECT_EQ(answer["usage"]["completion_tokens"], 6);
    EXPECT_EQ(answer["usage"]["total_tokens"], answer["usage"]["prompt_tokens"].get<int>() + 6);
}

TEST_F(ServeApis, ExpertsAreCountedByLayer) {
    chat_text(server_, 8);
    const Json model = server_.curl("/v1/moe?measure=bandwidth").json()["models"][0];
    const Json & layers = model["layers"];
    ASSERT_GT(layers.size(), 0U);
    for (const Json & layer : layers) {
        EXPECT_EQ(layer["placement"], "cpu");
        uint64_t hits = 0;
        for (const Json & n : layer["hits"])
            hits += n.get<uint64_t>();
        EXPECT_GT(hits, 8U) << layer;
        EXPECT_EQ(layer["hits"].size(), layer["read_bytes"].size());
    }
    EXPECT_GT(model["decode_ceiling_tps"].get<double>(), 0.0);
    EXPECT_EQ(model["vram"]["total_bytes"], 0);
    const std::string metrics = server_.curl("/metrics").body;
    for (const char * part :
         {"# TYPE shimmy_expert_hits_total counter",
          "shimmy_expert_hits_total{model=\"tiny-moe-f16\",layer=\"1\",expert=\"0\"} ",
          "llamacpp:tokens_predicted_total{model=\"tiny-moe-f16\"} 8", "shimmy_model_loaded{model=\"tiny-moe-f16\"} 1",
          "shimmy_memory_bytes{model=\"tiny-moe-f16\",device=\"CPU\""})
        EXPECT_NE(metrics.find(part), std::string::npos) << part << "\n" << metrics;
}

// By model, of layer 1, all experts together; 0 where it was not counted.
uint64_t hits_of_layer_one(const ServerProcess & server, const std::string & name) {
    uint64_t hits = 0;
    const Json document = server.curl("/v1/moe").json();
    for (const Json & model : document["models"]) {
        if (model["model"] != name) continue;
        for (const Json & layer : model["layers"]) {
            if (layer["layer"] != 1 || layer["hits"].is_null()) continue;
            for (const Json & n : layer["hits"])
                hits += n.get<uint64_t>();
        }
    }
    return hits;
}

TEST(ServeExperts, AreCountedByModel) {
    ServerProcess server({"--model", tiny_moe().string(), "--model", tiny_moe("Q8_0").string(), "--no-warmup"});
    const auto ask = [&](const std::string & name) {
        return server.post("/v1/completions", {{"model", name}, {"prompt", "a"}, {"max_tokens", 4}}).status;
    };
    // What each has run when it was loaded, a few tokens, is not counted here.
    const uint64_t f16 = hits_of_layer_one(server, "tiny-moe-f16");
    const uint64_t q8 = hits_of_layer_one(server, "tiny-moe-q8-0");
    EXPECT_EQ(ask("tiny-moe-f16"), 200);
    const uint64_t once = hits_of_layer_one(server, "tiny-moe-f16") - f16;
    EXPECT_GT(once, 0U);
    EXPECT_EQ(hits_of_layer_one(server, "tiny-moe-q8-0"), q8);
    EXPECT_EQ(ask("tiny-moe-q8-0"), 200);
    EXPECT_EQ(hits_of_layer_one(server, "tiny-moe-f16"), f16 + once);
    EXPECT_EQ(hits_of_layer_one(server, "tiny-moe-q8-0"), q8 + once) << "as many tokens, as many choices";
}

class ServeModels : public ::testing::Test {
protected:
    ServeModels() {
        for (const char * quantization : {"Q8_0", "Q4_K_M"})
            fs::create_symlink(tiny_moe(quantization), dir_.path() / fmt::format("Tiny_{}.gguf", quantization));
        server_.emplace(std::vector<std::string>{"--model-dirs", dir_.path().string(), "--max-loaded", "1"});
    }

    std::string state(const std::string & name) const {
        return server_->curl("/api/models/" + name + "/status").json()["state"];
    }
    HttpReply complete(const std::string & name) const {
        return server_->post("/v1/completions", {{"model", name}, {"prompt", "a"}, {"max_tokens", 2}});
    }

    const TempDir dir_;
    std::optional<ServerProcess> server_;
};

TEST_F(ServeModels, AreLoadedWhenAskedForAndTheOldestMakesRoom) {
    EXPECT_EQ(state("tiny-q8-0"), "unloaded");
    EXPECT_EQ(complete("").status, 400) << "which one?";
    EXPECT_EQ(complete("tiny-q8-0").status, 200);
    EXPECT_EQ(state("tiny-q8-0"), "ready");
    EXPECT_EQ(complete("").status, 200) << "the one that was used last";
    EXPECT_EQ(complete("Tiny_Q4_K_M").status, 200);
    EXPECT_EQ(state("tiny-q8-0"), "unloaded");
    EXPECT_NE(server_->process().err().find("tiny-q8-0 was unloaded to make room"), std::string::npos);
    EXPECT_EQ(server_->curl("/api/models/tiny-q4-k-m/unload", {"-X", "POST"}).json()["state"], "unloaded");
    EXPECT_EQ(server_->curl("/api/models/tiny-q4-k-m/load", {"-X", "POST"}).json()["state"], "ready");
}

TEST_F(ServeModels, NewFilesAreFound) {
    fs::create_symlink(tiny_moe(), dir_.path() / "new.gguf");
    EXPECT_EQ(complete("new").status, 404);
    EXPECT_EQ(server_->curl("/api/models/discover", {"-X", "POST"}).json()["n_new"], 1);
    EXPECT_EQ(complete("new").status, 200);
}

TEST_F(ServeModels, AFileThatIsBrokenIsAnErrorOfItsRequestsOnly) {
    fs::copy_file(tiny_moe("Q8_0"), dir_.path() / "later.gguf");
    (void)server_->curl("/api/models/discover", {"-X", "POST"});
    fs::resize_file(dir_.path() / "later.gguf", 100000);
    const HttpReply reply = complete("later");
    EXPECT_EQ(reply.status, 503) << reply.body;
    EXPECT_NE(reply.body.find("later.gguf"), std::string::npos);
    EXPECT_EQ(complete("tiny-q8-0").status, 200);
}

TEST_F(ServeModels, OneThatIsAskedForWithoutAPauseKeepsNoOtherOneOut) {
    std::atomic<bool> done = false;
    std::atomic<int> n_failed = 0;
    std::atomic<int> n_answered = 0;
    std::vector<std::jthread> clients;
    for (int i = 0; i < 6; ++i) {
        clients.emplace_back([&] {
            httplib::Client client("http://" + server_->address());
            client.set_keep_alive(true);
            client.set_read_timeout(120);
            while (!done) {
                const auto result =
                    client.Post("/v1/completions", R"({"model": "tiny-q8-0", "prompt": "a", "max_tokens": 16})",
                                "application/json");
                ++(result && result->status == 200 ? n_answered : n_failed);
            }
        });
    }
    while (n_answered < 6)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(complete("tiny-q4-k-m").status, 200);
    done = true;
    clients.clear();
    EXPECT_EQ(n_failed, 0) << server_->process().err();
}

TEST_F(ServeModels, RequestsForTwoModelsAtOnceTakeTurns) {
    std::vector<std::future<int>> statuses;
    for (int i = 0; i < 6; ++i)
        statuses.push_back(std::async(std::launch::async,
                                      [&, i] { return complete(i % 2 == 0 ? "tiny-q8-0" : "tiny-q4-k-m").status; }));
    for (auto & status : statuses)
        EXPECT_EQ(status.get(), 200);
}

}  // namespace
}  // namespace shimmy::e2e
