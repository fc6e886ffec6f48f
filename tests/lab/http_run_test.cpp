// What `lab http` makes of a server's answers. The server is the test's own; the process that is started in its place
// only says where it listens, and writes down its arguments.
#include "lab/http/http_run.h"

#include "base/error.h"
#include "base/files.h"
#include "local_server.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <atomic>

namespace shimmy::lab {
namespace {

class HttpRunOf : public ::testing::Test {
protected:
    HttpRunOf() : server_([this](const auto & request, httplib::Response & response) { answer(request, response); }) {
        started_ = {{"address", server_.address()},
                    {"shimmy_version", "1"},
                    {"llama_cpp_version", "2"},
                    {"model", "m"},
                    {"placement", "offload"},
                    {"device", "d"},
                    {"host", "h"},
                    {"moe_backend", "x"},
                    {"n_threads", 3},
                    {"n_ctx", 512},
                    {"load_ms", 7.0},
                    {"memory", "y"},
                    {"has_chat_template", true}};
        options_.prompt = "Hello";
        options_.max_tokens = 40;
        options_.sampling.seed = 9;
        options_.sampling.temperature = 0.5F;
    }

    void answer(const LocalServer::Request & request, httplib::Response & response) {
        if (request.path == "/v1/moe") return answer_json(response, {{"models", moe_[std::min<size_t>(n_moe_++, 1)]}});
        ++n_asked_;
        const std::string text = n_asked_ == 1 ? cold_text_ : "An answer";
        if (!error_.empty()) return answer_json(response, {{"error", {{"message", error_}}}}, 500);
        if (Json::parse(request.body)["stream"]) {
            const Json piece{{"choices", {{{"delta", {{"content", text}}}}}}};
            Json last{{"choices", {{{"delta", Json::object()}, {"finish_reason", finish_reason_}}}},
                      {"usage", {{"prompt_tokens", 12}, {"completion_tokens", 5}}},
                      {"timings", timings_}};
            response.set_content("data: " + piece.dump() + "\n\ndata: " + last.dump() + "\n\n" + end_,
                                 "text/event-stream");
            return;
        }
        answer_json(response, {{"choices", {{{"message", {{"content", text}}}, {"finish_reason", finish_reason_}}}},
                               {"usage", {{"prompt_tokens", 12}, {"completion_tokens", 5}}},
                               {"timings", timings_}});
    }

