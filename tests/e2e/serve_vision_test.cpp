// Pictures in the requests of every API that carries them, and those that must not reach a decoder.
#include "base/text/base64.h"
#include "gguf/model_info.h"
#include "local_server.h"
#include "program.h"
#include "projector.h"
#include "server_process.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace shimmy::e2e {
namespace {

const std::string BLACK = base64(picture(0, 0, 0));
const std::string WHITE = base64(picture(255, 255, 255));

Json openai_part(const std::string & url) {
    return {{"type", "image_url"}, {"image_url", {{"url", url}}}};
}
std::string data_url(const std::string & image) {
    return "data:image/bmp;base64," + image;
}

Json chat(const std::vector<std::string> & urls) {
    Json parts = Json::array({{{"type", "text"}, {"text", "Explain"}}});
    for (const std::string & url : urls)
        parts.push_back(openai_part(url));
    return {{"messages", {{{"role", "user"}, {"content", parts}}}}, {"temperature", 0}, {"max_tokens", 12}};
}

class ServeVision : public ::testing::Test {
protected:
    static fs::path projector(const TempDir & dir) {
        const fs::path file = dir.path() / "mmproj.gguf";
        write_projector(file, gguf::read_model_info(tiny_moe()).n_embd);
        return file;
    }
    std::string ollama(const std::string & path) const {
        return "http://" + server_.started()["ollama_address"].get<std::string>() + path;
    }
    // The greedy answer.
    std::string answer(const std::vector<std::string> & urls) const {
        const HttpReply reply = server_.post("/v1/chat/completions", chat(urls));
        EXPECT_EQ(reply.status, 200) << reply.body;
        return reply.json()["choices"][0]["message"]["content"];
    }
    // Of the answer's first token.
    double log_probability(const std::vector<std::string> & urls) const {
        Json request = chat(urls);
        request.update({{"logprobs", true}, {"max_tokens", 1}});
        const Json choice = server_.post("/v1/chat/completions", request).json()["choices"][0];
        return choice["logprobs"]["content"][0]["logprob"].get<double>();
    }
    int n_prompt_tokens(const std::vector<std::string> & urls) const {
        return server_.post("/v1/chat/completions", chat(urls)).json()["usage"]["prompt_tokens"].get<int>();
    }

