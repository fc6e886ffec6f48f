// Beside a GPU that is modelled: what only one that is faster than the CPU does, and one that others use, too.
#include "modelled_gpu.h"
#include "base/files.h"
#include "program.h"
#include "server_process.h"
#include "temp_dir.h"

#include <cstdlib>

namespace shimmy::e2e {
namespace {

constexpr uint64_t EXPERT_BYTES = uint64_t{384} << 10;  // of models/tiny-moe, which has 48

std::vector<std::string> generate(std::initializer_list<std::string> more) {
    std::vector<std::string> args{"generate",      "--model", tiny_moe().string(), "--prompt", "The old house", "--raw",
                                  "--temperature", "0",       "--max-tokens",      "32"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

// Its kernels are plain C++, so that the card is the faster of the two. `pin`: GGML_MOE_PIN.
ProcessResult run_beside(const std::vector<std::string> & args, const std::string & pin = "off") {
    const Variable slow("GGML_MOE_ISA", "scalar");
    const Variable locks("GGML_MOE_PIN", pin);
    return shimmy(args);
}

TEST(ModelledGpu, TheCacheOpensByItself) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const ProcessResult text = run_beside(generate({"--cpu-moe"}));
    ASSERT_EQ(text.exit_code, 0) << text.err;
    for (const char * part :
         {"expert cache: 48 of 48 experts fit (18.", "look-ups were hits (", "Model0 ", ", expert cache 18."})
        EXPECT_NE(text.err.find(part), std::string::npos) << part << " in " << text.err;

    const ProcessResult run = run_beside(generate({"--cpu-moe", "--json"}));
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const Json document = Json::parse(run.out);
    EXPECT_EQ(document["device"]["description"], "modelled GeForce RTX 3060");
    EXPECT_EQ(document["device"]["software"], false);
    EXPECT_EQ(document["moe_backend"], true);
    const Json & cache = document["expert_cache"];
    EXPECT_EQ(cache["state"], "48 of 48 experts in VRAM");
    EXPECT_GE(cache["bytes"].get<uint64_t>(), 49 * EXPERT_BYTES) << "and a spare one";
    EXPECT_EQ(document["memory"]["vram"]["expert_cache_bytes"], cache["bytes"]);
    EXPECT_GT(cache["lookups"].get<uint64_t>(), 0U);
    EXPECT_GT(cache["hits"].get<uint64_t>(), 0U);
    EXPECT_LE(cache["hits"].get<uint64_t>(), cache["lookups"].get<uint64_t>());

    const ProcessResult off = run_beside(generate({"--cpu-moe", "--moe-cache", "off", "--json"}));
    ASSERT_EQ(off.exit_code, 0) << off.err;
    EXPECT_EQ(Json::parse(off.out)["text"], document["text"]);
    EXPECT_EQ(Json::parse(off.out)["expert_cache"]["hits"], 0);
}

TEST(ModelledGpu, LockedMemoryIsTold) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const auto with_budget = [&](const std::string & size) {
        const ProcessResult run = run_beside(generate({"--cpu-moe", "--json"}), size);
        EXPECT_EQ(run.exit_code, 0) << run.err;
        return Json::parse(run.out)["expert_memory"];
    };
    const Json all = with_budget("1GiB");
    EXPECT_GE(all["pinned_bytes"].get<uint64_t>(), 48 * EXPERT_BYTES);
    EXPECT_EQ(all["pinned_bytes"], all["mapped_bytes"]);
    const Json too_little = with_budget("1MiB");
    EXPECT_EQ(too_little["pinned_bytes"], 0);
    EXPECT_EQ(too_little["mapped_bytes"], all["mapped_bytes"]);
}

// A card that others use, too: what is in its memory is what the program sees of it.
class SharedGpu : public testing::Test {
protected:
    void SetUp() override {
        SKIP_WITHOUT_MODULE();
        all_ = vram_bytes(run({"--placement", "gpu"}));
        least_ = vram_bytes(run({"--cpu-moe"}));
        ASSERT_LT(least_, all_);
    }
    static std::vector<std::string> small(const std::vector<std::string> & more) {
        std::vector<std::string> args{"--ctx", "256", "--no-warmup", "--moe-cache", "off"};
        args.insert(args.end(), more.begin(), more.end());
        return args;
    }
    ProcessResult try_to_run(const std::vector<std::string> & more) const {
        std::vector<std::string> args = generate({"--json"});
        const std::vector<std::string> options = small(more);
        args.insert(args.end(), options.begin(), options.end());
        return run_beside(args);
    }
    Json run(const std::vector<std::string> & more) const {
        const ProcessResult result = try_to_run(more);
        EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
        return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    }
    static uint64_t vram_bytes(const Json & run) { return run["memory"]["vram_bytes"].get<uint64_t>(); }

