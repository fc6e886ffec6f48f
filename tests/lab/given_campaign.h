// A finished campaign whose runs are given: every figure of its documents can be worked out by hand from the tables
// below. tests/lab/expected/ and tests/report/expected/ hold the documents.
//
// A cell (file, placement) has the figures of FIGURES, and every run of it these times a factor of its prompt and
// repeat. Over the six runs of a cell:
//   decode   a: 1.00 1.02 1.04, b: 0.90 0.94 0.98   median 0.99, mean 0.98, 0.90 to 1.04
//   TTFT     a: 1.0 1.1 1.2,    b: 2.0 2.2 2.1      median 1.6, mean 1.6, 1.0 to 2.2
//   prefill  a: 100, b: 150 tokens/s                 mean 125
//   load     1000, 1100, 1200 ms by repeat           mean 1100
#pragma once

#include "base/error.h"
#include "fabricated_document.h"
#include "lab/measure/summary.h"

#include <array>
#include <functional>
#include <map>
#include <string>
#include <tuple>

namespace shimmy {

struct GivenFigures {
    const char * model;
    const char * quantization;
    const char * placement;
    double vram_gib;
    double decode_tps;
    double ttft_ms;
};

// Q2_K is faster with the experts of two layers on the CPU than without, and all of Q8_0 and of beta needs more than a
// card of 24 GiB has. alpha's Q8_0 with offload fits a card of 8 GiB to the byte.
inline constexpr std::array<GivenFigures, 15> FIGURES{{
    {"alpha", "Q8_0", "baseline", 44, 50, 100},
    {"alpha", "Q8_0", "n_cpu_moe=2", 30, 40, 120},
    {"alpha", "Q8_0", "offload", 8, 10, 400},
    {"alpha", "Q4_K_M", "baseline", 24, 80, 80},
    {"alpha", "Q4_K_M", "n_cpu_moe=2", 18, 60, 90},
    {"alpha", "Q4_K_M", "offload", 6, 20, 200},
    {"alpha", "Q2_K", "baseline", 16, 90, 70},
    {"alpha", "Q2_K", "n_cpu_moe=2", 11, 100, 75},
    {"alpha", "Q2_K", "offload", 4, 50, 150},
    {"beta", "MXFP4_MOE", "baseline", 26, 60, 60},
    {"beta", "MXFP4_MOE", "n_cpu_moe=2", 20, 30, 80},
    {"beta", "MXFP4_MOE", "offload", 13, 15, 160},
    {"gamma", "Q4_K_M", "baseline", 2, 200, 10},
    {"gamma", "Q4_K_M", "n_cpu_moe=2", 2, 100, 20},
    {"gamma", "Q4_K_M", "offload", 0.5, 40, 50},
}};

// By prompt and repeat.
inline constexpr double DECODE_FACTOR[2][3]{{1.00, 1.02, 1.04}, {0.90, 0.94, 0.98}};
inline constexpr double TTFT_FACTOR[2][3]{{1.0, 1.1, 1.2}, {2.0, 2.2, 2.1}};

inline constexpr const char * GIVEN_CAMPAIGN = R"toml(
name = "given"
out_dir = "out"
quantizations = ["Q8_0", "Q4_K_M", "Q2_K"]
placements = ["baseline", "n_cpu_moe=2", "offload"]
modes = ["generate", "stream", "no-stream"]
repeats = 3
seed = 7
max_tokens = 64
n_ctx = 2048
creator = "Ada <b>L.</b> & [friends](http://example.org)"
repo_owner = "ada"
layout = "per-quant"
[load]
clients = [1, 4]
duration_s = 20
repeats = 2
[quality]
text = "eval.txt"
chunks = 8
check_offload = true
[[tasks]]
file = "arc.jsonl"
use = "chat"
[[tasks]]
id = "sums"
file = "gsm8k.jsonl"
use = "code"
shots = 2
[[models]]
name = "alpha"
path = "alpha-f16.gguf"
base_model = "maker/alpha"
about = "Alpha is *small*: of 2 experts, <b>one</b> answers."
license = "mit"
languages = ["en", "no"]
expected_architecture = "phimoe"
[[models]]
name = "beta"
path = "beta-mxfp4.gguf"
quantizations = ["input"]
license = "other"
license_name = "beta's own"
license_link = "https://example.org/license"
expected_architecture = "gpt-oss"
[[models]]
name = "gamma"
shape = "olmoe-1b-7b"
layers = 2
quantizations = ["Q4_K_M"]
[[prompts]]
id = "a"
text = "Short, with <i>HTML</i> and a\nline break"
use = "chat"
why = "Short | as a *question*"
[[prompts]]
id = "b"
text = "Long"
use = "rag"
)toml";

