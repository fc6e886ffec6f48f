// Speculation: when it is kept, and that it changes no greedy text.
#include "base/error.h"
#include "engine/bench/choose_speculation.h"
#include "engine/speculate/speculation_report.h"
#include "engine/speculate/speculation_trial.h"
#include "error_of.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

// ---- The policy: a step without a draft takes 10 ms, one with a draft as given ----

struct SyntheticKind {
    double draft_ms = 0.0;
    size_t n_accepted = 0;
    int every = 1;  // a draft in every so many steps
};

size_t decide(const std::vector<SyntheticKind> & kinds, SpeculationTrial & trial) {
    size_t n_tokens = 0;
    for (int step = 0; !trial.is_decided() && n_tokens < 5000; ++step) {
        const size_t kind = trial.kind();
        const bool drafts = kind > 0 && step % kinds[kind - 1].every == 0;
        const size_t n = drafts ? kinds[kind - 1].n_accepted + 1 : 1;
        trial.add(n, drafts ? kinds[kind - 1].draft_ms : 10.0, drafts);
        n_tokens += n;
    }
    EXPECT_TRUE(trial.is_decided());
    return trial.kind();
}

TEST(SpeculationTrial, KeepsWhatIsFaster) {
    SpeculationTrial good(1);
    EXPECT_EQ(decide({{25.0, 4, 1}}, good), 1U);  // 5 tokens in 25 ms, against 50
    EXPECT_NEAR(*good.gain(1), 2.0, 1e-9);
    EXPECT_LE(good.n_tokens(), 300U) << "some hundred tokens";
    SpeculationTrial bad(1);
    EXPECT_EQ(decide({{25.0, 1, 1}}, bad), 0U);  // 2 tokens in 25 ms, against 20
    EXPECT_NEAR(*bad.gain(1), 0.8, 1e-9);
}

TEST(SpeculationTrial, NeedsFourTurnsOfEachKind) {
    EXPECT_EQ(SpeculationTrial::least_tokens(2), 2U * 4U * (24U + 12U));
    SpeculationTrial trial(1);
    EXPECT_EQ(decide({{25.0, 0, 1}}, trial), 0U);
    EXPECT_EQ(trial.n_tokens(), SpeculationTrial::least_tokens(1));
}

TEST(SpeculationTrial, TakesTheBetterOfTwo) {
    SpeculationTrial trial(2);
    EXPECT_EQ(decide({{30.0, 3, 1}, {30.0, 5, 1}}, trial), 2U);
    SpeculationTrial other(2);
    EXPECT_EQ(decide({{30.0, 5, 1}, {30.0, 3, 1}}, other), 1U);
}

TEST(SpeculationTrial, DraftsThatComeRarelyAreWaitedFor) {
    SpeculationTrial trial(1);
    EXPECT_EQ(decide({{20.0, 20, 60}}, trial), 1U);
    EXPECT_GT(trial.n_tokens(), 200U);
    // Where none comes, there is nothing to keep.
    SpeculationTrial none(1);
    for (int i = 0; i < 2000 && !none.is_decided(); ++i)
        none.add(1, 10.0, false);
    EXPECT_TRUE(none.is_decided());
    EXPECT_EQ(none.kind(), 0U);
    EXPECT_FALSE(none.gain(1)) << "nothing was drafted";
}

TEST(SpeculationTrial, TurnsAlternate) {
    SpeculationTrial trial(2);
    std::vector<size_t> turns;
    for (int i = 0; i < 200; ++i) {
        if (turns.empty() || turns.back() != trial.kind()) turns.push_back(trial.kind());
        trial.add(1, 10.0, false);
    }
    turns.resize(6);
    EXPECT_EQ(turns, (std::vector<size_t>{0, 1, 0, 2, 0, 1}));
    EXPECT_EQ(SpeculationTrial(0).kind(), 0U);
    EXPECT_TRUE(SpeculationTrial(0).is_decided());
}

TEST(SpeculationReport, Text) {
    SpeculationReport report{"ngram-mod", true, 480, 144, true, true, 1.8, 150};
    EXPECT_EQ(report.text(),
              "speculation ngram-mod: 30% of 480 drafted tokens accepted, 1.80x the rate without it over 150 tokens");
    report.is_on = false;
    report.gain = 0.7;
    EXPECT_EQ(report.text(),
              "speculation off (ngram-mod: 30% of 480 drafted tokens accepted, 0.70x the rate without it over 150 "
              "tokens)");
    const SpeculationReport early{"ngram-mod", true, 0, 0, true, false, std::nullopt, 30};
    EXPECT_EQ(early.text(), "speculation ngram-mod, still being measured: nothing was drafted");
    const SpeculationReport named{"draft-simple", true, 10, 5, false, false, std::nullopt, 0};
    EXPECT_EQ(named.text(), "speculation draft-simple: 50% of 10 drafted tokens accepted");
}

// ---- The model ----

// Text that repeats itself: there is something to draft.
const std::string REPEATS =
    "Write a Python function to compute the nth Fibonacci number.\n\ndef fibonacci(n):\n    a, b = 0, 1\n    for i in "
    "range(n):\n        a, b = b, a + b\n    return a\n\nWrite a Python function to compute the nth Fibonacci "
    "number.\n\ndef fib";

