// One software GPU that stands for two: layers on both, with the experts where the placement says.
#include "program.h"

#include <cstdlib>

namespace shimmy::e2e {
namespace {

class SeveralGpus : public testing::Test {
protected:
    void SetUp() override {
        SKIP_WITHOUT_GPU();
        setenv("GGML_VK_VISIBLE_DEVICES", "0,0", 1);
        const Json known = shimmy_json({"gpu-info"});
        for (const Json & device : known["devices"])
            if (device["kind"] == "gpu") names_ += (names_.empty() ? "" : ",") + device["name"].get<std::string>();
        if (names_.find(',') == std::string::npos) GTEST_SKIP() << "the GPU cannot stand for two";
    }
    void TearDown() override { unsetenv("GGML_VK_VISIBLE_DEVICES"); }

    static std::vector<std::string> command(const std::vector<std::string> & more) {
        std::vector<std::string> args{"generate",
                                      "--model",
                                      tiny_moe().string(),
                                      "--prompt",
                                      "A train travels",
                                      "--raw",
                                      "--max-tokens",
                                      "8",
                                      "--temperature",
                                      "0",
                                      "--ctx",
                                      "256",
                                      "--no-warmup",
                                      "--flash-attn",
                                      "off"};
        args.insert(args.end(), more.begin(), more.end());
        return args;
    }

    std::string names_;
};

TEST_F(SeveralGpus, HoldTheModelTogetherAndSayTheSame) {
    const Json alone = shimmy_json(command({"--device", "gpu", "--placement", "gpu"}));
    for (const std::vector<std::string> & placement :
         {std::vector<std::string>{"--placement", "gpu"}, {"--n-cpu-moe", "2"}, {"--cpu-moe"}}) {
        std::vector<std::string> args{"--device", names_};
        args.insert(args.end(), placement.begin(), placement.end());
        const Json both = shimmy_json(command(args));
        EXPECT_EQ(both["text"], alone["text"]);
        std::map<std::string, uint64_t> bytes;
        for (const Json & buffer : both["memory"]["buffers"])
            if (!buffer["host"].get<bool>()) bytes[buffer["device"]] += buffer["model_bytes"].get<uint64_t>();
        ASSERT_EQ(bytes.size(), 2U) << both["memory"].dump();
        for (const auto & [device, held] : bytes)
            EXPECT_GT(held, 0U) << device;
    }
}

TEST_F(SeveralGpus, MayBeSplitInOtherWays) {
    const Json alone = shimmy_json(command({"--device", "gpu", "--placement", "gpu"}));
    const std::string first = names_.substr(0, names_.find(','));
    const auto with = [&](const std::vector<std::string> & more) {
        std::vector<std::string> args{"--device", names_, "--placement", "gpu"};
        args.insert(args.end(), more.begin(), more.end());
        const Json run = shimmy_json(command(args));
        EXPECT_EQ(run["text"], alone["text"]) << run["llama_args"];
        std::map<std::string, uint64_t> bytes;
        for (const Json & buffer : run["memory"]["buffers"])
            if (!buffer["host"].get<bool>()) bytes[buffer["device"]] += buffer["model_bytes"].get<uint64_t>();
        return bytes;
    };
    const auto none = with({"--split-mode", "none"});
    ASSERT_EQ(none.size(), 1U);
    EXPECT_EQ(none.begin()->first, first);
    const auto shares = with({"--split-mode", "layer", "--tensor-split", "3,1"});
    ASSERT_EQ(shares.size(), 2U);
    EXPECT_GT(shares.at(first), shares.rbegin()->second) << "three layers, and one with the output";
}

// The draft model lies on both cards, too.
TEST_F(SeveralGpus, ADraftModelIsCountedOnEach) {
    const Json alone = shimmy_json(command({"--device", "gpu", "--placement", "gpu"}));
    const Json both = shimmy_json(command({"--device", names_, "--model-draft", tiny_moe().string()}));
    EXPECT_EQ(both["placement"], "baseline");
    EXPECT_EQ(both["text"], alone["text"]);
    EXPECT_GT(both["memory"]["vram_bytes"], alone["memory"]["vram_bytes"]);
}

TEST_F(SeveralGpus, EachMayHaveItsOwnLimit) {
    const Json both = shimmy_json(command({"--device", names_, "--vram", "1GiB,30MiB", "--moe-cache", "off"}));
    std::map<std::string, uint64_t> bytes;
    for (const Json & buffer : both["memory"]["buffers"])
        for (const char * kind : {"model_bytes", "context_bytes", "compute_bytes"})
            if (!buffer["host"].get<bool>()) bytes[buffer["device"]] += buffer[kind].get<uint64_t>();
    const std::string second = names_.substr(names_.find(',') + 1);
    EXPECT_LE(bytes[second], 30U * 1024 * 1024) << both["memory"].dump();
    EXPECT_GT(bytes[names_.substr(0, names_.find(','))], bytes[second]);
    EXPECT_EQ(shimmy(command({"--device", names_, "--vram", "1GiB,1GiB,1GiB"})).exit_code, 2);
}

TEST_F(SeveralGpus, NamesThatMeanNothingAreErrors) {
    const std::string first = names_.substr(0, names_.find(','));
    for (const std::string & names : {first + ",cpu", first + "," + first, first + ",", first + ",Vulkan9"}) {
        const ProcessResult result = shimmy(command({"--device", names}));
        EXPECT_EQ(result.exit_code, 2) << names;
        EXPECT_NE(result.err.find("device"), std::string::npos) << result.err;
    }
}

TEST(PlanOfSeveralCards, SharesTheLayersByTheirRoom) {
    const Json plan = shimmy_json(
        {"plan", "--shape", "deepseek-moe-16b", "--vram", "8GiB,6GiB", "--ram", "32GiB", "--bandwidth", "50GB/s"});
    EXPECT_EQ(plan["vram_method"], "modelled");
    EXPECT_EQ(plan["vram_limit_bytes"], 14ULL << 30U);
    EXPECT_EQ(plan["best"]["placement"], "baseline") << "11.1 GiB fit 14 less the reserve";
    const Json & cards = plan["best"]["cards"];
    ASSERT_EQ(cards.size(), 2U);
    const auto share = [&](size_t card, double usable_gib) {
        return cards[card]["vram_bytes"].get<double>() / usable_gib;
    };
    EXPECT_NEAR(share(0, 7.5) / share(1, 5.5), 1.0, 0.1) << "as full as one another, to a layer";
    const ProcessResult named = shimmy({"plan", "--shape", "deepseek-moe-16b", "--card", "rtx-4060,RTX 3060"});
    EXPECT_EQ(named.exit_code, 0) << named.err;
    EXPECT_NE(named.out.find("VRAM at 272 to 360 GB/s (its maker's figure)"), std::string::npos) << named.out;
    EXPECT_EQ(shimmy({"plan", "--shape", "deepseek-moe-16b", "--card", "rtx-4060", "--vram", "8GiB"}).exit_code, 2);
    EXPECT_EQ(shimmy({"plan", "--shape", "deepseek-moe-16b", "--vram", "8"}).exit_code, 2) << "8 bytes";
}

}  // namespace
}  // namespace shimmy::e2e