inline uint64_t gib(double n) {
    return static_cast<uint64_t>(n * 1073741824.0);
}

inline const GivenFigures & figures_of(const lab::CampaignPlan & plan, const lab::Run & run) {
    const lab::Variant & variant = plan.variants.at(run.variant);
    for (const GivenFigures & figures : FIGURES) {
        if (variant.model == figures.model && variant.quantization == figures.quantization &&
            engine::to_string(run.placement) == figures.placement)
            return figures;
    }
    throw std::logic_error("no figures of " + variant.model);
}

inline Json given_conditions(Json document) {
    document["device"] = {{"name", "CUDA0"},
                          {"description", "NVIDIA_Test* 80GB"},
                          {"backend", "CUDA"},
                          {"kind", "gpu"},
                          {"software", false}};
    document["host"] = {
        {"name", "box"}, {"cpu", "Test CPU <1>"}, {"os", "Linux 6.1"}, {"n_cores", 16}, {"ram_bytes", gib(64)}};
    document["n_threads"] = 16;
    return document;
}

inline void take_given_memory(Json & document, const GivenFigures & figures) {
    const uint64_t vram = gib(figures.vram_gib);
    document["memory"] = {
        {"vram_bytes", vram},
        {"vram", {{"model_bytes", vram - gib(0.25)}, {"context_bytes", gib(0.1875)}, {"compute_bytes", gib(0.0625)}}},
        {"devices",
         {{{"device", "CUDA0"}, {"device_used_bytes", vram / 2}}, {{"device", "CUDA1"}, {"device_used_bytes", vram}}}}};
    if (std::string(figures.model) == "gamma") {  // its experts on the CPU have an eighth of a GiB of copies in VRAM
        document["memory"]["vram"]["expert_cache_bytes"] = figures.vram_gib < 1 ? gib(0.125) : 0;
        if (figures.vram_gib < 1) document["memory"]["vram"]["model_bytes"] = vram - gib(0.375);
    }
    document["peak_rss_bytes"] = gib(3) - vram / 64;
}

// Through a server, streaming costs -2% of the time with offload, 2% with the baseline, and 0.5% in between, on
// average.
inline double streaming_percent(const lab::Run & run) {
    const double middle = run.placement == engine::Placement::baseline()  ? 2.0
                          : run.placement == engine::Placement::offload() ? -2.0
                                                                          : 0.5;
    return middle + static_cast<double>(run.repeat) - 2.0;
}

inline Json given_load(const GivenFigures & figures, const lab::Run & run) {
    const double n = run.n_clients;
    const auto times = [&](double p50) {
        return Json{{"p50", p50 * run.repeat}, {"p90", 2.0 * p50 * run.repeat}, {"p99", 3.0 * p50 * run.repeat}};
    };
    return {{"n_clients", run.n_clients},
            {"duration_ms", 20000.0},
            {"n_requests", 10 * run.n_clients},
            {"n_failed_requests", run.n_clients == 4 && figures.vram_gib == 16 ? run.repeat : 0},
            {"n_output_tokens", 1000},
            {"total_tps", figures.decode_tps * n * (run.repeat == 1 ? 0.99 : 1.01)},
            {"ttft_ms", times(figures.ttft_ms * n)},
            {"gap_ms", times(n)},
            {"n_sse_defects", 0}};
}

