// What commands print, from given figures: every text and document beside one that was checked by hand
// (tests/cli/expected). After a change on purpose, run with SHIMMY_RENEW=1 and read the difference.
#include "cli/plan/plan_document.h"
#include "cli/print/model_list.h"
#include "cli/print/quality_document.h"

#include "base/files.h"
#include "base/text/units.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace shimmy::cli {
namespace {

void expect_file(const std::string & name, const std::string & text) {
    const fs::path file = fs::path(SHIMMY_SOURCE_DIR) / "tests/cli/expected" / name;
    if (std::getenv("SHIMMY_RENEW") != nullptr) write_file_atomic(file, text);
    EXPECT_EQ(text, fs::exists(file) ? read_file(file) : "") << file;
}

engine::PlacementEstimate placement(int n_cpu_moe, uint64_t vram_mib, uint64_t host_mib, double low_tps,
                                    double high_tps) {
    engine::PlacementEstimate estimate;
    estimate.n_cpu_moe = n_cpu_moe;
    estimate.placement = n_cpu_moe == 2 ? engine::Placement::offload() : engine::Placement::partial(n_cpu_moe);
    estimate.vram = {"", "", false, (vram_mib - 3) * MIB, 2 * MIB, MIB};
    estimate.host = {"", "", true, (host_mib - 2) * MIB, MIB, MIB};
    estimate.decode = {low_tps, high_tps};
    estimate.cards = {estimate.vram};
    return estimate;
}

// Two layers of experts: 1000 MiB of VRAM with all of them on the card, 600 with one layer on the CPU, 200 with both.
Plan two_layers() {
    Plan plan;
    plan.source = "org/repo/model.gguf";
    plan.info.name = "Model";
    plan.info.arch = "phimoe";
    plan.info.n_params = 1'234'567'890;
    plan.info.n_layers = 2;
    plan.info.n_expert = 16;
    plan.info.n_expert_used = 3;
    plan.info.n_expert_tensors = 6;
    plan.info.expert_bytes = 800 * MIB;
    plan.quantization = "Q4_K_M";
    plan.disk_bytes = 1100 * MIB;
    plan.n_ctx = 4096;
    plan.limits.ram_bytes = 700 * MIB;
    plan.limits.ram_source = "--ram";
    plan.limits.ram = {50e9, 50e9, "given"};
    plan.limits.vram = {200e9, 3350e9, "assumed"};
    plan.placements = {placement(0, 1000, 100, 40.4, 99.6), placement(1, 600, 500, 5.04, 9.96),
                       placement(2, 200, 900, 1.0, 10.0)};
    plan.quantizations = {{"Q2_K", 700 * MIB, 650 * MIB, 150 * MIB, 600 * MIB},
                          {"Q4_K_M", 1100 * MIB, 1000 * MIB, 200 * MIB, 900 * MIB}};
    return plan;
}

TEST(PlanDocument, OfACardThatIsNotKnown) {
    Plan plan = two_layers();
    plan.info.n_expert_tensors = 0;
    plan.quantizations.pop_back();
    EXPECT_EQ(plan.best(), nullptr);
    EXPECT_EQ(plan.fits(plan.placements[0]), std::nullopt);
    expect_file("plan-no-card.json", to_json(plan).dump(2) + "\n");
    expect_file("plan-no-card.txt", to_text(plan));
}

TEST(PlanDocument, OfACardThatTakesOneLayer) {
    Plan plan = two_layers();
    plan.limits.exact = true;
    plan.limits.device_name = "Vulkan0";
    plan.fetched_bytes = 2 * MIB;
    plan.limits.cards = {{"Vulkan0", 700 * MIB}};
    plan.limits.card_source = "--vram";
    expect_file("plan-one-layer.json", to_json(plan).dump(2) + "\n");
    expect_file("plan-one-layer.txt", to_text(plan));
}

TEST(PlanDocument, LimitsOnBothSides) {
    Plan plan = two_layers();
    plan.limits.cards = {{"card", 1000 * MIB}};
    EXPECT_EQ(plan.why(), "everything fits on the card, and that is the fastest");
    plan.limits.ram_bytes = 100 * MIB;
    EXPECT_EQ(plan.fits(plan.placements[0]), true) << "to the byte";
    plan.limits.ram_bytes = 100 * MIB - 1;
    EXPECT_EQ(plan.fits(plan.placements[0]), false);
    EXPECT_EQ(plan.why(),
              "nothing fits: even offload needs 900.0 MiB of RAM, 800.0 MiB too much; use a smaller quantization or a "
              "smaller --ctx");
    plan.limits.ram_bytes = 900 * MIB;
    plan.limits.cards = {{"card", 1000 * MIB - 1}};
    EXPECT_EQ(plan.fits(plan.placements[0]), false);
    EXPECT_EQ(
        plan.why(),
        "it keeps the most experts on the card, 1 of 2 layers on the CPU: baseline would need 1000.0 MiB of VRAM, "
        "1 B too much");
    plan.limits.cards = {{"card", 200 * MIB}};
    EXPECT_EQ(plan.best(), &plan.placements[2]);
    EXPECT_EQ(plan.why(),
              "it keeps the most experts on the card, 2 of 2 layers on the CPU: n_cpu_moe=1 would need 600.0 MiB of "
              "VRAM, 400.0 MiB too much");
    plan.limits.cards = {{"card", 200 * MIB - 1}};
    EXPECT_EQ(plan.why(),
              "nothing fits: even offload needs 200.0 MiB of VRAM, 1 B too much; use a smaller quantization or a "
              "smaller --ctx");
}

// With all experts in RAM, 200 MiB are used. A cache takes what is left, or all 800 MiB of experts.
TEST(PlanDocument, ACacheTakesWhatIsLeft) {
    Plan plan = two_layers();
    const auto cache = [&](size_t placement) { return plan.expert_cache_bytes(plan.placements[placement]); };
    EXPECT_EQ(cache(2), std::nullopt) << "no card is known";
    plan.limits.cards = {{"card", 750 * MIB, 50 * MIB}};
    EXPECT_EQ(cache(2), 500 * MIB);
    EXPECT_EQ(cache(1), 0U) << "beside whole layers it is off unless asked for";
    EXPECT_EQ(to_json(plan)["placements"][2]["expert_cache_bytes"], 500 * MIB);
    EXPECT_EQ(to_json(plan)["placements"][2]["vram_bytes"], 200 * MIB) << "what the placement needs";
    plan.limits.cards = {{"card", 1000 * MIB - 1}};
    EXPECT_EQ(cache(2), 800 * MIB - 1);
    plan.limits.cards = {{"card", 5000 * MIB}};
    EXPECT_EQ(cache(2), 800 * MIB);
    EXPECT_NE(to_text(plan).find("expert cache"), std::string::npos);
    for (const uint64_t too_small : {200 * MIB, 100 * MIB}) {
        plan.limits.cards = {{"card", too_small}};
        EXPECT_EQ(cache(2), 0U);
        EXPECT_EQ(to_text(plan).find("expert cache"), std::string::npos);
    }
    plan.limits.cards = {{"CUDA0", 150 * MIB}, {"CUDA1", 300 * MIB}};
    plan.placements[2].cards = {plan.placements[2].vram, plan.placements[2].vram};
    EXPECT_EQ(cache(2), 100 * MIB) << "the first is full";
}

// 600 MiB of the whole model on the first card, 400 on the second; a layer of experts fewer takes 400 MiB from the
// second.
TEST(PlanDocument, OfTwoCards) {
    Plan plan = two_layers();
    plan.limits.cards = {{"CUDA0", 800 * MIB, 200 * MIB}, {"CUDA1", 500 * MIB, 200 * MIB}};
    plan.limits.card_source = "free now";
    for (engine::PlacementEstimate & estimate : plan.placements) {
        engine::BufferMemory second = estimate.vram;
        const uint64_t whole = estimate.vram.total_bytes();
        second.model_bytes = estimate.n_cpu_moe == 0 ? 397 * MIB : whole / 2 - 3 * MIB;
        engine::BufferMemory first = estimate.vram;
        first.model_bytes = whole - second.total_bytes() - 3 * MIB;
        estimate.cards = {first, second};
    }
    EXPECT_EQ(plan.fits(plan.placements[0]), false) << "1000 MiB of 900, and the second card lacks 100";
    EXPECT_EQ(plan.best(), &plan.placements[1]) << "300 MiB on each";
    EXPECT_EQ(plan.why(),
              "it keeps the most experts on the cards, 1 of 2 layers on the CPU: baseline would need 400.0 MiB of VRAM "
              "on CUDA1, 100.0 MiB too much");
    EXPECT_EQ(to_json(plan)["vram_limit_bytes"], 1300 * MIB);
    EXPECT_EQ(to_json(plan)["placements"][0]["cards"][1]["vram_bytes"], 400 * MIB);
    expect_file("plan-two-cards.txt", to_text(plan));
}

// Twenty layers, of which the best keeps nine on the CPU.
TEST(PlanDocument, ShowsWhatIsNextToTheAnswer) {
    Plan plan = two_layers();
    plan.info.n_layers = 20;
    plan.placements.clear();
    for (int n = 0; n <= 20; ++n)
        plan.placements.push_back(placement(n, 1000 - 40 * static_cast<uint64_t>(n), 100, 1.0, 2.0));
    plan.placements[2].placement = engine::Placement::partial(2);  // which is all of them in a model of two layers
    plan.limits.cards = {{"card", 640 * MIB}};
    const auto shown = [&](const std::string & text) {
        std::vector<int> found;
        for (int n = 1; n < 20; ++n)
            if (text.find(fmt::format("\nn_cpu_moe={} ", n)) != text.npos) found.push_back(n);
        return found;
    };
    EXPECT_EQ(shown(to_text(plan)), (std::vector<int>{7, 8, 9, 10, 11}));
    EXPECT_NE(to_text(plan).find("14 more: --all"), std::string::npos);
    EXPECT_EQ(shown(to_text(plan, /*all=*/true)).size(), 19U);
    plan.limits.cards.clear();
    EXPECT_EQ(shown(to_text(plan)), (std::vector<int>{5, 10, 15}));
}

MeasuredModel measured(const std::string & quantization, double scale) {
    MeasuredModel model;
    model.info.quantization = quantization;
    model.info.bits_per_weight = 4.567 * scale;
    model.info.size_bytes = 123456;
    model.file = quantization + ".gguf";
    model.sha256 = "abc";
    quality::Divergence & d = model.result.figures;
    d.ppl_base = 5.0;
    d.ppl = 5.0 + scale;
    d.ppl_error = 0.0625;
    d.ppl_ratio = 1.0 + scale / 5.0;
    d.mean_kld = 0.125 * scale;
    d.mean_kld_error = 0.0078125;
    d.median_kld = 0.25 * scale;
    d.kld_p90 = 0.5 * scale;
    d.kld_p99 = 0.75 * scale;
    d.kld_p999 = 0.875 * scale;
    d.max_kld = 1.5 * scale;
    d.rms_delta_p = 0.03125;
    d.same_top_percent = 96.875;
    return model;
}

TEST(QualityDocument, OfTwoModelsWithRouters) {
    std::vector<MeasuredModel> models{measured("F16", 0.0), measured("Q4_K_M", 1.0)};
    models[0].result.routing = {{0, 1, {4, 4}, 0.0}, {1, 1, {8, 0}, 0.0}};
    models[1].result.routing = {{0, 1, {6, 2}, 0.25}, {1, 1, {8, 0}, 0.125}, {2, 1, {0, 0}, 0.25}};
    expect_file("quality.txt", quality_text(models));
    expect_file("quality.json", to_json(models[1]).dump(2) + "\n");
    models[0].result.routing.clear();
    models[1].result.routing.clear();
    expect_file("quality-dense.txt", quality_text(models));
    EXPECT_EQ(to_json(models[1])["routing"], nullptr);
}

TEST(QualityDocument, OffloadWithinItsBoundAndBeyond) {
    OffloadCheck check;
    check.file = "a.gguf";
    check.quantization = "Q8_0";
    check.figures = measured("", 1.0).result.figures;
    check.bound = 0.125;
    EXPECT_TRUE(check.within_bound()) << "the bound itself";
    EXPECT_EQ(offload_text({check}),
              "Q8_0: offload against baseline: mean KLD 0.125000 ± 0.007812, same top token 96.88%: within the "
              "kernels' bound of 0.125\n");
    OffloadCheck defect = check;
    defect.quantization = "Q4_K_M";
    defect.bound = 0.1249;
    EXPECT_FALSE(defect.within_bound());
    expect_file("offload.txt", offload_text({check, defect}));
    EXPECT_EQ(to_json(defect),
              Json::parse(R"({"file": "a.gguf", "quant": "Q4_K_M", "mean_kld": 0.125, "mean_kld_error": 0.0078125,
                              "max_kld": 1.5, "same_top_percent": 96.875, "mean_kld_bound": 0.1249,
                              "within_bound": false})"));
}

library::CatalogModel model(const std::string & name, library::ModelType type) {
    library::CatalogModel result;
    result.name = name;
    result.path = "/m/" + name;
    result.source = "home";
    result.type = type;
    result.arch = "toy";
    result.size_bytes = 5 * MIB;
    return result;
}

TEST(ModelList, AsTextAndAsDocument) {
    library::Catalog catalog;
    catalog.models = {model("a", library::ModelType::moe), model("longer-name", library::ModelType::dense),
                      model("v", library::ModelType::vocabulary)};
    catalog.models[0].quantization = "Q4_K_M";
    catalog.models[0].n_params = 41'900'000'000;
    catalog.models[0].n_expert = 16;
    catalog.warnings = {"w"};
    EXPECT_EQ(model_list_text(catalog),
              "a            moe        Q4_K_M      41.9B    5.0 MiB  16 experts  home\n"
              "longer-name  dense      -               -    5.0 MiB              home\n"
              "v            vocabulary -               -    5.0 MiB              home\n");
    EXPECT_EQ(model_list_document(catalog), Json::parse(R"({"models": [
        {"name": "a", "path": "/m/a", "size_bytes": 5242880, "model_type": "moe", "parameter_count": "41.9B",
         "n_params": 41900000000, "source": "home", "quantization": "Q4_K_M", "arch": "toy", "n_expert": 16},
        {"name": "longer-name", "path": "/m/longer-name", "size_bytes": 5242880, "model_type": "dense",
         "parameter_count": null, "n_params": null, "source": "home", "quantization": null, "arch": "toy", "n_expert": 0},
        {"name": "v", "path": "/m/v", "size_bytes": 5242880, "model_type": "vocabulary", "parameter_count": null,
         "n_params": null, "source": "home", "quantization": null, "arch": "toy", "n_expert": 0}],
        "warnings": ["w"]})"));
    keep_llms(catalog);
    ASSERT_EQ(catalog.models.size(), 2U);
    EXPECT_EQ(catalog.models[1].name, "longer-name");
    catalog.models = {model("a", library::ModelType::dense)};
    EXPECT_EQ(model_list_text(catalog), "a     dense      -               -    5.0 MiB              home\n");
    EXPECT_EQ(model_list_text({}), "");
}

}  // namespace
}  // namespace shimmy::cli
