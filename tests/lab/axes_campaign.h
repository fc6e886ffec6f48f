// A finished campaign with two axes, whose effects can be worked out by hand: decoding is 20% faster with 4 threads
// than with 2, the prefill twice as fast with a ubatch of 512, and nothing else changes. In the first and third of
// three repeats the ratio is e^-0.01 and e^0.01 of that.
#pragma once

#include "fabricated_document.h"
#include "lab/measure/summary.h"

#include <cmath>
#include <functional>
#include <string>

namespace shimmy::lab {

inline std::string axes_campaign(const std::string & axes) {
    const std::string n_ctx = axes.find("n_ctx") == std::string::npos ? "n_ctx = 1024\n" : "";
    return "name = \"axes\"\nout_dir = \"out\"\nrepeats = 3\n" + n_ctx +
           "[[models]]\nname = \"m\"\npath = \"m.gguf\"\nquantizations = [\"input\"]\n[[prompts]]\nid = \"a\"\ntext = \"Text "
           "a\"\n[axes]\n" +
           axes;
}

inline constexpr const char * TWO_AXES = "threads = [2, 4]\nubatch = [256, 512]\n";

// What is measured at a point and repeat; `change` may alter it.
inline Json axes_document(const Run & run, const std::function<void(const Run &, Json &)> & change) {
    const double drift = 0.9 + 0.1 * run.repeat;  // of the machine: all runs of a repeat alike
    const double noise = std::exp(0.01 * (run.repeat - 2));
    const bool four = *value_of(run.point, "threads") == "4";
    const std::string * ubatch = value_of(run.point, "ubatch");
    const bool large = ubatch != nullptr && *ubatch == "512";
    const bool offload = run.placement.offloads();
    Json document = fabricated_document(
        engine::to_string(run.placement),
        {offload ? 1000U : 4000U, 100.0 * drift, (offload ? 10.0 : 50.0) * drift * (four ? 1.2 * noise : 1.0)});
    document["prefill_tps"] = 100.0 * drift * (large ? 2.0 : 1.0);
    document["n_threads"] = four ? 4 : 2;
    change(run, document);
    return document;
}

inline CampaignPlan axes_plan(
    const fs::path & dir, const std::string & axes = TWO_AXES,
    const std::function<void(const Run &, Json &)> & change = [](const Run &, Json &) {}) {
    CampaignPlan plan;
    plan.campaign = parse_campaign(axes_campaign(axes), dir / "axes.toml");
    plan.inputs = {{"F16", false, 16, 4, 4096, "deepseek", {}}};
    plan.variants = plan_variants(plan.campaign, plan.inputs);
    plan.sha256 = {"abc"};
    plan.errors = {""};
    plan.runs = plan_runs(plan.campaign, 1);
    for (const Run & run : plan.runs) {
        StoredResult result{ResultState::valid, "", axes_document(run, change)};
        result.document["run"] = {{"started_at", "2026-01-01T00:00:00Z"}};
        plan.results.push_back(std::move(result));
    }
    return plan;
}

}  // namespace shimmy::lab