// Of 400 questions of arc the first are answered rightly: 320 by Q8_0 and MXFP4_MOE, 319 by Q4_K_M, 240 by Q2_K; by
// plain accuracy 40 fewer. Of 10 sums Q8_0 and MXFP4_MOE get 1 to 5, Q4_K_M 2 to 6, Q2_K 1 to 4; none in the strict
// form.
inline Json given_task(const lab::CampaignPlan & plan, const lab::Run & run) {
    const lab::CampaignTask & task = plan.campaign.tasks[run.task];
    const std::string & type = plan.variants[run.variant].quantization;
    const bool arc = task.id == "arc";
    const size_t from = !arc && type == "Q4_K_M" ? 2 : 1;
    const size_t to = arc ? (type == "Q4_K_M" ? 319U
                             : type == "Q2_K" ? 240U
                                              : 320U)
                          : (type == "Q4_K_M" ? 6U
                             : type == "Q2_K" ? 4U
                                              : 5U);
    Json questions = Json::array();
    for (size_t i = 1; i <= task.n_questions; ++i) {
        const bool right = i >= from && i <= to;
        questions.push_back({{"question", i},
                             {"right", arc ? Json{{"acc", right && i > 40}, {"acc_norm", right}}
                                           : Json{{"exact_match", false}, {"flexible_match", right}}}});
    }
    const size_t n = to - from + 1;
    const Json metrics = arc ? Json{{"acc", {{"n_right", n - 40}}}, {"acc_norm", {{"n_right", n}}}}
                             : Json{{"exact_match", {{"n_right", 0}}}, {"flexible_match", {{"n_right", n}}}};
    Json document = given_conditions({{"shimmy_version", "0.1.0"}, {"llama_cpp_version", "0.5.0"}});
    document["task"] = {
        {"sha256", task.sha256},   {"form", task.form}, {"n_questions", task.n_questions},
        {"n_shots", task.n_shots}, {"chat", task.chat}, {"random_chance", arc ? Json(0.25) : Json(nullptr)}};
    document["models"] = {{{"sha256", plan.sha256[run.variant]},
                           {"placement", "offload"},
                           {"n_asked", task.n_questions},
                           {"metrics", metrics},
                           {"questions", questions}}};
    return document;
}

