// Experts that are read from disk, through the program: the same text, what is said and what is counted.
#include "program.h"
#include "server_process.h"
#include "temp_dir.h"

#include "engine/make/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace shimmy::e2e {
namespace {

// Three layers of 16 experts, 384 KiB each (models/tiny-moe).
constexpr uint64_t EXPERT_BYTES = uint64_t{48} * 384 * 1024;

std::vector<std::string> generate_on_cpu(std::initializer_list<std::string> more) {
    std::vector<std::string> args{"generate",      "--model", tiny_moe().string(), "--prompt", "The old house", "--raw",
                                  "--temperature", "0",       "--max-tokens",      "24",       "--ctx",         "256",
                                  "--device",      "cpu"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

TEST(LoadMode, DirectComputesTheSame) {
    const Json mapped = shimmy_json(generate_on_cpu({"--load-mode", "mmap"}));
    const Json direct = shimmy_json(generate_on_cpu({"--load-mode", "direct"}));
    EXPECT_EQ(mapped["expert_disk"]["state"], "off");
    EXPECT_EQ(mapped["expert_disk"]["lookups"], 0);
    EXPECT_GE(mapped["expert_memory"]["mapped_bytes"].get<uint64_t>(), EXPERT_BYTES);
    EXPECT_EQ(mapped["expert_memory"]["pinned_bytes"], 0);
    EXPECT_EQ(direct["text"], mapped["text"]);
    const Json & disk = direct["expert_disk"];
    EXPECT_EQ(disk["expert_bytes"], EXPERT_BYTES);
    EXPECT_GE(disk["ram_bytes"].get<uint64_t>(), EXPERT_BYTES) << "all of it fits";
    EXPECT_EQ(disk["failures"], 0);
    EXPECT_GT(disk["lookups"].get<uint64_t>(), 0U);
    EXPECT_LE(disk["hits"].get<uint64_t>(), disk["lookups"].get<uint64_t>());
}

// The experts of a layer may lie in several parts, and RAM for a third of them makes the others be read from each.
TEST(LoadMode, AModelInPartsIsReadFromAllOfThem) {
    const TempDir dir;
    const std::vector<fs::path> parts = engine::split_model(tiny_moe(), dir.path(), 8 << 20, {});
    ASSERT_GE(parts.size(), 3U);
    const Json mapped = shimmy_json(generate_on_cpu({"--load-mode", "mmap"}));
    const auto in_little_ram = [](const fs::path & model) {
        std::vector<std::string> args = generate_on_cpu({});
        *std::find(args.begin(), args.end(), tiny_moe().string()) = model.string();
        setenv("GGML_MOE_RAM", "6MiB", 1);
        Json document = shimmy_json(args);
        unsetenv("GGML_MOE_RAM");
        return document;
    };
    const Json whole = in_little_ram(tiny_moe()), split = in_little_ram(parts.front());
    EXPECT_EQ(split["text"], mapped["text"]);
    EXPECT_EQ(split["expert_disk"]["expert_bytes"], EXPERT_BYTES);
    EXPECT_EQ(split["expert_disk"]["lookups"], whole["expert_disk"]["lookups"]);
    EXPECT_LT(split["expert_disk"]["hits"], split["expert_disk"]["lookups"]) << "not all of it fits";
    EXPECT_GT(split["expert_disk"]["read_bytes"].get<uint64_t>(), EXPERT_BYTES / 3);
    EXPECT_EQ(split["expert_disk"]["failures"], 0);
}

TEST(LoadMode, AutoLeavesAModelThatFitsAlone) {
    const Json document = shimmy_json(generate_on_cpu({}));
    EXPECT_EQ(document["expert_disk"]["state"], "off: the model fits in RAM");
    EXPECT_EQ(document["expert_disk"]["read_bytes"], 0);
}

TEST(LoadMode, DirectSaysSo) {
    const ProcessResult direct = shimmy(generate_on_cpu({"--load-mode", "direct"}));
    EXPECT_NE(
        direct.err.find("0.02 of 0.02 GiB of experts stay in RAM, the others are read from disk (--load-mode mmap: "
                        "all of them mapped)\n"),
        std::string::npos)
        << direct.err;
    EXPECT_NE(direct.err.find("\nexperts on disk: 18."), std::string::npos) << direct.err;
    const ProcessResult mapped = shimmy(generate_on_cpu({}));
    EXPECT_EQ(mapped.err.find("from disk"), std::string::npos) << mapped.err;
}

TEST(LoadMode, PlanSaysWhatATokenReads) {
    const std::vector<std::string> plan{"plan", "--shape", "olmoe-1b-7b", "--bandwidth", "40GB/s", "--vram", "8GiB"};
    const auto with = [&](std::initializer_list<std::string> more) {
        std::vector<std::string> args = plan;
        args.insert(args.end(), more.begin(), more.end());
        return args;
    };
    const Json small = shimmy_json(with({"--ram", "3GiB", "--disk", "3GB/s"}));
    const Json & disk = small["disk"];
    EXPECT_EQ(disk["disk_bytes_per_s"], 3e9);
    EXPECT_LT(disk["expert_ram_bytes"].get<double>(), 3.0 * (1 << 30));
    const double share = disk["expert_ram_bytes"].get<double>() / disk["expert_bytes"].get<double>();
    // 8 of 64 experts of every layer are used, and those that are not in RAM are read.
    EXPECT_NEAR(disk["token_bytes_high"].get<double>(), disk["expert_bytes"].get<double>() / 8 * (1 - share), 1e6);
    EXPECT_LT(disk["token_bytes_low"].get<double>(), disk["token_bytes_high"].get<double>());
    EXPECT_LT(disk["decode_tps_low"].get<double>(), disk["decode_tps_high"].get<double>());
    EXPECT_LT(disk["decode_tps_high"].get<double>(), small["placements"].back()["decode_tps_high"].get<double>());
    EXPECT_EQ(shimmy_json(with({"--ram", "64GiB"}))["disk"], nullptr);
    const ProcessResult text = shimmy(with({"--ram", "3GiB"}));
    EXPECT_NE(text.out.find("larger than RAM: with offload, "), std::string::npos) << text.out;
    EXPECT_NE(text.out.find("(--disk 3GB/s adds a decode rate)"), std::string::npos) << text.out;
}

TEST(ServeLoadMode, WhatWasReadIsShown) {
    const auto read_bytes = [](const ServerProcess & server) {
        EXPECT_EQ(server.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 8}}).status, 200);
        return server.curl("/v1/moe").json()["models"][0]["expert_disk"]["read_bytes"].get<uint64_t>();
    };
    const ServerProcess mapped({"--model", tiny_moe().string()});
    EXPECT_EQ(read_bytes(mapped), 0U);
    const ServerProcess direct({"--model", tiny_moe().string(), "--load-mode", "direct"});
    const uint64_t bytes = read_bytes(direct);
    EXPECT_GT(bytes, 0U);
    EXPECT_LE(bytes, EXPERT_BYTES);
    const std::string metrics = direct.curl("/metrics").body;
    EXPECT_NE(metrics.find(fmt::format("shimmy_expert_disk_read_bytes_total{{model=\"tiny-moe-f16\"}} {}\n", bytes)),
              std::string::npos)
        << metrics;
    const Json in_ram = direct.curl("/v1/moe").json()["models"][0]["expert_memory"];
    EXPECT_EQ(in_ram["pinned_bytes"], 0);
    for (const char * kind : {"pinned", "mapped"}) {
        const std::string line = fmt::format("shimmy_expert_{}_bytes{{model=\"tiny-moe-f16\"}} {}\n", kind,
                                             in_ram[fmt::format("{}_bytes", kind)].get<uint64_t>());
        EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
    }
}

}  // namespace
}  // namespace shimmy::e2e