    static constexpr uint64_t CARD_BYTES = uint64_t{12} << 30;
    static constexpr uint64_t MARGIN_BYTES = uint64_t{512} << 20;  // that a choice leaves free on a small card
    const BesideModelledGpu gpu_;
    uint64_t all_ = 0;    // of VRAM, with everything on the GPU
    uint64_t least_ = 0;  // with all experts in RAM
};

TEST_F(SharedGpu, MemoryThatIsTakenMeanwhileIsPlannedWithAgain) {
    const Json whole = run({});
    EXPECT_EQ(whole["placement"], "baseline");
    const uint64_t left = (all_ + least_) / 2;
    const Variable taken("MODEL_GPU_TAKEN", std::to_string(CARD_BYTES - left));
    const Json half = run({});
    EXPECT_NE(half["placement"], "baseline");
    EXPECT_LE(vram_bytes(half), left);
    EXPECT_EQ(half["text"], whole["text"]);
    const std::string reason = half["placement_reason"];
    EXPECT_NE(reason.find("gpu did not load: memory was taken meanwhile"), std::string::npos) << reason;
    // What was asked for is not changed.
    const ProcessResult asked = try_to_run({"--placement", "gpu"});
    EXPECT_EQ(asked.exit_code, 1) << asked.err;
    const Variable nothing("MODEL_GPU_TAKEN", std::to_string(CARD_BYTES));
    const ProcessResult full = try_to_run({});
    EXPECT_EQ(full.exit_code, 1);
    EXPECT_NE(full.err.find(" on Model0, which has 0 B free"), std::string::npos) << full.err;
}

TEST_F(SharedGpu, AServerPlansAgainToo) {
    const Variable taken("MODEL_GPU_TAKEN", std::to_string(CARD_BYTES - (all_ + least_) / 2));
    ServerProcess server(small({"--model", tiny_moe().string(), "--device", "gpu"}));
    const HttpReply reply = server.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 2}});
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(server.process().err().find("memory was taken meanwhile"), std::string::npos) << server.process().err();
}

// Each with a process of its own: what is left is what the others leave.
TEST_F(SharedGpu, ModelsAreLoadedBesideEachOther) {
    const TempDir dir;
    fs::create_directory(dir / "card");
    const Variable shared("MODEL_GPU_SHARED", (dir / "card").string());
    const Variable memory("MODEL_GPU_MEMORY", std::to_string(MARGIN_BYTES + all_ + (all_ + least_) / 2));
    const std::string path = "model = '" + tiny_moe().string() + "'\n";
    write_file_atomic(dir / "models.toml", "[first]\n" + path + "[second]\n" + path + "[third]\n" + path);
    ServerProcess server(small({"--models-file", (dir / "models.toml").string(), "--device", "gpu"}));
    const auto use = [&](const std::string & model) {
        const HttpReply reply = server.post("/v1/completions", {{"model", model}, {"prompt", "a"}, {"max_tokens", 2}});
        EXPECT_EQ(reply.status, 200) << reply.body;
        const std::string log = server.process().err();
        const size_t line = log.rfind(model + ": placement ");
        return line == std::string::npos ? log : log.substr(line, log.find(':', line + model.size() + 1) - line);
    };
    EXPECT_EQ(use("first"), "first: placement gpu");
    const std::string second = use("second");
    EXPECT_TRUE(second == "second: placement cpu-moe" || second.starts_with("second: placement n-cpu-moe=")) << second;
    EXPECT_EQ(server.curl("/api/models/first/status").json()["state"], "ready") << "nobody had to go";
    for (const char * model : {"first", "second"})
        EXPECT_EQ(server.curl("/api/models/" + std::string(model) + "/unload", {"-X", "POST"}).status, 200);
    EXPECT_EQ(use("third"), "third: placement gpu") << "the card is free again";
}

}  // namespace
}  // namespace shimmy::e2e
