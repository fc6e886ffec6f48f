// What is tried for which model and machine, and a race over it against the clock.
#include "tune/settings.h"

#include "base/error.h"
#include "tune/tuner.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::tune {
namespace {

std::vector<std::string> values_of(const std::vector<Setting> & settings, const std::string & name) {
    std::vector<std::string> texts;
    for (const Setting & setting : settings)
        if (setting.name == name)
            for (const Value & value : setting.values)
                texts.push_back(value.text);
    return texts;
}

using Texts = std::vector<std::string>;

Facts cpu_facts() {
    Facts facts;
    facts.n_physical = 8;
    facts.n_performance = 6;
    facts.n_logical = 16;
    facts.has_plugin = true;
    facts.has_experts = true;
    facts.n_layers = 24;
    facts.n_prompt = 400;
    return facts;
}

TEST(Settings, OfACpu) {
    const auto settings = settings_for(cpu_facts(), {});
    EXPECT_EQ(values_of(settings, "threads"), (Texts{"8", "16", "6", "4"}));
    EXPECT_EQ(values_of(settings, "ubatch"), (Texts{"512", "128", "256"}));
    EXPECT_EQ(values_of(settings, "plugin"), (Texts{"on", "off"}));
    EXPECT_EQ(values_of(settings, "placement"), Texts{});
    EXPECT_EQ(values_of(settings, "cache"), Texts{});
    EXPECT_EQ(values_of(settings, "gpu-min-batch"), Texts{});
    EXPECT_EQ(values_of(settings, "load-mode"), (Texts{"auto", "none"}));
    EXPECT_TRUE(std::all_of(settings.begin(), settings.end(), [](const Setting & one) {
        return one.values.front().options.empty();
    })) << "the default is to give no option";
}

TEST(Settings, OfOneCoreWithTwoThreads) {
    Facts facts = cpu_facts();
    facts.n_physical = 1;
    facts.n_performance = 0;
    facts.n_logical = 2;
    EXPECT_EQ(values_of(settings_for(facts, {}), "threads"), (Texts{"1", "2"}));
}

TEST(Settings, BatchesThatCanBeToldApart) {
    Facts facts = cpu_facts();
    facts.n_prompt = 3000;
    const auto settings = settings_for(facts, {});
    EXPECT_EQ(values_of(settings, "ubatch"), (Texts{"512", "128", "256", "1024", "2048", "4096"}));
    const auto ubatch =
        std::find_if(settings.begin(), settings.end(), [](const Setting & one) { return one.name == "ubatch"; });
    EXPECT_EQ(ubatch->values[4].options, (Texts{"--ubatch", "2048"}));
    EXPECT_EQ(ubatch->values[5].options, (Texts{"--ubatch", "4096", "--batch", "4096"}));
    facts.n_prompt = 400;
    facts.n_clients = 2;
    EXPECT_EQ(values_of(settings_for(facts, {}), "ubatch"), (Texts{"512", "128", "256", "1024"}));
    facts.n_clients = 1;
    facts.n_prompt = 100;
    EXPECT_EQ(values_of(settings_for(facts, {}), "ubatch"), Texts{}) << "one batch in any case";
}

TEST(Settings, BesideAGpu) {
    Facts facts = cpu_facts();
    facts.on_gpu = true;
    facts.n_cpu_moe = -1;
    const auto in_ram = settings_for(facts, {});
    EXPECT_EQ(values_of(in_ram, "placement"), (Texts{"auto", "n-cpu-moe=18", "n-cpu-moe=12"}));
    EXPECT_EQ(values_of(in_ram, "cache"), (Texts{"auto", "off"}));
    EXPECT_EQ(values_of(in_ram, "gpu-min-batch"), (Texts{"measured", "never", "64", "256", "1024"}));
    facts.n_cpu_moe = 5;
    EXPECT_EQ(values_of(settings_for(facts, {}), "placement"), (Texts{"auto", "cpu-moe"}));
    facts.n_cpu_moe = 0;
    const auto all_on_gpu = settings_for(facts, {});
    for (const char * name : {"placement", "cache", "plugin", "gpu-min-batch"})
        EXPECT_EQ(values_of(all_on_gpu, name), Texts{}) << name;
}

TEST(Settings, WhatAMachineOrAModelLacks) {
    Facts with = cpu_facts();
    with.on_gpu = true;
    with.n_cpu_moe = -1;
    Facts no_plugin = with, no_experts = with;
    no_plugin.has_plugin = false;
    no_experts.has_experts = false;
    for (const Facts & facts : {no_plugin, no_experts}) {
        for (const char * name : {"cache", "plugin", "gpu-min-batch"})
            EXPECT_EQ(values_of(settings_for(facts, {}), name), Texts{}) << name;
    }
    Facts on_cpu = cpu_facts();
    on_cpu.has_experts = false;
    EXPECT_EQ(values_of(settings_for(on_cpu, {}), "plugin"), (Texts{"on", "off"})) << "it computes dense models too";
    on_cpu.has_plugin = false;
    EXPECT_EQ(values_of(settings_for(on_cpu, {}), "plugin"), Texts{});
    on_cpu.has_experts = true;
    on_cpu.n_cpu_moe = -1;
    EXPECT_EQ(values_of(settings_for(on_cpu, {}), "placement"), Texts{}) << "there is nowhere else";
    on_cpu.larger_than_ram = true;
    EXPECT_EQ(values_of(settings_for(on_cpu, {}), "load-mode"), Texts{});
}

TEST(Settings, WhatIsGivenIsNotTried) {
    Facts facts = cpu_facts();
    const auto settings = settings_for(facts, {"--threads", "--cache-type-v", "--moe-backend"});
    for (const char * name : {"threads", "kv-cache", "flash-attention", "plugin", "load-mode"})
        EXPECT_EQ(values_of(settings, name), Texts{}) << name;
    EXPECT_EQ(values_of(settings, "ubatch"), (Texts{"512", "128", "256"}));
    facts.on_gpu = true;
    facts.n_cpu_moe = -1;
    const auto placed = settings_for(facts, {"--cpu-moe"});
    for (const char * name : {"placement", "cache", "gpu-min-batch"})
        EXPECT_EQ(values_of(placed, name), Texts{}) << name;
}

TEST(Settings, Speculation) {
    const Facts facts = cpu_facts();
    EXPECT_EQ(values_of(speculation_settings(facts, {}), "speculation"), (Texts{"off", "ngram-mod"}));
    EXPECT_TRUE(speculation_settings(facts, {"--spec"}).empty());
    EXPECT_TRUE(speculation_settings(facts, {"--model-draft"}).empty());
    Facts batch = facts;
    batch.n_clients = 8;
    EXPECT_TRUE(speculation_settings(batch, {}).empty());
}

// ---- Against the clock ----

const std::vector<Setting> TWO{{"threads", {{"2", {}}, {"4", {"--threads", "4"}}}},
                               {"ubatch", {{"512", {}}, {"256", {"--ubatch", "256"}}, {"64", {"--ubatch", "64"}}}}};

bool has(const std::vector<std::string> & options, const std::string & word) {
    return std::find(options.begin(), options.end(), word) != options.end();
}

// A machine on which every measurement takes 2 s.
struct Bench {
    double now_s = 0.0;
    int interrupt_at = -1;
    int n = 0;
    Hooks hooks() {
        Hooks hooks;
        hooks.elapsed_s = [this] { return now_s; };
        hooks.measure = [this](const std::vector<std::string> & options) -> Figure {
            if (n++ == interrupt_at) throw Interrupted();
            now_s += 2.0;
            if (has(options, "64")) return {CANNOT_RUN, "no such batch"};
            return {100.0 * (has(options, "4") ? 0.8 : 1.0) * (has(options, "256") ? 1.1 : 1.0), ""};
        };
        return hooks;
    }
};

TEST(Tuner, FindsWhatIsBetterAndWhatItIsWorth) {
    Bench bench;
    std::vector<std::string> steps;
    Hooks hooks = bench.hooks();
    hooks.on_step = [&](const std::string & step) { steps.push_back(step); };
    const Outcome outcome = tune(TWO, hooks, 1000.0);
    EXPECT_EQ(outcome.best, (Point{1, 0}));
    EXPECT_EQ(options_of(TWO, outcome.best), (std::vector<std::string>{"--threads", "4"}));
    EXPECT_TRUE(outcome.is_better);
    EXPECT_NEAR(outcome.gain, 1.25, 1e-9);
    EXPECT_NEAR(outcome.worth(0), 1.25, 1e-9);
    EXPECT_EQ(outcome.worth(1), 1.0);
    EXPECT_EQ(outcome.errors.at("ubatch 64"), "no such batch");
    EXPECT_EQ(steps[0], "the defaults");
    EXPECT_EQ(steps[1], "threads 4");
    ASSERT_GE(steps.size(), 6U);
    EXPECT_EQ(Texts(steps.end() - 6, steps.end()), (Texts{"the defaults", "all of the best", "all of the best",
                                                          "the defaults", "the defaults", "all of the best"}));
    EXPECT_FALSE(outcome.ran_out_of_time);
}

TEST(Tuner, OneRaceAfterAnother) {
    Bench bench;
    Outcome outcome = tune({TWO[1]}, bench.hooks(), 1000.0);
    EXPECT_FALSE(outcome.is_better);
    append(outcome, tune({TWO[0]}, bench.hooks(), 1000.0));
    EXPECT_EQ(outcome.best, (Point{0, 1}));
    EXPECT_TRUE(outcome.is_better);
    EXPECT_NEAR(outcome.gain, 1.25, 1e-9);
    EXPECT_NEAR(outcome.worth(1), 1.25, 1e-9);
    EXPECT_EQ(outcome.worth(0), 1.0);
    EXPECT_EQ(options_of(outcome.settings, outcome.best), (std::vector<std::string>{"--threads", "4"}));
}

TEST(Tuner, KeepsToItsTime) {
    for (const double limit_s : {10.0, 20.0, 24.0, 30.0}) {
        Bench bench;
        const Outcome outcome = tune(TWO, bench.hooks(), limit_s);
        EXPECT_LE(bench.now_s, limit_s + 2.0) << "one measurement more, at most";
        EXPECT_EQ(outcome.is_better, limit_s >= 20.0) << limit_s << ": four to decide, six to confirm, 2 s each";
    }
}

TEST(Tuner, WhatHadWonWhenItWasInterruptedCounts) {
    Bench early;
    early.interrupt_at = 2;
    const Outcome nothing = tune(TWO, early.hooks(), 1000.0);
    EXPECT_TRUE(nothing.was_interrupted);
    EXPECT_FALSE(nothing.is_better);
    EXPECT_EQ(nothing.best, (Point{0, 0}));
    Bench late;
    late.interrupt_at = 6;  // threads are decided
    const Outcome some = tune(TWO, late.hooks(), 1000.0);
    EXPECT_TRUE(some.is_better);
    EXPECT_EQ(some.best, (Point{1, 0}));
    EXPECT_EQ(some.gain, 1.0) << "not measured";
}

}  // namespace
}  // namespace shimmy::tune
