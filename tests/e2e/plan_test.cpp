// What `shimmy plan` predicts, against what runs measure.
#include "hub/test_hub.h"
#include "plan_checks.h"
#include "program.h"
#include "projector.h"
#include "temp_dir.h"

#include "base/error.h"
#include "base/files.h"

#include <map>

namespace shimmy::e2e {
namespace {

TEST(Plan, IsWhatRunsOfTheEmbeddedModelMeasure) {
    SKIP_WITHOUT_GPU();
    for (const std::string type : {"F16", "Q8_0", "Q4_K_M", "Q2_K"}) {
        SCOPED_TRACE(type);
        // Planned from the F16 file, before it is quantized.
        const Json document = plan({tiny_moe().string(), "--quant", type, "--device", "gpu"});
        const fs::path model = type == "F16" ? tiny_moe() : tiny_moe(type);
        expect_plan_is_what_runs_measure(document, model, 2);
        EXPECT_NEAR(as_double(document["disk_bytes"]), static_cast<double>(fs::file_size(model)),
                    0.03 * static_cast<double>(fs::file_size(model)));
    }
}

TEST(Plan, TheModelledCardHoldsTheSameWeightsAndContext) {
    SKIP_WITHOUT_GPU();
    // Of larger shapes llvmpipe leaves tensors above 128 MiB to the CPU.
    for (const fs::path & model : {tiny_moe("Q4_K_M"), synthetic("phi-3.5-moe", 2, "Q2_K")}) {
        SCOPED_TRACE(model);
        const Json exact = plan({model.string(), "--device", "gpu"});
        const Json modelled = plan({model.string(), "--device", "cpu", "--vram", "1GiB"});
        EXPECT_EQ(modelled["vram_method"], "modelled");
        EXPECT_NE(modelled["vram_method_note"].get<std::string>().find("modelled"), std::string::npos);
        for (const char * name : {"baseline", "n_cpu_moe=1", "offload"}) {
            const Json a = placement_of(exact, name);
            const Json b = placement_of(modelled, name);
            EXPECT_EQ(a["context_bytes"], b["context_bytes"]);
            // CUDA pads the rows of quantized tensors.
            EXPECT_NEAR(as_double(a["model_bytes"]), as_double(b["model_bytes"]), 0.005 * as_double(a["model_bytes"]));
            EXPECT_GT(b["compute_bytes"], 0U);
        }
    }
}

// What llama.cpp's options and shimmy's own change of a run, they change of its plan.
TEST(Plan, CountsWhatTheOptionsOfARunNeed) {
    const auto all_on_card = [](std::vector<std::string> more) {
        more.insert(more.begin(), {tiny_moe().string(), "--device", "cpu", "--vram", "4GiB"});
        return placement_of(plan(more), "baseline");
    };
    const Json plain = all_on_card({});
    const double kv_bytes = as_double(plain["context_bytes"]);
    ASSERT_GT(kv_bytes, 0.0);
    const Json small =
        all_on_card({"--cache-type-k", "q8_0", "--cache-type-v", "q8_0", "--flash-attn", "on", "--ubatch", "128"});
    EXPECT_NEAR(as_double(small["context_bytes"]), kv_bytes * 34 / 64, 0.01 * kv_bytes) << "34 bytes for 32 values";
    EXPECT_LT(small["compute_bytes"], plain["compute_bytes"]);
    const ProcessResult same = shimmy({"plan", tiny_moe().string(), "--device", "cpu", "--vram", "4GiB", "--ctx", N_CTX,
                                       "--json", "--", "-ctk", "q8_0", "-ctv", "q8_0", "-fa", "on"});
    EXPECT_EQ(placement_of(Json::parse(same.out), "baseline")["context_bytes"], small["context_bytes"]);
    EXPECT_EQ(as_double(all_on_card({"--parallel", "4"})["context_bytes"]), 4 * kv_bytes);

    const fs::path draft = tiny_moe("Q8_0");
    const double with_draft = as_double(all_on_card({"--model-draft", draft.string()})["model_bytes"]);
    EXPECT_NEAR(with_draft - as_double(plain["model_bytes"]), static_cast<double>(fs::file_size(draft)),
                0.1 * static_cast<double>(fs::file_size(draft)));
    const TempDir dir;
    const fs::path projector = dir / "mmproj.gguf";
    write_projector(projector, 256);
    EXPECT_GT(all_on_card({"--mmproj", projector.string()})["vram_bytes"], plain["vram_bytes"]);
    expect_failure({"plan", tiny_moe().string(), "--", "--port", "1"}, 2, {"--port"});
}

TEST(Plan, PicksThePlacementThatKeepsTheMostExpertsOnTheCard) {
    const Json document = plan(
        {"--shape", "deepseek-moe-16b", "--quant", "Q4_K_M", "--vram", "6GiB", "--ram", "32GiB", "--device", "cpu"});
    EXPECT_EQ(document["vram_reserve_bytes"], 512U << 20);
    const uint64_t limit = (uint64_t{6} << 30) - (512U << 20);  // a card is never all free
    const Json best = document["best"];
    ASSERT_FALSE(best.is_null());
    EXPECT_LE(best["vram_bytes"].get<uint64_t>(), limit);
    const auto n = best["n_cpu_moe"].get<size_t>();
    ASSERT_GT(n, 0U);
    const Json before = document["placements"][n - 1];
    EXPECT_EQ(before["n_cpu_moe"], n - 1);
    EXPECT_GT(before["vram_bytes"].get<uint64_t>(), limit);
    EXPECT_EQ(before["fits"], false);
    EXPECT_NE(document["why"].get<std::string>().find(before["placement"].get<std::string>()), std::string::npos);
    // With all experts in RAM nothing of them is left on the card: the minimum of this quantization.
    bool found = false;
    for (const Json & need : document["quantizations"]) {
        if (need["quantization"] != "Q4_K_M") continue;
        found = true;
        EXPECT_EQ(need["min_vram_bytes"], document["placements"].back()["vram_bytes"]);
    }
    EXPECT_TRUE(found);
    EXPECT_GE(document["quantizations"].size(), 7U);
}

// 6 of 64 experts of 27 layers over 60 GB/s: docs/OFFLOADING.md and any reader with a calculator get the same.
TEST(Plan, TheDecodeRateIsBytesOverBandwidth) {
    const Json document =
        plan({"--shape", "deepseek-moe-16b", "--quant", "Q4_K_M", "--device", "cpu", "--vram-bandwidth", "100000GB/s"});
    const fs::path model = synthetic_whole("deepseek-moe-16b", "Q4_K_M");
    const Json info = shimmy_json({"inspect", model.string()});
    const double expert_bytes = as_double(info["expert_bytes"]) * 6.0 / 64.0;
    const Json offload = document["placements"].back();
    EXPECT_NEAR(offload["decode_tps_high"].get<double>(), 60e9 / expert_bytes, 0.02 * 60e9 / expert_bytes);
    EXPECT_LT(offload["decode_tps_low"].get<double>(), 0.5 * offload["decode_tps_high"].get<double>());
}

TEST(Plan, TheReserveIsWhatTheUserSays) {
    const auto best = [](const std::string & reserve) {
        return plan({"--shape", "deepseek-moe-16b", "--quant", "Q4_K_M", "--vram", "6GiB", "--ram", "32GiB", "--device",
                     "cpu", "--reserve", reserve})["best"]["n_cpu_moe"]
            .get<int>();
    };
    EXPECT_LT(best("0"), best("2GiB")) << "more room, more experts on the card";
}

TEST(Plan, NothingIsSaidToFitACardThatIsNotKnown) {
    const Json document = plan({"--shape", "olmoe-1b-7b", "--device", "cpu"});
    EXPECT_TRUE(document["best"].is_null());
    EXPECT_TRUE(document["placements"][0]["fits"].is_null());
    EXPECT_NE(document["why"].get<std::string>().find("--vram"), std::string::npos);
}

TEST(Plan, HardwareGuideAgreesWithThePlan) {
    const Json guide = shimmy_json({"plan", "--hardware", "--shape", "olmoe-1b-7b", "--device", "cpu"});
    ASSERT_EQ(guide["rows"].size(), 7U);
    for (const Json & row : guide["rows"]) {
        ASSERT_EQ(row["cards"].size(), 6U);
        for (const Json & card : row["cards"]) {
            const auto card_bytes = card["card_bytes"].get<uint64_t>();
            const uint64_t usable = card_bytes - std::max<uint64_t>(512U << 20, card_bytes / 20);
            const bool all = row["baseline_vram_bytes"] <= usable;
            EXPECT_EQ(card["fits"], row["min_vram_bytes"] <= usable);
            if (card["fits"].get<bool>()) {
                EXPECT_EQ(card["placement"] == "baseline", all) << row.dump();
            }
        }
    }
}

TEST(Plan, ErrorsSayTheWayOut) {
    expect_failure({"plan"}, 2, {"MODEL", "--shape", "--repo"});
    expect_failure({"plan", "--shape", "gpt-oss-20b", "--quant", "Q4_K_M"}, 1, {"already quantized", "--quant"});
    expect_failure({"plan", "--shape", "olmoe-1b-7b", "--vram", "lots"}, 2, {"--vram", "lots"});
    expect_failure({"plan", "--repo", "no-slash"}, 2, {"USER/NAME"});
    expect_failure({"plan", tiny_moe().string(), "--cpu-moe"}, 2, {"--cpu-moe"});
}

class RepoPlan : public ::testing::Test {
protected:
    // Bytes of files that the storage host has sent.
    static uint64_t sent_bytes(const TestHub & hub) {
        uint64_t bytes = 0;
        for (const Json & request : hub.requests("GET", "^/store/"))
            bytes += request["sent_bytes"].get<uint64_t>();
        return bytes;
    }