inline Json given_document(const lab::CampaignPlan & plan, const lab::Run & run) {
    if (run.mode == lab::Mode::task) return given_task(plan, run);
    const GivenFigures & figures = figures_of(plan, run);
    const size_t repeat = static_cast<size_t>(run.repeat - 1);
    Json document = given_conditions(lab::fabricated_document(
        engine::to_string(run.placement), {gib(figures.vram_gib), figures.ttft_ms * TTFT_FACTOR[run.prompt][repeat],
                                           figures.decode_tps * DECODE_FACTOR[run.prompt][repeat]}));
    take_given_memory(document, figures);
    document["load_ms"] = 900.0 + 100.0 * run.repeat;
    document["prefill_tps"] = run.prompt == 0 ? 100.0 : 150.0;
    document["text"] = plan.campaign.prompts[run.prompt].id + std::string(" answered");
    const std::string model = figures.model;
    const std::string type = figures.quantization;
    // Three layers of a GiB: those of the first two, or all, lie in RAM.
    if (model == "alpha" && run.mode == lab::Mode::generate) {
        document["expert_tensors"] = Json::array();
        const int n_host = !run.placement.offloads() ? 0 : run.placement.n_cpu_moe > 0 ? run.placement.n_cpu_moe : 3;
        for (int layer = 0; layer < 3; ++layer)
            document["expert_tensors"].push_back({{"name", fmt::format("blk.{}.ffn_up_exps.weight", layer)},
                                                  {"type", "q8_0"},
                                                  {"buffer_type", layer < n_host ? "CPU_Mapped" : "CUDA0"},
                                                  {"host", layer < n_host},
                                                  {"bytes", gib(1)}});
    }
    const bool offload = run.placement == engine::Placement::offload();
    const bool second_b = run.prompt == 1 && run.repeat == 2;
    if (run.mode == lab::Mode::load) document["load"] = given_load(figures, run);
    // Another one for every pair: comparing with any other run's gives other percentages.
    const double whole_ms = (run.prompt == 0 ? 1000.0 : 2000.0) + 100.0 * run.repeat + 10.0 * figures.vram_gib +
                            static_cast<double>(run.variant);
    if (run.mode == lab::Mode::no_stream) document["total_ms"] = whole_ms;
    if (run.mode == lab::Mode::stream) {
        document["total_ms"] = whole_ms * (1.0 + streaming_percent(run) / 100.0);
        document["decode_tps"] = document["decode_tps"].get<double>() * 1.01;
        document["sse"] = {{"defects", Json::array()}};
        if (type == "Q4_K_M" && model == "alpha" && offload && second_b) {
            document["text"] = "b answered otherwise";
            document["sse"]["defects"] = {"line '<br>' is no event", "no [DONE]"};
        }
    }
    if (run.mode != lab::Mode::generate) return document;
    if (type == "Q2_K" && offload && second_b) document["ttft_ms"] = 4.2 * figures.ttft_ms;  // the outlier
    if (type == "Q4_K_M" && model == "alpha" && !offload && second_b) document["text"] = "b answered anew";
    if (model == "beta" && offload && run.prompt == 0) document["text"] = " \n";
    if (model == "beta" && run.repeat == 3) document["cold"]["same_text"] = false;
    if (type == "Q8_0" && offload)
        document["expert_use"] = {{{"layer", 1}, {"expert", 3}, {"hits", run.repeat}, {"bytes", 100}},
                                  {{"layer", 0}, {"expert", 2}, {"hits", 10}, {"bytes", 1000}}};
    return document;
}

// Bytes of the files, by model and type.
inline uint64_t given_file_bytes(const lab::Variant & variant) {
    static const std::map<std::pair<std::string, std::string>, double> sizes{{{"alpha", "Q8_0"}, 42},
                                                                             {{"alpha", "Q4_K_M"}, 23},
                                                                             {{"alpha", "Q2_K"}, 15},
                                                                             {{"beta", "MXFP4_MOE"}, 25},
                                                                             {{"gamma", "Q4_K_M"}, 1.5}};
    return gib(sizes.at({variant.model, variant.quantization}));
}

inline lab::CampaignPlan given_plan(const fs::path & dir, const std::string & campaign = GIVEN_CAMPAIGN) {
    lab::CampaignPlan plan;
    plan.campaign = lab::parse_campaign(campaign, dir / "given.toml");
    for (lab::CampaignTask & task : plan.campaign.tasks) {
        task.form = task.id == "arc" ? "arc" : "gsm8k";
        task.sha256 = sha256_hex(task.id);
        task.n_questions = task.id == "arc" ? 400 : 10;
    }
    const std::map<std::string, lab::InputInfo> inputs{{"alpha",
                                                        {"F16",
                                                         false,
                                                         16,
                                                         32,
                                                         131072,
                                                         "phimoe",
                                                         {"de"},
                                                         "<s><|user|>\n{prompt}<|end|>\n```\n<|assistant|>\n",
                                                         "--temperature 0.6 --top-p 0.95"}},
                                                       {"beta", {"MXFP4_MOE", true, 128, 48, 4096, "gpt-oss", {}}},
                                                       {"gamma", {"Q4_K_M", false, 64, 2, 4096, "olmoe", {}}}};
    for (const lab::CampaignModel & model : plan.campaign.models)
        plan.inputs.push_back(inputs.at(model.name));
    plan.variants = lab::plan_variants(plan.campaign, plan.inputs);
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        plan.sha256.push_back(sha256_hex(plan.variants[i].model + plan.variants[i].quantization));
        plan.errors.emplace_back();
    }
    plan.runs = lab::plan_runs(plan.campaign, plan.variants);
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        lab::StoredResult result;
        result.state = lab::ResultState::valid;
        result.document = given_document(plan, plan.runs[i]);
        if (plan.runs[i].mode != lab::Mode::task)
            result.document["model"]["size_bytes"] = given_file_bytes(plan.variant_of(i));
        result.document["run"] = {{"started_at", fmt::format("2026-01-01T00:{:02}:{:02}Z", i / 60 % 60, i % 60)}};
        plan.results.push_back(std::move(result));
    }
    return plan;
}

