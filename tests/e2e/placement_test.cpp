// Where the weights go and what memory that takes, read back from loaded models of the embedded model's and the
// reference models' shapes.
#include "gguf/model_info.h"
#include "modelled_gpu.h"
#include "program.h"
#include "projector.h"
#include "temp_dir.h"

#include <cctype>
#include <map>
#include <ostream>

namespace shimmy::e2e {
namespace {

struct Case {
    std::string shape;
    int n_layers;
    std::string quantization;
    int n_cpu_moe;  // layers for the partial placement: some experts on either side
};

fs::path model_of(const Case & wanted) {
    if (wanted.shape == "tiny-moe") return tiny_moe(wanted.quantization);
    return synthetic(wanted.shape, wanted.n_layers, wanted.quantization);
}

// One token is enough: memory is allocated for the whole context whatever is generated.
Json generate(const fs::path & model, const std::vector<std::string> & placement) {
    std::vector<std::string> args{"generate",     "--model", model.string(),  "--prompt", "a",     "--raw",
                                  "--max-tokens", "1",       "--temperature", "0",        "--ctx", "256",
                                  "--device",     "gpu",     "--no-warmup"};
    args.insert(args.end(), placement.begin(), placement.end());
    return shimmy_json(args);
}

uint64_t bytes_of(const Json & run, const char * where, const char * kind) {
    return run["memory"][where][kind].get<uint64_t>();
}

void expect_vram_is_the_sum_of_the_devices_buffers(const Json & run) {
    uint64_t sum = 0;
    for (const Json & buffer : run["memory"]["buffers"]) {
        if (buffer["host"].get<bool>()) continue;
        EXPECT_NE(buffer["device"], "CPU") << buffer.dump();
        for (const char * kind : {"model_bytes", "context_bytes", "compute_bytes"})
            sum += buffer[kind].get<uint64_t>();
    }
    EXPECT_GT(sum, 0U);
    EXPECT_EQ(run["memory"]["vram_bytes"].get<uint64_t>(), sum);
}

// How a test names its parameter when it fails.
void PrintTo(const Case & wanted, std::ostream * out) {
    *out << wanted.shape << ", " << wanted.n_layers << " layers, " << wanted.quantization;
}

std::string case_name(const testing::TestParamInfo<Case> & param) {
    std::string name = param.param.shape;
    for (char & c : name)
        c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return name;
}

class Placement : public testing::TestWithParam<Case> {};
class ReferencePlacement : public testing::TestWithParam<Case> {};

TEST_P(Placement, OffloadSavesTheExpertsAndNothingElse) {
    SKIP_WITHOUT_GPU();
    const fs::path model = model_of(GetParam());
    const Json info = shimmy_json({"inspect", model.string()});
    // Without flash attention: llvmpipe (Mesa 22.3) faults, or computes what is no number, in llama.cpp's shader for
    // groups of heads.
    const Json baseline = generate(model, {"--flash-attn", "off", "--placement", "gpu"});
    const Json offload = generate(model, {"--flash-attn", "off", "--cpu-moe"});
    const Json partial = generate(model, {"--flash-attn", "off", "--n-cpu-moe", std::to_string(GetParam().n_cpu_moe)});
    EXPECT_EQ(baseline["placement"], "baseline");
    EXPECT_EQ(offload["placement"], "offload");
    for (const Json & run : {baseline, offload, partial}) {
        expect_vram_is_the_sum_of_the_devices_buffers(run);
        EXPECT_EQ(bytes_of(run, "vram", "context_bytes"), bytes_of(baseline, "vram", "context_bytes"));
    }
    // Tensors are padded to the device's alignment: a thousandth covers it.
    const auto expect_saved = [&](const Json & run, uint64_t expert_bytes) {
        const uint64_t saved = bytes_of(baseline, "vram", "model_bytes") - bytes_of(run, "vram", "model_bytes");
        EXPECT_NEAR(static_cast<double>(saved), static_cast<double>(expert_bytes),
                    static_cast<double>(expert_bytes) * 0.001);
    };
    EXPECT_EQ(baseline["memory"]["expert_ram_bytes"], 0U);
    EXPECT_EQ(offload["memory"]["expert_ram_bytes"], info["expert_bytes"]);
    expect_saved(offload, info["expert_bytes"].get<uint64_t>());
    uint64_t first_layers = 0;
    for (int layer = 0; layer < GetParam().n_cpu_moe; ++layer) {
        first_layers += info["expert_bytes_per_layer"][static_cast<size_t>(layer)].get<uint64_t>();
    }
    EXPECT_GT(first_layers, 0U);
    EXPECT_LT(first_layers, info["expert_bytes"].get<uint64_t>());
    expect_saved(partial, first_layers);
}

TEST_P(ReferencePlacement, VerifyReadsThePlacementBackFromTheLoadedModel) {
    SKIP_WITHOUT_GPU();
    const Case & wanted = GetParam();
    const ProcessResult result =
        shimmy({"verify", model_of(wanted).string(), "--as", wanted.shape, "--device", "gpu", "--json"});
    std::map<std::string, std::string> status;
    const Json document = Json::parse(result.out);
    for (const Json & check : document["checks"])
        status[check["check"]] = check["status"];
    EXPECT_EQ(status["experts under --cpu-moe"], "pass") << result.out;
    EXPECT_EQ(status["active experts"], "pass") << result.out;
    EXPECT_EQ(status["layers"], "fail") << result.out;   // the file has fewer layers than the real model,
    EXPECT_EQ(status["experts"], "fail") << result.out;  // and half the experts
    EXPECT_EQ(result.exit_code, 1);
}

const Case PHI{"phi-3.5-moe", 2, "Q2_K", 1};
const Case GPT_OSS{"gpt-oss-20b", 2, "MXFP4", 1};
const Case DEEPSEEK{"deepseek-moe-16b", 3, "Q4_K_M", 2};  // the first layer is dense: two hold the experts of one

INSTANTIATE_TEST_SUITE_P(Shapes, Placement, testing::Values(Case{"tiny-moe", 4, "Q4_K_M", 2}, PHI, GPT_OSS, DEEPSEEK),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Shapes, ReferencePlacement, testing::Values(PHI, GPT_OSS, DEEPSEEK), case_name);

// ---- Where nobody asks for a placement ----

uint64_t vram_of(const Json & run) {
    return run["memory"]["vram_bytes"].get<uint64_t>();
}

TEST(AutomaticPlacement, TakesWhatFitsToTheByte) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const fs::path model = tiny_moe();
    const uint64_t all = vram_of(generate(model, {"--placement", "gpu"}));
    const uint64_t least = vram_of(generate(model, {"--placement", "cpu-moe", "--moe-cache", "off"}));
    const auto with_limit = [&](uint64_t bytes) {
        return generate(model, {"--vram", std::to_string(bytes), "--moe-cache", "off"});
    };
    const Json fits = with_limit(all);
    EXPECT_EQ(fits["placement"], "baseline");
    EXPECT_EQ(fits["placement_reason"].get<std::string>().rfind("all on Model0 (needs ", 0), 0U)
        << fits["placement_reason"];
    const Json one_byte_short = with_limit(all - 1);
    EXPECT_EQ(one_byte_short["placement"], "n_cpu_moe=2") << "the first layer is dense: one more holds experts";
    EXPECT_LT(vram_of(one_byte_short), all);
    const Json smallest = with_limit(least);
    EXPECT_EQ(smallest["placement"], "offload");
    EXPECT_EQ(vram_of(smallest), least);
    expect_failure(
        {"generate", model.string(), "a", "--device", "gpu", "--ctx", "256", "--vram", std::to_string(least - 1)}, 1,
        {"needs", "to be used", "short; even --cpu-moe would not fit"});
    expect_failure({"probe", model.string(), "--device", "gpu", "--ctx", "256", "--vram", std::to_string(all - 1),
                    "--placement", "gpu"},
                   2, {"needs", "short; try --n-cpu-moe 2"});
}

// A draft model and a projector are on the GPU with the model: they leave it less.
TEST(AutomaticPlacement, LeavesRoomForWhatIsLoadedWithTheModel) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const fs::path model = tiny_moe();
    const TempDir dir;
    const std::string projector = (dir / "mmproj.gguf").string();
    write_projector(projector, gguf::read_model_info(model).n_embd);
    const uint64_t alone = vram_of(generate(model, {"--placement", "gpu", "--flash-attn", "off"}));
    for (const std::vector<std::string> & beside :
         {std::vector<std::string>{"--model-draft", model.string()}, {"--mmproj", projector}}) {
        const auto with = [&](const std::vector<std::string> & more) {
            std::vector<std::string> args{"--moe-cache", "off", "--flash-attn", "off"};
            args.insert(args.end(), beside.begin(), beside.end());
            args.insert(args.end(), more.begin(), more.end());
            return generate(model, args);
        };
        const uint64_t all = vram_of(with({"--placement", "gpu"}));
        EXPECT_GT(all, alone) << beside[0];
        EXPECT_EQ(with({"--vram", std::to_string(all)})["placement"], "baseline") << beside[0];
        const Json one_byte_short = with({"--vram", std::to_string(all - 1)});
        EXPECT_NE(one_byte_short["placement"], "baseline") << beside[0];
        EXPECT_LT(vram_of(one_byte_short), all) << beside[0];
    }
}

