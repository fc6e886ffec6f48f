#include "lab/import/llama_bench_export.h"

#include "base/error.h"
#include "lab/measure/cells.h"
#include "lab/measure/statistics.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <tuple>

namespace shimmy::lab {

namespace {

constexpr int ALL_LAYERS = 99;  // as people write it for llama-bench
constexpr int DEFAULT_BATCH = 2048;
constexpr int DEFAULT_UBATCH = 512;

// Runs that are one test: what differs in none of these.
using TestKey = std::tuple<size_t, std::string, std::string, int, int>;  // variant, placement, settings, prompt, answer

struct Samples {
    size_t run = 0;  // one of them
    std::vector<double> prefill_tps;
    std::vector<double> decode_tps;
};

std::map<TestKey, Samples> gather(const CampaignPlan & plan) {
    std::map<TestKey, Samples> tests;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const Run & run = plan.runs[i];
        const StoredResult & result = plan.results.at(i);
        if (run.mode != Mode::generate || result.state != ResultState::valid ||
            !missing_figure(result.document).empty())
            continue;
        const Json & document = result.document;
        Samples & samples = tests[{run.variant, engine::to_string(run.placement), json_text(axes_json(run.point), -1),
                                   document.at("n_prompt_tokens"), document.at("n_output_tokens")}];
        samples.run = i;
        samples.prefill_tps.push_back(document.at("prefill_tps"));
        samples.decode_tps.push_back(document.at("decode_tps"));
    }
    return tests;
}

Json common_members(const CampaignPlan & plan, size_t index) {
    const Run & run = plan.runs[index];
    const Json & document = plan.results[index].document;
    const auto setting = [&](const char * key, const Json & fallback) {
        const Json point = axes_json(run.point);
        return point.value(key, fallback);
    };
    const int n_layer = plan.inputs.at(plan.variants.at(run.variant).campaign_model).n_layer;
    const int n_cpu_moe = run.placement == engine::Placement::offload() ? n_layer : run.placement.n_cpu_moe;
    const bool on_gpu = document.at("device").at("kind") != "cpu";
    return {{"build_commit", plan.program_version},
            {"build_number", 0},
            {"cpu_info", document.at("host").at("cpu")},
            {"gpu_info", document.at("device").at("description")},
            {"backends", document.at("device").at("backend")},
            {"model_filename", document.at("model").at("path")},
            {"model_type", plan.variants.at(run.variant).quantization},
            {"model_size", document.at("model").at("size_bytes")},
            {"n_batch", setting("batch", DEFAULT_BATCH)},
            {"n_ubatch", setting("ubatch", DEFAULT_UBATCH)},
            {"n_threads", document.at("n_threads")},
            {"type_k", setting("cache_type_k", setting("cache_type", "f16"))},
            {"type_v", setting("cache_type_v", setting("cache_type", "f16"))},
            {"n_gpu_layers", on_gpu ? ALL_LAYERS : 0},
            {"n_cpu_moe", n_cpu_moe}};
}

Json test_of(const Json & common, int n_prompt, int n_gen, int n_depth, const Json & started_at,
             const std::vector<double> & samples_ts) {
    constexpr double NS = 1e9;
    const Statistics rate = summarize(samples_ts);
    std::vector<double> samples_ns;
    for (const double tps : samples_ts)
        samples_ns.push_back(std::round((n_prompt + n_gen) * NS / tps));
    const Statistics time = summarize(samples_ns);
    Json test = common;
    test.update({{"n_prompt", n_prompt},
                 {"n_gen", n_gen},
                 {"n_depth", n_depth},
                 {"test_time", started_at},
                 {"avg_ns", static_cast<int64_t>(time.mean)},
                 {"stddev_ns", static_cast<int64_t>(time.stddev)},
                 {"avg_ts", rate.mean},
                 {"stddev_ts", rate.stddev}});
    test["samples_ns"] = Json::array();
    for (const double ns : samples_ns)
        test["samples_ns"].push_back(static_cast<int64_t>(ns));
    test["samples_ts"] = samples_ts;
    return test;
}

std::string quoted(const Json & value) {
    std::string text = "\"";
    for (const char c : value.is_string() ? value.get<std::string>() : json_text(value, -1))
        text += c == '"' ? std::string("\"\"") : std::string(1, c);
    return text + "\"";
}

}  // namespace

Json llama_bench_tests(const CampaignPlan & plan) {
    Json tests = Json::array();
    for (const auto & [key, samples] : gather(plan)) {
        const auto & [variant, placement, settings, n_prompt, n_output] = key;
        const Json common = common_members(plan, samples.run);
        const Json & document = plan.results[samples.run].document;
        const Json started_at = document.at("run").value("started_at", "");
        const int depth = document.value("depth", 0);
        tests.push_back(test_of(common, n_prompt, 0, depth, started_at, samples.prefill_tps));
        tests.push_back(test_of(common, 0, n_output - 1, depth + n_prompt, started_at, samples.decode_tps));
    }
    if (tests.empty()) fail("{}: no run of mode generate has figures to export", plan.campaign.out_dir.string());
    return tests;
}

std::string llama_bench_csv(const Json & tests) {
    std::string text;
    const auto is_list = [](const std::string & key) { return key.starts_with("samples_"); };
    for (const auto & [key, ignored] : tests.at(0).items())
        text += is_list(key) ? "" : (text.empty() ? "" : ",") + key;
    text += "\n";
    for (const Json & test : tests) {
        std::string line;
        for (const auto & [key, value] : test.items())
            line += is_list(key) ? "" : (line.empty() ? "" : ",") + quoted(value);
        text += line + "\n";
    }
    return text;
}

}  // namespace shimmy::lab
