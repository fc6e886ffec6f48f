// "echo" of text completions: the prompt with its log-probabilities, as tools ask for that score given texts.
#include "base/files.h"
#include "chat_request.h"
#include "program.h"
#include "server_process.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <regex>

namespace shimmy::e2e {
namespace {

const std::string EVAL_TEXT = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/eval.txt";

class ServeEcho : public ::testing::Test {
protected:
    Json choices(const Json & request) const {
        const HttpReply reply = server_.post("/v1/completions", request);
        EXPECT_EQ(reply.status, 200) << reply.body;
        return reply.json()["choices"];
    }
    std::vector<int> tokens_of(const std::string & text, bool with_bos) const {
        return server_.post("/tokenize", {{"content", text}, {"add_special", with_bos}})
            .json()["tokens"]
            .get<std::vector<int>>();
    }

    ServerProcess server_{{"--model", tiny_moe().string(), "--parallel", "2"}};
};

TEST_F(ServeEcho, ThePromptComesFirstWithItsLogProbabilities) {
    const std::string prompt = "The old house was quiet";
    const Json plain = choices({{"prompt", prompt}, {"max_tokens", 4}, {"logprobs", 3}, {"temperature", 0}})[0];
    const Json echoed =
        choices({{"prompt", prompt}, {"max_tokens", 4}, {"logprobs", 3}, {"temperature", 0}, {"echo", true}})[0];
    EXPECT_EQ(echoed["text"], prompt + plain["text"].get<std::string>());
    const Json & logprobs = echoed["logprobs"];
    const size_t n_prompt = tokens_of(prompt, false).size();
    ASSERT_EQ(logprobs["tokens"].size(), n_prompt + 4);
    std::string text;
    for (size_t i = 0; i < logprobs["tokens"].size(); ++i) {
        EXPECT_EQ(logprobs["text_offset"][i], text.size());
        text += logprobs["tokens"][i].get<std::string>();
        EXPECT_EQ(logprobs["top_logprobs"][i].size(), 3U) << i;
        EXPECT_LE(logprobs["token_logprobs"][i].get<double>(), 0.0);
    }
    EXPECT_EQ(text, echoed["text"]);
    for (size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(logprobs["token_logprobs"][n_prompt + i].get<double>(),
                    plain["logprobs"]["token_logprobs"][i].get<double>(), 1e-3);
}

// What the model says by itself at temperature 0 is the likeliest when it is given.
TEST_F(ServeEcho, AnAnswerThatIsGivenIsAsLikelyAsWhenItWasMade) {
    const Json made =
        choices({{"prompt", "A train travels"}, {"max_tokens", 8}, {"logprobs", 1}, {"temperature", 0}})[0];
    std::vector<int> tokens = tokens_of("A train travels", true);
    const size_t n_prompt = tokens.size();
    const std::vector<int> answer = tokens_of(made["text"].get<std::string>(), false);
    tokens.insert(tokens.end(), answer.begin(), answer.end());
    const Json answer_of_none =
        server_.post("/v1/completions", {{"prompt", tokens}, {"max_tokens", 0}, {"logprobs", 1}, {"echo", true}})
            .json();
    EXPECT_EQ(answer_of_none["usage"]["completion_tokens"], 0);
    const Json & given = answer_of_none["choices"][0];
    const Json & figures = given["logprobs"]["token_logprobs"];
    EXPECT_TRUE(figures[0].is_null()) << "nothing predicts the first";
    EXPECT_TRUE(given["logprobs"]["top_logprobs"][0].is_null());
    ASSERT_EQ(figures.size(), tokens.size());
    ASSERT_GE(figures.size(), n_prompt + 8);
    for (size_t i = 0; i < 8; ++i) {
        EXPECT_NEAR(figures[n_prompt + i].get<double>(), made["logprobs"]["token_logprobs"][i].get<double>(), 1e-3);
        EXPECT_EQ(given["logprobs"]["top_logprobs"][n_prompt + i].begin().key(),
                  given["logprobs"]["tokens"][n_prompt + i]);
    }
}

// lm-evaluation-harness sends lists of tokens, several at once.
TEST_F(ServeEcho, EveryPromptHasItsOwn) {
    const std::vector<int> first = tokens_of("Explain gradient descent", true), second = tokens_of("A cache", true);
    const Json request{{"prompt", {first, second}}, {"max_tokens", 1}, {"logprobs", 1}, {"echo", true}, {"seed", 1}};
    const Json both = choices(request);
    ASSERT_EQ(both.size(), 2U);
    for (size_t i = 0; i < 2; ++i)
        EXPECT_EQ(both[i]["logprobs"]["tokens"].size(), (i == 0 ? first : second).size() + 1);
    EXPECT_EQ(both[1]["text"].get<std::string>().rfind("<|bos|>A cache", 0), 0U) << both[1];
    Json two = request;
    two.update({{"n", 2}, {"prompt", "A cache"}, {"logprobs", nullptr}});
    for (const Json & choice : choices(two))
        EXPECT_EQ(choice["text"].get<std::string>().rfind("A cache", 0), 0U) << choice;
}

TEST_F(ServeEcho, AStreamBeginsWithThePrompt) {
    const HttpReply reply = server_.post("/v1/completions", {{"prompt", "A cache"},
                                                             {"max_tokens", 4},
                                                             {"logprobs", 1},
                                                             {"echo", true},
                                                             {"stream", true},
                                                             {"temperature", 0}});
    std::string text;
    for (const Json & event : events_of(reply.body)) {
        if (!event["choices"].empty()) text += event["choices"][0]["text"].get<std::string>();
    }
    EXPECT_EQ(text.rfind("A cache", 0), 0U) << text;
    EXPECT_EQ(text.find("A cache", 1), std::string::npos) << text;
}

TEST_F(ServeEcho, MoreThanMemoryHoldsIsRefused) {
    const Json request{{"prompt", "A cache"}, {"logprobs", 2'000'000'000}, {"echo", true}, {"max_tokens", 1}};
    const HttpReply reply = server_.post("/v1/completions", request);
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_NE(reply.body.find("logprobs"), std::string::npos) << reply.body;
}

TEST_F(ServeEcho, AgreesWithLlamaPerplexity) {
    constexpr size_t N_CTX = 64;
    const TempDir dir;
    write_file_atomic(dir.path() / "text.txt", read_file(EVAL_TEXT).substr(0, 1200));
    const ProcessResult run =
        run_process({fs::path(SHIMMY_PROGRAM).parent_path() / "perplexity", "-m", tiny_moe().string(), "-f",
                     (dir.path() / "text.txt").string(), "-c", "64", "-b", "64", "--chunks", "1", "-dev", "none"},
                    std::chrono::seconds(60));
    std::smatch match;
    const std::string out = run.out + run.err;
    ASSERT_TRUE(std::regex_search(out, match, std::regex("Final estimate: PPL = ([0-9.]+)"))) << out;
    // It takes the tokens of a chunk's second half, each given all before it.
    std::vector<int> tokens = tokens_of(read_file(EVAL_TEXT).substr(0, 1200), true);
    tokens.resize(N_CTX);
    const Json figures = choices(
        {{"prompt", tokens}, {"max_tokens", 0}, {"logprobs", 1}, {"echo", true}})[0]["logprobs"]["token_logprobs"];
    double sum = 0.0;
    for (size_t i = N_CTX / 2 + 1; i < N_CTX; ++i)
        sum += figures[i].get<double>();
    EXPECT_NEAR(std::exp(-sum / static_cast<double>(N_CTX / 2 - 1)), std::stod(match[1]), 2e-3);
}

}  // namespace
}  // namespace shimmy::e2e