    Json run() {
        write_file_atomic(dir_ / "started.json", started_.dump());
        options_.server_command = {
            "sh",
            "-c",
            R"(f=$1; shift; echo "$@" > "$(dirname "$f")/arguments"; cat "$f"; echo; exec sleep 600)",
            "server",
            (dir_ / "started.json").string(),
            "--model",
            "m.gguf"};
        return measure_http(options_);
    }
    std::string error() {
        try {
            run();
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    }
    Json asked(size_t i) const {
        std::vector<Json> posts;
        for (const auto & request : server_.requests()) {
            if (request.method == "POST") posts.push_back(Json::parse(request.body));
        }
        return posts.at(i);
    }

    TempDir dir_;
    Json started_;
    HttpRunOptions options_;
    std::string cold_text_ = "An ";
    std::string finish_reason_ = "length";
    std::string end_ = "data: [DONE]\n\n";
    std::string error_;
    Json timings_{{"prompt_n", 10}, {"prompt_ms", 50.0}, {"predicted_n", 5}, {"predicted_ms", 80.0}};
    std::vector<Json> moe_{Json::array(), Json::array()};  // before and after the measured answer
    std::atomic<size_t> n_moe_{0};
    std::atomic<int> n_asked_{0};
    LocalServer server_;
};

TEST_F(HttpRunOf, AStreamedAnswer) {
    const Json document = run();
    for (const char * key : {"shimmy_version", "llama_cpp_version", "model", "placement", "device", "host",
                             "moe_backend", "n_threads", "n_ctx", "load_ms", "memory"})
        EXPECT_EQ(document[key], started_[key]) << key;
    EXPECT_GT(document["peak_rss_bytes"], 0);
    EXPECT_EQ(document["prompt"], "Hello");
    EXPECT_EQ(document["max_tokens"], 40);
    EXPECT_EQ(document["seed"], 9);
    EXPECT_EQ(document["temperature"], 0.5);
    EXPECT_EQ(document["text"], "An answer");
    EXPECT_EQ(document["stop_reason"], "max_tokens");
    EXPECT_EQ(document["n_prompt_tokens"], 12);
    EXPECT_EQ(document["n_output_tokens"], 5);
    EXPECT_EQ(document["prefill_ms"], 50.0);
    EXPECT_EQ(document["prefill_tps"], 200.0);  // 10 in 50 ms
    EXPECT_EQ(document["decode_ms"], 80.0);
    EXPECT_EQ(document["decode_tps"], 50.0);  // 4 steps in 80 ms
    EXPECT_EQ(document["token_ms"].size(), 1U);
    EXPECT_EQ(document["ttft_ms"], document["token_ms"][0]);
    EXPECT_GE(document["total_ms"].get<double>(), document["ttft_ms"].get<double>());
    EXPECT_EQ(document["sse"], (Json{{"n_events", 2},
                                     {"n_text_events", 1},
                                     {"n_output_tokens", 5},
                                     {"done_last", true},
                                     {"defects", Json::array()}}));
    EXPECT_EQ(document["cold"]["same_text"], true);
    EXPECT_EQ(document["cold"]["decode_tps"], 50.0);
    EXPECT_EQ(document["cold"]["prefill_tps"], 200.0);
    EXPECT_EQ(document["cold"]["n_output_tokens"], 5);
    EXPECT_GT(document["cold"]["ttft_ms"], 0.0);
    EXPECT_GT(document["cold"]["total_ms"], 0.0);
    EXPECT_TRUE(document["expert_use"].is_null());
    // 16 tokens cold, all of them warm.
    EXPECT_EQ(asked(0)["max_tokens"], 16);
    EXPECT_EQ(asked(1)["max_tokens"], 40);
    EXPECT_EQ(asked(1)["messages"][0]["content"], "Hello");
    EXPECT_EQ(read_file(dir_ / "arguments"), "--model m.gguf --bind 127.0.0.1:0 --parallel 1 --json\n");
}

TEST_F(HttpRunOf, AnAnswerInOnePiece) {
    options_.stream = false;
    options_.max_tokens = 5;
    finish_reason_ = "stop";
    cold_text_ = "Another";
    started_["has_chat_template"] = false;
    const Json document = run();
    EXPECT_EQ(document["text"], "An answer");
    EXPECT_EQ(document["stop_reason"], "end_of_text");
    EXPECT_EQ(document["n_prompt_tokens"], 12);
    EXPECT_EQ(document["decode_tps"], 50.0);
    EXPECT_EQ(document["token_ms"], Json::array());
    EXPECT_EQ(document["ttft_ms"], document["total_ms"]);
    EXPECT_FALSE(document.contains("sse"));
    EXPECT_EQ(document["cold"]["same_text"], false);
    EXPECT_EQ(asked(0)["max_tokens"], 5) << "no more than are wanted";
    EXPECT_EQ(asked(0)["prompt"], "Hello");
    EXPECT_FALSE(asked(0)["stream"].get<bool>());
}

TEST_F(HttpRunOf, WithoutTimingsThereAreNoRates) {
    timings_ = nullptr;
    Json document = run();
    for (const char * key : {"prefill_ms", "prefill_tps", "decode_ms", "decode_tps"})
        EXPECT_TRUE(document[key].is_null()) << key;
    timings_ = {{"prompt_n", 10}, {"prompt_ms", 0.0}, {"predicted_n", 1}, {"predicted_ms", 80.0}};
    document = run();
    EXPECT_TRUE(document["prefill_tps"].is_null()) << "no time";
    EXPECT_TRUE(document["decode_tps"].is_null()) << "one token is no step";
}

TEST_F(HttpRunOf, ExpertsAreThoseOfTheMeasuredAnswer) {
    const auto layer = [](int number, const std::vector<int> & hits) {
        Json read_bytes = Json::array();
        for (const int n : hits)
            read_bytes.push_back(n * 100);
        return Json{{"layer", number}, {"hits", hits}, {"read_bytes", read_bytes}};
    };
    moe_ = {{{{"layers", {layer(0, {1, 2})}}}}, {{{"layers", {layer(0, {4, 2}), layer(1, {7})}}}}};
    EXPECT_EQ(run()["expert_use"], (Json{{{"layer", 0}, {"expert", 0}, {"hits", 3}, {"bytes", 300}},
                                         {{"layer", 0}, {"expert", 1}, {"hits", 0}, {"bytes", 0}},
                                         {{"layer", 1}, {"expert", 0}, {"hits", 7}, {"bytes", 700}}}));
}

TEST_F(HttpRunOf, ManyClients) {
    options_.is_load = true;
    options_.load.n_clients = 2;
    options_.load.duration = std::chrono::seconds(1);
    options_.load.talks = {{{"One"}}, {{"Two"}}};
    cold_text_ = "An answer";
    // An event more, so that there are gaps.
    end_ = "data: " + Json{{"choices", {{{"delta", {{"content", "!"}}}}}}}.dump() + "\n\ndata: [DONE]\n\n";
    const Json document = run();
    EXPECT_EQ(document["load"]["n_clients"], 2);
    EXPECT_GE(document["load"]["duration_ms"], 1000.0);
    EXPECT_EQ(document["max_tokens"], 40);
    EXPECT_EQ(document["memory"], "y");
    EXPECT_FALSE(document.contains("text"));
    EXPECT_EQ(read_file(dir_ / "arguments"), "--model m.gguf --bind 127.0.0.1:0 --parallel 2 --json\n");
    EXPECT_EQ(asked(0)["max_tokens"], 40);
    EXPECT_TRUE(asked(0)["stream"].get<bool>());
}

TEST_F(HttpRunOf, AServerThatRuns) {
    options_.is_load = true;
    options_.load.url = server_.url();
    options_.load.api_key = "secret";
    options_.load.n_requests = 3;
    options_.load.talks = {{{"One"}}};
    options_.load.ask.served_model = "any";
    end_ = "data: " + Json{{"choices", {{{"delta", {{"content", "!"}}}}}}}.dump() + "\n\ndata: [DONE]\n\n";
    cold_text_ = "An answer";
    const Json document = measure_http(options_);
    EXPECT_EQ(document["url"], server_.url());
    EXPECT_EQ(document["served_model"], "any");
    EXPECT_EQ(document["load"]["n_requests"], 3);
    EXPECT_FALSE(document.contains("device")) << "nothing is known of it";
    EXPECT_EQ(asked(0)["model"], "any");
    EXPECT_FALSE(asked(0).contains("cache_prompt"));
    EXPECT_EQ(server_.requests()[0].header("Authorization"), "Bearer secret");
}

TEST_F(HttpRunOf, AServerThatNamesNoModel) {
    options_.is_load = true;
    options_.load.url = server_.url();
    options_.load.talks = {{{"One"}}};
    try {
        measure_http(options_);
        ADD_FAILURE() << "measured";
    } catch (const Error & error) {
        EXPECT_NE(std::string(error.what()).find("--served-model"), std::string::npos) << error.what();
    }
}

TEST_F(HttpRunOf, WhatWentWrongIsSaid) {
    error_ = "no room";
    EXPECT_NE(error().find("the request failed: HTTP 500: no room"), std::string::npos) << error();
    const auto start = [&](const std::string & script) {
        options_.server_command = {"sh", "-c", script};
        try {
            measure_http(options_);
        } catch (const Error & error) {
            return std::string(error.what());
        }
        return std::string("started");
    };
    EXPECT_EQ(start("echo 'shimmy: no such file' >&2; echo more >&2; exit 1"),
              "the server did not start: no such file");
    EXPECT_EQ(start("exit 0"), "the server did not start: it ended without a word");
    EXPECT_EQ(start("echo why >&2; echo '{}'; exec sleep 600"), "the server did not start: why");
    EXPECT_EQ(start("echo nonsense; exit 3"), "the server did not start: it ended without a word");
}

}  // namespace
}  // namespace shimmy::lab