    const TempDir dir_;
    ServerProcess server_{
        {"--model", tiny_moe().string(), "--mmproj", projector(dir_).string(), "--ollama-bind", "127.0.0.1:0"}};
};

TEST_F(ServeVision, APictureIsItsPatchesAndChangesTheAnswer) {
    const int with_one = n_prompt_tokens({data_url(BLACK)});
    EXPECT_EQ(n_prompt_tokens({data_url(BLACK), data_url(WHITE)}) - with_one, N_PATCHES);
    const double black = log_probability({data_url(BLACK)});
    EXPECT_GT(std::abs(log_probability({data_url(WHITE)}) - black), 1e-3);
    EXPECT_NEAR(log_probability({data_url(BLACK)}), black, 1e-4);
    EXPECT_GT(std::abs(log_probability({data_url(BLACK), data_url(WHITE)}) -
                       log_probability({data_url(WHITE), data_url(BLACK)})),
              1e-3);
}

TEST_F(ServeVision, EveryApiShowsTheSamePicture) {
    const std::string expected = answer({data_url(WHITE)});
    const Json text{{"type", "text"}, {"text", "Explain"}};
    const Json source{{"type", "base64"}, {"media_type", "image/bmp"}, {"data", WHITE}};
    const Json anthropic =
        server_
            .post("/v1/messages",
                  {{"max_tokens", 12},
                   {"temperature", 0},
                   {"messages",
                    {{{"role", "user"}, {"content", Json::array({text, {{"type", "image"}, {"source", source}}})}}}}})
            .json();
    EXPECT_EQ(anthropic["content"][0]["text"], expected);
    const Json parts = Json::array(
        {{{"type", "input_text"}, {"text", "Explain"}}, {{"type", "input_image"}, {"image_url", data_url(WHITE)}}});
    const Json responses =
        server_
            .post("/v1/responses",
                  {{"max_output_tokens", 12}, {"temperature", 0}, {"input", {{{"role", "user"}, {"content", parts}}}}})
            .json();
    EXPECT_EQ(responses["output"].back()["content"][0]["text"], expected);
    const Json options{{"temperature", 0}, {"num_predict", 12}};
    const Json message{{"role", "user"}, {"content", "Explain"}, {"images", {WHITE}}};
    EXPECT_EQ(server_
                  .post(ollama("/api/chat"),
                        {{"model", "tiny-moe-f16"}, {"stream", false}, {"options", options}, {"messages", {message}}})
                  .json()["message"]["content"],
              expected);
    EXPECT_EQ(server_
                  .post(ollama("/api/generate"), {{"model", "tiny-moe-f16"},
                                                  {"stream", false},
                                                  {"options", options},
                                                  {"prompt", "Explain"},
                                                  {"images", {WHITE}}})
                  .json()["response"],
              expected);
    const Json shown = server_.post(ollama("/api/show"), {{"model", "tiny-moe-f16"}}).json();
    EXPECT_NE(shown["capabilities"].dump().find("vision"), std::string::npos) << shown["capabilities"];
}

// Whether it is loaded or not; a model without a projector takes text only.
TEST_F(ServeVision, TheListsOfModelsSayWhatAModelTakes) {
    const auto expect = [](const ServerProcess & server, const Json & modalities) {
        EXPECT_EQ(server.curl("/api/models").json()["models"][0]["input_modalities"], modalities);
        EXPECT_EQ(server.curl("/v1/models").json()["data"][0]["meta"]["input_modalities"], modalities);
    };
    expect(server_, {"text", "image"});
    EXPECT_EQ(server_.curl("/api/models/tiny-moe-f16/unload", {"-X", "POST"}).status, 200);
    expect(server_, {"text", "image"});
    const ServerProcess without({"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0"});
    expect(without, Json::array({"text"}));
    const std::string show = "http://" + without.started()["ollama_address"].get<std::string>() + "/api/show";
    EXPECT_EQ(without.post(show, {{"model", "tiny-moe-f16"}}).json()["capabilities"].dump().find("vision"),
              std::string::npos);
}

TEST_F(ServeVision, TextAndPicturesTakeTurns) {
    const Json text{{"messages", {{{"role", "user"}, {"content", "Explain"}}}}, {"temperature", 0}, {"max_tokens", 12}};
    const std::string without = server_.post("/v1/chat/completions", text).json()["choices"][0]["message"]["content"];
    const std::string with = answer({data_url(BLACK)});
    EXPECT_NE(with, without);
    EXPECT_EQ(server_.post("/v1/chat/completions", text).json()["choices"][0]["message"]["content"], without);
    EXPECT_EQ(answer({data_url(BLACK)}), with);
}

TEST_F(ServeVision, WhatMustNotReachADecoderIsRefused) {
    const LocalServer elsewhere([](const LocalServer::Request &, httplib::Response & response) {
        response.set_content(picture(0, 0, 0), "image/bmp");
    });
    const std::string far = elsewhere.url() + "/a.bmp";
    for (const std::string & url :
         {far, std::string("file:///etc/passwd"), WHITE, std::string("data:image/png;base64,"),
          std::string("data:image/png;base64,AAAA"), std::string("data:image/png,a"), data_url("*"),
          data_url(base64(picture(0, 0, 0, 60'000, 60'000)))}) {
        const HttpReply reply = server_.post("/v1/chat/completions", chat({url}));
        EXPECT_EQ(reply.status, 400) << url.substr(0, 80) << " " << reply.body;
        EXPECT_NE(reply.body.find("image_url"), std::string::npos) << reply.body;
    }
    const Json source{{"type", "url"}, {"url", far}};
    const Json message{{"role", "user"}, {"content", {{{"type", "image"}, {"source", source}}}}};
    for (const char * path : {"/v1/messages", "/v1/messages/count_tokens"})
        EXPECT_EQ(server_.post(path, {{"max_tokens", 2}, {"messages", {message}}}).status, 400) << path;
    EXPECT_TRUE(elsewhere.requests().empty()) << "nothing is fetched";
    // As many pixels as fit one by one, and not together.
    const std::string large = data_url(base64(picture(0, 0, 0, 6000, 6000)));
    EXPECT_EQ(server_.post("/v1/chat/completions", chat({large, large})).status, 400);
    Json two = chat({data_url(BLACK)});
    two["n"] = 2;
    EXPECT_EQ(server_.post("/v1/chat/completions", two).status / 100, 4);
    EXPECT_EQ(server_.post("/v1/chat/completions", chat({data_url(BLACK)})).status, 200) << "the model lives";
}

TEST(ServeVisionless, AModelOfTextSaysSo) {
    const ServerProcess server({"--model", tiny_moe().string()});
    const HttpReply reply = server.post("/v1/chat/completions", chat({data_url(BLACK)}));
    EXPECT_EQ(reply.status, 400);
    EXPECT_NE(reply.body.find("image input is not supported"), std::string::npos) << reply.body;
}

}  // namespace
}  // namespace shimmy::e2e