TEST(AutomaticPlacement, ACacheTakesWhatTheLimitLeaves) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const fs::path model = tiny_moe();
    const uint64_t all = vram_of(generate(model, {"--placement", "gpu"}));
    const uint64_t least = vram_of(generate(model, {"--placement", "cpu-moe", "--moe-cache", "off"}));
    const uint64_t limit = least + (all - least) / 2;
    // Warmed up, so that the cache is opened; asked for by size, since the card may be slower at so small a model.
    const Json run = shimmy_json({"generate", model.string(), "a", "--raw", "--max-tokens", "4", "--ctx", "256",
                                  "--device", "gpu", "--vram", std::to_string(limit), "--moe-cache", "1GiB"});
    EXPECT_EQ(run["placement"], "offload");
    EXPECT_NE(run["placement_reason"].get<std::string>().find("copies of hot ones in VRAM"), std::string::npos);
    EXPECT_GT(run["memory"]["vram"]["expert_cache_bytes"].get<uint64_t>(), 0U);
    EXPECT_LE(vram_of(run), limit);
    const Json automatic = generate(model, {"--vram", std::to_string(limit)});
    EXPECT_EQ(automatic["placement"], "offload") << "more than half of the experts do not fit";
    EXPECT_LE(vram_of(automatic), limit);
}

