// Beside what looks like a hardware GPU: a module of a card that is modelled (moe/tests/model_gpu.h), loaded as CUDA's
// is. It computes right results. Where the cache must open, the plugin's kernels are plain C++, so that the card is the
// faster of the two.
#include "program.h"
#include "temp_dir.h"

namespace shimmy::e2e {
namespace {

constexpr uint64_t EXPERT_BYTES = uint64_t{384} << 10;  // of models/tiny-moe, which has 48

#define SKIP_WITHOUT_MODULE() \
    if (*SHIMMY_MODEL_GPU == '\0') GTEST_SKIP() << "built without libggml-moe, whose test the module is"

// The program and its libraries in a folder of their own, with that module as the only one of a GPU.
class Installed {
public:
    Installed() {
        for (const fs::directory_entry & entry : fs::directory_iterator(fs::path(SHIMMY_PROGRAM).parent_path())) {
            const std::string name = entry.path().filename().string();
            const bool is_library = name.starts_with("lib") && name.find(".so") != std::string::npos;
            const bool is_gpu = name.starts_with("libggml-vulkan") || name.starts_with("libggml-cuda");
            if (name == "shimmy" || (is_library && !is_gpu))
                fs::copy(entry, dir_ / name, fs::copy_options::copy_symlinks);
        }
        fs::copy(SHIMMY_MODEL_GPU, dir_ / "libggml-opencl.so");
    }
    ProcessResult run(const std::vector<std::string> & args, const std::string & pin = "off") const {
        std::vector<std::string> command{"env", "GGML_MOE_ISA=scalar", "GGML_MOE_PIN=" + pin,
                                         "XDG_CACHE_HOME=" + dir_.path().string(), (dir_ / "shimmy").string()};
        command.insert(command.end(), args.begin(), args.end());
        return run_process(command, RUN_TIMEOUT);
    }

private:
    TempDir dir_;
};

std::vector<std::string> generate(std::initializer_list<std::string> more) {
    std::vector<std::string> args{"generate",      "--model", tiny_moe().string(), "--prompt", "The old house", "--raw",
                                  "--temperature", "0",       "--max-tokens",      "32"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

TEST(ModelledGpu, TheCacheOpensByItself) {
    SKIP_WITHOUT_MODULE();
    const Installed installed;
    const ProcessResult text = installed.run(generate({"--cpu-moe"}));
    ASSERT_EQ(text.exit_code, 0) << text.err;
    for (const char * part :
         {"expert cache: 48 of 48 experts fit (18.", "look-ups were hits (", "Model0 ", ", expert cache 18."})
        EXPECT_NE(text.err.find(part), std::string::npos) << part << " in " << text.err;

    const ProcessResult run = installed.run(generate({"--cpu-moe", "--json"}));
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

    const ProcessResult off = installed.run(generate({"--cpu-moe", "--moe-cache", "off", "--json"}));
    ASSERT_EQ(off.exit_code, 0) << off.err;
    EXPECT_EQ(Json::parse(off.out)["text"], document["text"]);
    EXPECT_EQ(Json::parse(off.out)["expert_cache"]["hits"], 0);
}

TEST(ModelledGpu, LockedMemoryIsTold) {
    SKIP_WITHOUT_MODULE();
    const Installed installed;
    const auto with_budget = [&](const std::string & size) {
        const ProcessResult run = installed.run(generate({"--cpu-moe", "--json"}), size);
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

}  // namespace
}  // namespace shimmy::e2e
