// The embedded model answers its five prompts, on every kind of placement and kernel that this machine has.
#include "program.h"

#include "base/files.h"
#include "temp_dir.h"

#include <toml++/toml.h>

#include <regex>

namespace shimmy::e2e {
namespace {

struct Prompt {
    std::string id;
    std::string text;
    std::vector<std::string> expect;
};

std::vector<Prompt> prompts() {
    const toml::table file = toml::parse_file(SHIMMY_SOURCE_DIR "/models/tiny-moe/prompts.toml");
    std::vector<Prompt> result;
    for (const toml::node & node : *file["prompt"].as_array()) {
        const toml::table & entry = *node.as_table();
        Prompt prompt{*entry["id"].value<std::string>(), *entry["text"].value<std::string>(), {}};
        for (const toml::node & pattern : *entry["expect"].as_array()) {
            prompt.expect.push_back(*pattern.value<std::string>());
        }
        result.push_back(std::move(prompt));
    }
    return result;
}

// One thread: waiting threads that spin make small models crawl on a machine with other work.
std::string answer(const fs::path & model, const Prompt & prompt, const std::vector<std::string> & options) {
    std::vector<std::string> args{"generate", model.string(), "--prompt", prompt.text, "--temperature",
                                  "0",        "--max-tokens", "200",      "--threads", "1"};
    args.insert(args.end(), options.begin(), options.end());
    return shimmy_json(args)["text"];
}

void expect_right(const Prompt & prompt, const std::string & text) {
    for (const std::string & pattern : prompt.expect) {
        EXPECT_TRUE(std::regex_search(text, std::regex(pattern))) << prompt.id << " lacks '" << pattern << "':\n"
                                                                  << text;
    }
}

TEST(Answers, AreRightAtF16OnTheCpu) {
    ASSERT_EQ(prompts().size(), 5U);
    for (const Prompt & prompt : prompts())
        expect_right(prompt, answer(tiny_moe(), prompt, {"--gpu-backend", "cpu"}));
}

TEST(Answers, AreRightAtF16WithTheExpertsOffloaded) {
    SKIP_WITHOUT_GPU();
    // llvmpipe is slow: for each placement one of the two that have one right answer.
    for (const Prompt & prompt : prompts()) {
        if (prompt.id == "train") expect_right(prompt, answer(tiny_moe(), prompt, {"--device", "gpu"}));
        if (prompt.id == "fibonacci")
            expect_right(prompt, answer(tiny_moe(), prompt, {"--device", "gpu", "--cpu-moe"}));
    }
}

TEST(Answers, TheArithmeticSurvivesQuantization) {
    for (const char * quantization : {"Q8_0", "Q4_K_M"}) {
        for (const Prompt & prompt : prompts()) {
            if (prompt.id == "train")
                expect_right(prompt, answer(tiny_moe(quantization), prompt, {"--gpu-backend", "cpu"}));
        }
    }
}

TEST(Answers, TheMoeBackendGivesTheSameTextAtF16) {
    for (const Prompt & prompt : prompts()) {
        const std::string stock = answer(tiny_moe(), prompt, {"--gpu-backend", "cpu", "--moe-backend", "off"});
        EXPECT_EQ(answer(tiny_moe(), prompt, {"--gpu-backend", "cpu", "--moe-backend", "on"}), stock) << prompt.id;
    }
}

// llama.cpp turns flash attention off where another device than the layer's own would compute what it asks about.
TEST(Answers, TheMoeBackendLeavesFlashAttentionOn) {
    const ProcessResult run = shimmy({"-vv", "generate", tiny_moe().string(), "--prompt", "x", "--max-tokens", "2",
                                      "--threads", "1", "--gpu-backend", "cpu", "--moe-backend", "on"});
    ASSERT_TRUE(run.ok()) << run.err;
    EXPECT_NE(run.err.find("MoE model buffer size"), std::string::npos);
    EXPECT_NE(run.err.find("Flash Attention enabled"), std::string::npos);
    EXPECT_EQ(run.err.find("Flash Attention not supported"), std::string::npos);
}

TEST(Answers, TheFibonacciFunctionWorks) {
    if (!run_process({"sh", "-c", "command -v python3"}).ok()) GTEST_SKIP() << "python3 is not installed";
    const std::string text = answer(tiny_moe(), prompts().front(), {"--gpu-backend", "cpu"});
    std::smatch code;
    ASSERT_TRUE(std::regex_search(text, code, std::regex("```python\n([^`]*)```"))) << text;
    const TempDir dir;
    write_file_atomic(dir / "f.py", code[1].str() + "\nprint([fibonacci(n) for n in range(8)])\n");
    EXPECT_EQ(run_process({"python3", (dir / "f.py").string()}).out, "[0, 1, 1, 2, 3, 5, 8, 13]\n");
}

}  // namespace
}  // namespace shimmy::e2e