TEST(AutomaticPlacement, OneLineSaysWhatAndHowToKeepIt) {
    SKIP_WITHOUT_GPU();
    const std::vector<std::string> args{"generate", tiny_moe().string(), "a", "--raw", "--max-tokens", "1", "--ctx",
                                        "256",      "--no-warmup"};
    const auto err_of = [&](std::vector<std::string> more) {
        more.insert(more.begin(), args.begin(), args.end());
        return shimmy(more).err;
    };
    EXPECT_EQ(err_of({"--device", "gpu"}).rfind("placement gpu: all on Vulkan0 (needs ", 0), 0U);
    EXPECT_NE(err_of({"--device", "gpu"}).find(" usable); keep it with --placement gpu\n"), std::string::npos);
    for (const std::vector<std::string> & asked : {std::vector<std::string>{"--device", "gpu", "--placement", "gpu"},
                                                   {"--device", "gpu", "--n-cpu-moe", "0"},
                                                   {"--device", "gpu", "--cpu-moe"},
                                                   {"--device", "cpu"},
                                                   {}})
        EXPECT_EQ(err_of(asked).find("placement "), std::string::npos) << "asked for, or nothing to choose";
}

TEST(AutomaticPlacement, NamesOfPlacements) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const fs::path model = tiny_moe();
    EXPECT_EQ(generate(model, {"--placement", "n-cpu-moe=2"})["placement"], "n_cpu_moe=2");
    EXPECT_EQ(generate(model, {"--placement", "offload"})["placement"], "offload") << "as in campaign files";
    EXPECT_EQ(generate(model, {"--placement", "auto"})["placement"], "baseline");
    EXPECT_TRUE(generate(model, {"--placement", "gpu"})["placement_reason"].is_null());
    const std::vector<std::string> base{"generate", model.string(), "a"};
    const auto refused = [&](std::vector<std::string> more, const std::vector<std::string> & parts) {
        more.insert(more.begin(), base.begin(), base.end());
        expect_failure(more, 2, parts);
    };
    refused({"--placement", "cpu"}, {"'cpu' is not a placement (write auto, gpu, cpu-moe or n-cpu-moe=N)"});
    refused({"--placement", "gpu", "--cpu-moe"}, {"--placement", "--cpu-moe"});
    refused({"--vram", "8"}, {"--vram 8: 8 bytes? Write 8GiB or 8MiB"});
    refused({"--vram", "0"}, {"--device cpu"});
    expect_failure({"lab", "run", "none.toml", "--placement", "gpu"}, 2, {"a campaign names its placements itself"});
    expect_failure({"list", "--cpu-moe"}, 2, {"shimmy list takes no --cpu-moe"});
    expect_failure({"--cpu-moe", "list"}, 2, {"shimmy list takes no --cpu-moe"});
    expect_failure({"plan", model.string(), "--placement", "gpu"}, 2, {"plan shows every placement"});
}

TEST(AutomaticPlacement, CheckChoosesForEveryModelAlone) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const TempDir dir;
    const std::string tasks = (dir / "tasks.toml").string();  // of one: it is not the answers that matter
    write_file_atomic(tasks,
                      "[[tasks]]\nid = \"train\"\nkind = \"arithmetic\"\nresult = 150\n"
                      "prompt = \"A train travels 60 miles per hour for 2.5 hours. How far does it go?\"\n");
    const uint64_t f16 = vram_of(generate(tiny_moe(), {"--placement", "gpu"}));
    const ProcessResult result =
        shimmy({"check", tiny_moe().string(), tiny_moe("Q4_K_M").string(), "--tasks", tasks, "--device", "gpu", "--ctx",
                "256", "--vram", std::to_string(f16 - 1), "--moe-cache", "off"});
    EXPECT_NE(result.err.find("placement n-cpu-moe=2: "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("placement gpu: "), std::string::npos) << "the smaller one fits: " << result.err;
}

}  // namespace
}  // namespace shimmy::e2e
