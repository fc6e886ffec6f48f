// Predictions of `shimmy plan` beside what runs measure.
#pragma once

#include "e2e/program.h"

#include "base/error.h"

#include <string>
#include <utility>
#include <vector>

namespace shimmy::e2e {

inline constexpr double TOLERANCE = 0.03;  // of a run's measured figure

inline constexpr const char * N_CTX = "256";

inline Json plan(std::vector<std::string> args) {
    args.insert(args.begin(), "plan");
    args.insert(args.begin() + 1, {"--ctx", N_CTX, "--bandwidth", "60GB/s"});
    return shimmy_json(args);
}

inline Json measured(const fs::path & model, const std::vector<std::string> & placement) {
    std::vector<std::string> args{"generate",     "--model", model.string(), "--prompt", "a",        "--raw",
                                  "--max-tokens", "1",       "--ctx",        N_CTX,      "--device", "gpu",
                                  "--no-warmup"};
    args.insert(args.end(), placement.begin(), placement.end());
    return shimmy_json(args)["memory"];
}

inline Json placement_of(const Json & plan, const std::string & name) {
    for (const Json & entry : plan["placements"]) {
        if (entry["placement"] == name) return entry;
    }
    ADD_FAILURE() << name << " is not in " << plan.dump();
    return {};
}

inline double as_double(const Json & value) {
    return static_cast<double>(value.get<uint64_t>());
}

inline void expect_near(const Json & predicted, const Json & run, const std::string & what) {
    EXPECT_NEAR(as_double(predicted), as_double(run), TOLERANCE * as_double(run)) << what;
}

// Every placement of the plan that is worth a run: both ends and one between.
// `more`: options of the plan that the runs take, too.
inline void expect_plan_is_what_runs_measure(const Json & document, const fs::path & model, int n_cpu_moe,
                                             const std::vector<std::string> & more = {}) {
    EXPECT_EQ(document["vram_method"], "exact");
    std::vector<std::pair<std::string, std::vector<std::string>>> placements{
        {"baseline", {}},
        {fmt::format("n_cpu_moe={}", n_cpu_moe), {"--n-cpu-moe", fmt::format("{}", n_cpu_moe)}},
        {"offload", {"--cpu-moe"}}};
    for (auto & [name, options] : placements) {
        options.insert(options.end(), more.begin(), more.end());
        const Json predicted = placement_of(document, name);
        const Json memory = measured(model, options);
        expect_near(predicted["vram_bytes"], memory["vram_bytes"], name);
        expect_near(predicted["model_bytes"], memory["vram"]["model_bytes"], name);
        expect_near(predicted["context_bytes"], memory["vram"]["context_bytes"], name);
        EXPECT_LE(predicted["decode_tps_low"], predicted["decode_tps_high"]);
    }
}

}  // namespace shimmy::e2e