GenerateResult answer(const std::vector<std::string> & llama_args, bool measures, const std::string & prompt) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_threads = 1;
    options.llama_args = llama_args;
    options.measures_speculation = measures;
    Model model(options);
    SamplingOptions greedy;
    greedy.temperature = 0.0F;
    return model.generate(prompt, 120, greedy);
}

TEST(Speculation, ChangesNoGreedyText) {
    for (const std::string & prompt : {REPEATS, std::string("Explain gradient descent in simple terms.\n\n")}) {
        const GenerateResult plain = answer({}, false, prompt);
        EXPECT_FALSE(plain.speculation);
        const std::vector<std::vector<std::string>> kinds{
            {"--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "3", "--spec-ngram-simple-size-m", "8"},
            {"--spec-type", "ngram-map-k", "--spec-ngram-map-k-size-n", "3", "--spec-ngram-map-k-size-m", "5"},
            {"--spec-type", "ngram-map-k4v", "--spec-ngram-map-k4v-size-n", "3", "--spec-ngram-map-k4v-size-m", "5"},
            {"--spec-type", "ngram-mod", "--spec-ngram-mod-n-match", "4", "--spec-ngram-mod-n-min", "2"},
            {"--spec-type", "ngram-cache"},
            {"--model-draft", TINY_MOE, "--spec-draft-n-max", "7"},
        };
        for (const auto & args : kinds) {
            const GenerateResult drafted = answer(args, false, prompt);
            EXPECT_EQ(drafted.text, plain.text) << args[1];
            EXPECT_EQ(drafted.n_output_tokens, plain.n_output_tokens);
            EXPECT_EQ(drafted.token_ms.size(), plain.token_ms.size());
            EXPECT_EQ(drafted.stop_reason, plain.stop_reason);
            ASSERT_TRUE(drafted.speculation);
            EXPECT_LE(drafted.speculation->n_accepted, drafted.speculation->n_drafted);
        }
        const GenerateResult measured = answer({"--model-draft", TINY_MOE}, true, prompt);
        EXPECT_EQ(measured.text, plain.text);
        EXPECT_TRUE(measured.speculation->is_measured);
    }
}

TEST(Speculation, AModelAgreesWithItself) {
    const GenerateResult drafted = answer({"--model-draft", TINY_MOE}, false, REPEATS);
    EXPECT_GT(drafted.speculation->n_drafted, 60U);
    EXPECT_GE(drafted.speculation->n_accepted * 10, drafted.speculation->n_drafted * 9);
    EXPECT_EQ(drafted.speculation->kind, "draft-simple");
}

TEST(Speculation, FindsNGramsOfThePrompt) {
    const GenerateResult drafted =
        answer({"--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "3", "--spec-ngram-simple-size-m", "8"},
               false, REPEATS);
    EXPECT_GT(drafted.speculation->n_accepted, 0U);
}

TEST(Speculation, AConversationGoesOn) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_threads = 1;
    const auto converse = [&](const std::vector<std::string> & args) {
        options.llama_args = args;
        Model model(options);
        SamplingOptions greedy;
        greedy.temperature = 0.0F;
        std::vector<Message> messages{{"user", "Explain gradient descent in simple terms."}};
        std::string texts;
        for (const char * next : {"Write a Python function to compute the nth Fibonacci number.", "Thank you."}) {
            const Reply reply = model.reply(messages, 60, greedy, true);
            texts += reply.message.content + "|";
            messages.push_back(reply.message);
            messages.push_back({"user", next});
        }
        return texts;
    };
    EXPECT_EQ(converse({"--model-draft", TINY_MOE}), converse({}));
}

TEST(Speculation, WhatCannotBe) {
    EXPECT_NE(error_of([] {
                  answer({"--spec-type", "draft-simple"}, false, "a");
              }).find("--model-draft"),
              std::string::npos);
    EXPECT_NE(error_of([] {
                  answer({"--model-draft", "/none.gguf"}, false, "a");
              }).find("/none.gguf"),
              std::string::npos);
}

TEST(Speculation, IsChosenForAServer) {
    LoadOptions load = options_for("cpu", Placement::baseline());
    load.n_threads = 1;
    load.llama_args = {"--swa-full"};
    EXPECT_EQ(choose_speculation(load).text, "");
    EXPECT_EQ(load.llama_args, std::vector<std::string>{"--swa-full"});
    load.measures_speculation = true;
    load.serves = true;
    load.llama_args = {"--swa-full", "--model-draft", TINY_MOE};
    const ChosenSpeculation chosen = choose_speculation(load);
    const std::string & text = chosen.text;
    EXPECT_FALSE(chosen.kind.empty());
    EXPECT_EQ(chosen.is_on, text.find("speculation off") == std::string::npos) << text;
    EXPECT_EQ(text.rfind("speculation ", 0), 0U) << text;
    EXPECT_FALSE(load.measures_speculation);
    EXPECT_TRUE(load.serves);
    const auto has = [&](const char * word) {
        return std::find(load.llama_args.begin(), load.llama_args.end(), word) != load.llama_args.end();
    };
    EXPECT_TRUE(has("--swa-full"));
    EXPECT_EQ(has("--model-draft"), has("draft-simple")) << text;
}

}  // namespace
}  // namespace shimmy::engine
