// Where the weights go and what memory that takes, read back from loaded models.
#include "program.h"

#include "gguf/model_info.h"

namespace shimmy::e2e {
namespace {

Json generate(const fs::path & model, const std::vector<std::string> & placement) {
    std::vector<std::string> args{"generate", "--model", model.string(), "--prompt", "Hello", "--raw", "--max-tokens", "2",
                                  "--temperature", "0", "--ctx", "256", "--device", "gpu"};
    args.insert(args.end(), placement.begin(), placement.end());
    return shimmy_json(args);
}

uint64_t expert_bytes(const fs::path & model) {
    return shimmy_json({"inspect", model.string()})["experts"]["bytes"];
}

struct Case {
    std::string shape;
    int n_layers;
    std::string quantization;
};

class Placement : public testing::TestWithParam<Case> {
protected:
    fs::path model() const {
        const Case & wanted = GetParam();
        return wanted.shape == "tiny-moe" ? tiny_moe() : synthetic(wanted.shape, wanted.n_layers, wanted.quantization);
    }
};

TEST_P(Placement, VramIsTheSumOfTheDevicesBuffers) {
    SKIP_WITHOUT_GPU();
    for (const std::vector<std::string> & placement : {std::vector<std::string>{}, {"--cpu-moe"}}) {
        const Json memory = generate(model(), placement)["memory"];
        uint64_t sum = 0;
        for (const Json & buffer : memory["buffers"]) {
            if (buffer["host"].get<bool>()) continue;
            sum += buffer["model_bytes"].get<uint64_t>() + buffer["context_bytes"].get<uint64_t>() + buffer["compute_bytes"].get<uint64_t>();
        }
        EXPECT_GT(sum, 0U);
        EXPECT_EQ(memory["vram_bytes"].get<uint64_t>(), sum);
    }
}

TEST_P(Placement, OffloadSavesTheExpertsAndNothingElse) {
    SKIP_WITHOUT_GPU();
    const Json baseline = generate(model(), {});
    const Json offload = generate(model(), {"--cpu-moe"});
    EXPECT_EQ(baseline["placement"], "baseline");
    EXPECT_EQ(offload["placement"], "offload");
    const auto weights = [](const Json & run) { return run["memory"]["vram"]["model_bytes"].get<int64_t>(); };
    const auto kv = [](const Json & run) { return run["memory"]["vram"]["context_bytes"].get<int64_t>(); };
    // Buffers are padded per tensor to the device's alignment: a tenth of a percent covers it.
    const auto saved = static_cast<double>(weights(baseline) - weights(offload));
    const auto experts = static_cast<double>(expert_bytes(model()));
    EXPECT_NEAR(saved, experts, experts * 0.001);
    EXPECT_EQ(kv(baseline), kv(offload));
}

TEST_P(Placement, PartialOffloadLiesBetween) {
    SKIP_WITHOUT_GPU();
    const auto vram = [&](const std::vector<std::string> & placement) {
        return generate(model(), placement)["memory"]["vram"]["model_bytes"].get<uint64_t>();
    };
    const uint64_t baseline = vram({});
    const uint64_t offload = vram({"--cpu-moe"});
    // deepseek's first layer is dense: two layers hold at least one with experts in every shape.
    const uint64_t partial = vram({"--n-cpu-moe", "2"});
    EXPECT_LT(partial, baseline);
    EXPECT_GE(partial, offload);
    EXPECT_EQ(vram({"--n-cpu-moe", "0"}), baseline);
}

TEST_P(Placement, VerifyReadsThePlacementBackFromTheLoadedModel) {
    SKIP_WITHOUT_GPU();
    const std::string spec = GetParam().shape;
    if (spec == "tiny-moe") GTEST_SKIP() << "not a reference shape";
    // Fewer layers than the real model: those lines must fail, the placement line must pass.
    const ProcessResult result = shimmy({"verify", model().string(), "--as", spec, "--device", "gpu", "--json"});
    const Json document = Json::parse(result.out);
    bool found = false;
    for (const Json & check : document["checks"]) {
        const std::string id = check["check"];
        if (id == "experts_on_cpu") {
            found = true;
            EXPECT_TRUE(check["pass"].get<bool>()) << check.dump();
        }
        if (id == "layers") EXPECT_FALSE(check["pass"].get<bool>()) << check.dump();
        if (id == "experts") EXPECT_TRUE(check["pass"].get<bool>()) << check.dump();
    }
    EXPECT_TRUE(found) << document.dump(2);
    EXPECT_EQ(result.exit_code, 1);
}

INSTANTIATE_TEST_SUITE_P(, Placement,
                         testing::Values(Case{"tiny-moe", 4, "F16"}, Case{"phi-3.5-moe", 2, "Q2_K"}, Case{"gpt-oss-20b", 2, "MXFP4"},
                                         Case{"deepseek-moe-16b", 3, "Q4_K_M"}),
                         [](const auto & info) {
                             std::string name = info.param.shape;
                             for (char & c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                             return name;
                         });

}  // namespace
}  // namespace shimmy::e2e