    TempDir home_;
};

Json preload(const std::string & repo, const std::map<std::string, fs::path> & files) {
    Json paths = Json::object();
    for (const auto & [path, file] : files)
        paths[path] = file.string();
    return {{"preload", {{repo, paths}}}};
}

TEST_F(RepoPlan, ReadsOnlyTheHeader) {
    const fs::path big = synthetic_whole("gpt-oss-20b", "MXFP4");
    const TestHub hub(preload("user/gpt-oss", {{"gpt-oss-mxfp4.gguf", big}, {"mmproj-F16.gguf", tiny_moe()}}));
    hub.use("", home_.path());
    const Json remote = plan({"--repo", "user/gpt-oss", "--device", "cpu", "--vram", "8GiB"});
    const Json local = plan({big.string(), "--device", "cpu", "--vram", "8GiB"});
    EXPECT_EQ(remote["placements"], local["placements"]);
    EXPECT_EQ(remote["disk_bytes"], fs::file_size(big));
    EXPECT_EQ(remote["model"]["source"], "user/gpt-oss/gpt-oss-mxfp4.gguf");
    EXPECT_EQ(remote["fetched_bytes"], sent_bytes(hub));
    EXPECT_GT(sent_bytes(hub), uint64_t{2} << 20) << "a header of one range does not show that it grows";
    EXPECT_LT(sent_bytes(hub), uint64_t{32} << 20) << "of " << fs::file_size(big);
}

TEST_F(RepoPlan, ChoosesTheFileOfTheQuantization) {
    const TestHub hub(
        preload("user/tiny", {{"folder/tiny-F16.gguf", tiny_moe()}, {"tiny-Q4_K_M.gguf", tiny_moe("Q4_K_M")}}));
    hub.use("", home_.path());
    EXPECT_EQ(plan({"--repo", "user/tiny", "--quant", "Q4_K_M"})["model"]["source"], "user/tiny/tiny-Q4_K_M.gguf");
    const Json made = plan({"--repo", "user/tiny", "--quant", "Q2_K"});
    EXPECT_EQ(made["model"]["source"], "user/tiny/folder/tiny-F16.gguf");
    EXPECT_EQ(made["model"]["quantization"], "Q2_K");
    // As `pull` and `generate` take it, what the name holds and nothing else.
    EXPECT_EQ(plan({"hf:user/tiny:Q4_K_M"})["model"]["source"], "user/tiny/tiny-Q4_K_M.gguf");
    EXPECT_EQ(plan({"--repo", "hf:user/tiny:folder/tiny-F16.gguf"})["model"]["source"],
              "user/tiny/folder/tiny-F16.gguf");
    expect_failure({"plan", "hf:user/tiny:Q2_K"}, 1, {"user/tiny", "tiny-Q4_K_M.gguf", "folder/tiny-F16.gguf"});
    expect_failure({"plan", "hf:user/tiny@nobranch:Q4_K_M"}, 1, {"user/tiny", "nobranch"});
    const Json inspected = shimmy_json({"inspect", "hf:user/tiny:Q4_K_M"});
    Json local = shimmy_json({"inspect", tiny_moe("Q4_K_M").string()});
    local["shards"] = inspected["shards"];  // where the header lies meanwhile
    EXPECT_EQ(inspected, local);
    EXPECT_LT(sent_bytes(hub), fs::file_size(tiny_moe())) << "headers alone";
}

TEST_F(RepoPlan, TheTokenStaysWithTheHub) {
    Json settings = preload("user/private", {{"tiny-F16.gguf", tiny_moe()}});
    settings["private"] = {"user/private"};
    const TestHub hub(settings);
    hub.use("", home_.path());
    expect_failure({"plan", "--repo", "user/private"}, 1, {"user/private", "HF_TOKEN"});
    hub.use(READ_TOKEN, home_.path());
    EXPECT_EQ(plan({"--repo", "user/private"})["model"]["quantization"], "F16");
    for (const Json & request : hub.requests("GET", "^/store/"))
        EXPECT_FALSE(request["headers"].contains("authorization"));
    EXPECT_GT(sent_bytes(hub), 0U);
}

TEST_F(RepoPlan, AServerWithoutRangesIsNotDownloaded) {
    Json settings = preload("user/tiny", {{"tiny-F16.gguf", tiny_moe()}});
    settings["ignore_ranges"] = true;
    const TestHub hub(settings);
    hub.use("", home_.path());
    expect_failure({"plan", "--repo", "user/tiny"}, 1, {"does not support byte ranges"});
    EXPECT_LT(sent_bytes(hub), fs::file_size(tiny_moe()));
    expect_failure({"plan", "--repo", "user/absent"}, 1, {"user/absent", "HF_TOKEN"});
    hub.use(READ_TOKEN, home_.path());
    expect_failure({"plan", "--repo", "user/absent"}, 1, {"user/absent", "not found"});
}

}  // namespace
}  // namespace shimmy::e2e
