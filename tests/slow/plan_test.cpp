// What `shimmy plan` predicts for the reference models' shapes, against runs.
#include "e2e/plan_checks.h"

namespace shimmy::e2e {
namespace {

// Minutes on llvmpipe, which compiles a set of shaders per run. Without flash attention: Mesa 22.3 faults, or computes
// what is no number, in llama.cpp's shader for groups of heads.
TEST(ReferencePlan, IsWhatRunsOfTheReferenceShapesMeasure) {
    SKIP_WITHOUT_GPU();
    const std::vector<std::tuple<std::string, int, std::string, int>> models{
        {"phi-3.5-moe", 2, "Q2_K", 1}, {"gpt-oss-20b", 2, "MXFP4", 1}, {"deepseek-moe-16b", 3, "Q4_K_M", 2}};
    for (const auto & [shape, n_layers, type, n_cpu_moe] : models) {
        SCOPED_TRACE(shape);
        const fs::path model = synthetic(shape, n_layers, type);
        expect_plan_is_what_runs_measure(plan({model.string(), "--device", "gpu", "--flash-attn", "off"}), model,
                                         n_cpu_moe, {"--flash-attn", "off"});
    }
}

}  // namespace
}  // namespace shimmy::e2e
