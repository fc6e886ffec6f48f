// Where the weights go and what memory that takes, read back from loaded models of the embedded model's and the
// reference models' shapes.
#include "program.h"

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
    const Json baseline = generate(model, {});
    const Json offload = generate(model, {"--cpu-moe"});
    const Json partial = generate(model, {"--n-cpu-moe", std::to_string(GetParam().n_cpu_moe)});
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

}  // namespace
}  // namespace shimmy::e2e