// What fits which card, of alpha: nothing is known of Q2_K.
inline Json given_hardware() {
    struct Fit {
        const char * placement;  // nullptr: none fits
        int n_cpu_moe;
        uint64_t host_gib;
    };
    const auto file = [](const char * type, const std::array<Fit, 6> & fits) {
        Json cards = Json::array();
        for (const Fit & fit : fits) {
            if (fit.placement == nullptr)
                cards.push_back({{"fits", false}});
            else
                cards.push_back({{"fits", true},
                                 {"placement", fit.placement},
                                 {"n_cpu_moe", fit.n_cpu_moe},
                                 {"host_bytes", fit.host_gib << 30U}});
        }
        return Json{{"quantization", type}, {"cards", cards}};
    };
    return {{"n_ctx", 4096},
            {"files",
             {file("Q8_0", {{{nullptr, 0, 0},
                             {"offload", 4, 38},
                             {"n_cpu_moe=3", 3, 29},
                             {"n_cpu_moe=2", 2, 20},
                             {"baseline", 0, 1},
                             {"baseline", 0, 1}}}),
              {{"quantization", "Q2_K"}, {"error", "its file is damaged"}}}}};
}

// Quality against F16: Q4_K_M is just nearly the original, and of alpha's files each is on a front.
inline Json given_quality(const lab::CampaignPlan & plan, const std::string & model) {
    struct Quality {
        const char * type;
        double bits, ppl, kld;
    };
    constexpr std::array<Quality, 4> QUALITIES{{{"Q8_0", 8.5, 6.01, 0.002},
                                                {"Q4_K_M", 4.85, 6.12, 0.01},
                                                {"Q2_K", 3.0, 7.5, 0.2},
                                                {"MXFP4_MOE", 4.25, 9.0, 0.0}}};
    Json entries = Json::array();
    Json offload = Json::array();
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        const lab::Variant & variant = plan.variants[i];
        for (const Quality & quality : QUALITIES) {
            if (variant.model != model || variant.quantization != quality.type) continue;
            entries.push_back({{"file", variant.path.string()},
                               {"sha256", plan.sha256[i]},
                               {"quant", quality.type},
                               {"bits_per_weight", quality.bits},
                               {"ppl", quality.ppl},
                               {"ppl_error", 0.05},
                               {"ppl_ratio", quality.ppl / 6.0},
                               {"mean_kld", quality.kld},
                               {"mean_kld_error", quality.kld / 20},
                               {"median_kld", quality.kld / 2},
                               {"kld_p99", quality.kld * 10},
                               {"max_kld", quality.kld * 100},
                               {"same_top_percent", 100.0 - 50.0 * quality.kld}});
            offload.push_back({{"quant", quality.type},
                               {"mean_kld", 0.0003},
                               {"mean_kld_error", 0.00002},
                               {"max_kld", 0.03},
                               {"same_top_percent", 99.5},
                               {"mean_kld_bound", 0.001},
                               {"within_bound", true}});
        }
    }
    return {{"base", {{"file", "/models/original `f16`.gguf"}, {"sha256", "base"}}},
            {"text", {{"file", "/texts/eval.txt"}, {"sha256", "text"}}},
            {"n_ctx", 512},
            {"n_chunks", 8},
            {"models", entries},
            {"offload", offload}};
}

// What was published: a repository on main, one on a branch with a check that failed, and one of another file.
inline Json given_publication(const lab::CampaignPlan & plan) {
    const auto entry = [](const std::string & repo, const std::string & revision, const std::string & type,
                          const std::string & sha256, bool passed) {
        return Json{{"repo", repo},
                    {"model", "alpha"},
                    {"revision", revision},
                    {"commit", "0123456789abcdef0123456789abcdef01234567"},
                    {"measured", {{{"quantization", type}, {"model_sha256", sha256}}}},
                    {"checks", {{{"what", "README.md: fetched back and compared"}, {"passed", passed}}}}};
    };
    return {{"repositories",
             {entry("ada/alpha-Q8_0-GGUF", "main", "Q8_0", plan.sha256[0], true),
              entry("ada/alpha-Q4_K_M-GGUF", "try/it", "Q4_K_M", plan.sha256[1], false),
              entry("ada/stale", "main", "Q2_K", "of another file", true)}}};
}

inline std::string replaced(std::string text, const std::string & from, const std::string & to) {
    text.replace(text.find(from), from.size(), to);
    return text;
}

// One repeat without HTTP. alpha's Q8_0 does not fit without offload, one run of its Q4_K_M crashed, one of its Q2_K
// has no decode rate, a load run is still to be made, and gamma could not be written. The device is a software one.
inline lab::CampaignPlan plan_with_gaps(const fs::path & dir) {
    std::string text = replaced(GIVEN_CAMPAIGN, R"("generate", "stream", "no-stream")", R"("generate")");
    text = replaced(replaced(text, "repeats = 3", "repeats = 1"), "repeats = 2", "repeats = 1");
    text = replaced(text, "expected_architecture = \"phimoe\"\n", "");
    text = replaced(text, "license = \"mit\"\n", "");
    lab::CampaignPlan plan = given_plan(dir, text);
    plan.inputs[1].arch = "llama4";  // not the expected one
    plan.sha256.back().clear();
    plan.errors.back() = "no space left on | the *disk*";
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const lab::Run & run = plan.runs[i];
        const lab::Variant & variant = plan.variants[run.variant];
        lab::StoredResult & result = plan.results[i];
        result.document["device"]["software"] = true;
        const bool baseline = run.placement == engine::Placement::baseline();
        const bool partial = run.placement == engine::Placement::partial(2);
        const bool load = run.mode == lab::Mode::load;
        if (run.mode == lab::Mode::task && (variant.quantization != "Q8_0" || run.task != 0)) continue;
        if (variant.quantization == "Q8_0" && baseline)
            result = {lab::ResultState::failed, "needs 44.0 GiB of VRAM, CUDA0 has <24.0 GiB>", {}};
        if (variant.model == "alpha" && variant.quantization == "Q4_K_M" && partial && run.prompt == 1 && !load)
            result = {lab::ResultState::failed, "ended by signal 11", {}};
        if (variant.quantization == "Q2_K" && baseline && run.prompt == 1 && !load) {
            result.document["decode_tps"] = nullptr;
            result.document["n_output_tokens"] = 1;
        }
        if (variant.quantization == "MXFP4_MOE" && baseline && load && run.n_clients == 4)
            result = {lab::ResultState::absent, "not run yet", {}};
        if (run.mode == lab::Mode::task && variant.quantization == "Q8_0" && run.task == 0)
            result = {lab::ResultState::failed, "question 7: does not fit", {}};
        if (variant.model == "gamma")
            result = {lab::ResultState::failed, "no model file: " + plan.errors[run.variant], {}};
    }
    return plan;
}

}  // namespace shimmy
