// Experts in VRAM, through the program: the same text with and without, every figure, the trace and its replay. The GPU
// may be Mesa's software one.
#include "base/files.h"
#include "modelled_gpu.h"
#include "program.h"
#include "server_process.h"
#include "temp_dir.h"
#include "variable.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <sstream>

namespace shimmy::e2e {
namespace {

// Programs started meanwhile stream no batch: whether that pays is measured by one process after another until two
// agree, and its buffers are VRAM.
class NoStreaming : Variable {
public:
    NoStreaming() : Variable("GGML_MOE_GPU_MIN_BATCH", "0") {}
};

std::vector<std::string> generate(std::initializer_list<std::string> more) {
    std::vector<std::string> args{"generate",      "--model", tiny_moe().string(), "--prompt", "The old house", "--raw",
                                  "--temperature", "0",       "--max-tokens",      "24",       "--ctx",         "256"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

TEST(ExpertCache, SameTextAndEveryByteIsCounted) {
    SKIP_WITHOUT_GPU();
    const NoStreaming same_in_each_run;
    const Json off = shimmy_json(generate({"--device", "gpu", "--cpu-moe", "--moe-cache", "off"}));
    const Json on = shimmy_json(generate({"--device", "gpu", "--cpu-moe", "--moe-cache", "8MiB"}));
    EXPECT_EQ(off["expert_cache"]["state"], "off");
    EXPECT_EQ(off["expert_cache"]["slots"], 0);
    EXPECT_EQ(off["memory"]["vram"]["expert_cache_bytes"], 0);
    EXPECT_EQ(on["text"], off["text"]);
    const Json & cache = on["expert_cache"];
    EXPECT_EQ(cache["slots"], 21) << "of 384 KiB each";
    EXPECT_EQ(cache["experts"], 48) << "three layers of 16";
    EXPECT_EQ(cache["state"], "21 of 48 experts in VRAM");
    EXPECT_GT(cache["hits"].get<uint64_t>(), 0U);
    EXPECT_LT(cache["hits"].get<uint64_t>(), cache["lookups"].get<uint64_t>());
    EXPECT_LE(cache["resident"].get<uint64_t>(), 21U);
    EXPECT_EQ(cache["uploaded_bytes"], cache["uploads"].get<uint64_t>() * 384 * 1024);
    const uint64_t bytes = cache["bytes"].get<uint64_t>();
    EXPECT_GE(bytes, 22U * 384 * 1024) << "and a spare one";
    const Json & memory = on["memory"];
    EXPECT_EQ(memory["vram"]["expert_cache_bytes"], bytes);
    EXPECT_EQ(memory["vram_bytes"], off["memory"]["vram_bytes"].get<uint64_t>() + bytes);
    EXPECT_EQ(memory["devices"].at(0)["expert_cache_bytes"], bytes);
    uint64_t in_buffers = 0;
    for (const Json & buffer : memory["buffers"])
        in_buffers += buffer["expert_cache_bytes"].get<uint64_t>();
    EXPECT_EQ(in_buffers, bytes);
}

TEST(ExpertCache, TheSummarySaysWhatItDid) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const ProcessResult on = shimmy(generate({"--device", "gpu", "--cpu-moe", "--moe-cache", "8MiB"}));
    EXPECT_NE(on.err.find("expert cache: 21 of 48 experts fit (8."), std::string::npos) << on.err;
    EXPECT_NE(on.err.find("look-ups were hits"), std::string::npos) << on.err;
    EXPECT_NE(on.err.find(", expert cache 8."), std::string::npos) << "among the device's memory: " << on.err;
    const ProcessResult partial = shimmy(generate({"--device", "gpu", "--n-cpu-moe", "2"}));
    EXPECT_NE(partial.err.find("\nexpert cache off\n"), std::string::npos)
        << "whole layers have the VRAM: " << partial.err;
    const ProcessResult automatic = shimmy(generate({"--device", "gpu", "--cpu-moe"}));
    EXPECT_NE(automatic.err.find("\nexpert cache"), std::string::npos) << automatic.err;
    const ProcessResult cpu = shimmy(generate({"--device", "cpu", "--cpu-moe"}));
    EXPECT_EQ(cpu.err.find("expert cache"), std::string::npos) << cpu.err;
}

TEST(ExpertCache, HoldsExpertsOfTheLayersOnTheCpuOnly) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const NoStreaming same_in_each_run;
    const Json off = shimmy_json(generate({"--device", "gpu", "--n-cpu-moe", "3", "--moe-cache", "off"}));
    const std::vector<std::string> args = generate({"--device", "gpu", "--n-cpu-moe", "3", "--moe-cache", "8MiB"});
    const Json on = shimmy_json(args);
    EXPECT_EQ(on["text"], off["text"]);
    const Json & cache = on["expert_cache"];
    EXPECT_EQ(cache["experts"], 32) << "layers 1 and 2; layer 0 has none, layer 3 is in VRAM whole";
    EXPECT_EQ(cache["slots"], 21);
    EXPECT_GT(cache["hits"].get<uint64_t>(), 0U);
    const uint64_t bytes = cache["bytes"].get<uint64_t>();
    EXPECT_GE(bytes, 22U * 384 * 1024);
    EXPECT_EQ(on["memory"]["vram_bytes"], off["memory"]["vram_bytes"].get<uint64_t>() + bytes);
    const ProcessResult summary = shimmy(args);
    EXPECT_NE(summary.err.find("expert cache: 21 of 32 experts fit (8."), std::string::npos) << summary.err;
    EXPECT_NE(summary.err.find("look-ups were hits"), std::string::npos) << summary.err;
}

TEST(ExpertCache, WrongSettingsAreRefused) {
    expect_failure(generate({"--moe-cache", "much"}), 2,
                   {"--moe-cache", "much is none of auto, off or a size such as 4GiB"});
    expect_failure({"--moe-cache", "much", "generate", "m"}, 2,
                   {"--moe-cache: much is none of"});  // before the command
    expect_failure(generate({"--expert-trace", "/nowhere/t.csv"}), 1, {"/nowhere/t.csv: cannot be written"});
    expect_failure(generate({"--expert-trace", "t.csv", "--moe-backend", "off"}), 2,
                   {"--expert-trace needs libggml-moe"});
}

TEST(ExpertTrace, IsReplayed) {
    const TempDir dir;
    const std::string file = (dir.path() / "t.csv").string();
    const Json run = shimmy_json(generate({"--device", "cpu", "--cpu-moe", "--expert-trace", file}));
    const Json plan = shimmy_json({"plan", "--trace", file, "--bandwidth", "60GB/s", "--vram-bandwidth", "450GB/s",
                                   "--link-bandwidth", "22GB/s", "--cache-sizes", "2MiB,64MiB"});
    EXPECT_EQ(plan["n_decode_tokens"], run["n_output_tokens"].get<int>() - 1) << "the prompt gives the first";
    EXPECT_EQ(plan["ram_bytes_per_s"], 60e9);
    EXPECT_EQ(plan["vram_bytes_per_s"], 450e9);
    EXPECT_EQ(plan["link_bytes_per_s"], 22e9);
    ASSERT_EQ(plan["sizes"].size(), 2U);
    EXPECT_EQ(plan["sizes"][0]["cache_bytes"], 2 << 20);
    std::map<std::string, double> hit_rates;
    for (const Json & way : plan["sizes"][1]["ways"])
        hit_rates[way["way"]] = way["hit_rate"];
    EXPECT_EQ(hit_rates.at("n-cpu-moe"), 1.0);
    EXPECT_EQ(hit_rates.at("cpu-moe"), 0.0);
    EXPECT_GT(hit_rates.at("cache"), 0.5);
    EXPECT_GT(hit_rates.at("lru"), 0.5);
    // One line per token, layer and slot, as the counters have it.
    uint64_t hits = 0;
    for (const Json & use : run["expert_use"])
        hits += use["hits"].get<uint64_t>();
    const std::string text = read_file(file);
    EXPECT_EQ(static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n')), hits + 2);
    const std::string chart = (dir.path() / "c.svg").string();
    EXPECT_EQ(shimmy({"plan", "--trace", file, "--bandwidth", "60GB/s", "--chart", chart}).exit_code, 0);
    const std::string drawn = read_file(chart);
    for (const char * part : {"<svg", "cache", "LRU", "whole layers"})
        EXPECT_NE(drawn.find(part), std::string::npos) << part;
}

TEST(ExpertTrace, WhatItReadsFromDisk) {
    const TempDir dir;
    const std::string file = (dir.path() / "t.csv").string();
    shimmy_json(generate({"--device", "cpu", "--cpu-moe", "--expert-trace", file}));
    const auto plan = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"plan", tiny_moe().string(), "--bandwidth", "60GB/s", "--ctx", "256"});
        return more;
    };
    const Json without = shimmy_json(plan({"--ram", "16MiB", "--disk", "1GB/s"}));
    const Json disk = shimmy_json(plan({"--ram", "16MiB", "--disk", "1GB/s", "--trace", file}))["disk"];
    EXPECT_EQ(disk["expert_ram_bytes"], without["disk"]["expert_ram_bytes"]);
    EXPECT_GT(disk["hit_rate"].get<double>(), 0.3);
    EXPECT_LT(disk["hit_rate"].get<double>(), 1.0);
    // Three layers of four experts of 384 KiB each.
    const double missed = 1 - disk["hit_rate"].get<double>(), bytes = disk["token_bytes"];
    EXPECT_NEAR(bytes, missed * 12 * 384 * 1024, 1);
    const double in_ram = without["placements"].back()["decode_tps_high"];
    EXPECT_NEAR(disk["decode_tps"].get<double>(), 1 / (1 / in_ram + bytes / 1e9), 0.01);
    EXPECT_EQ(shimmy_json(plan({"--ram", "64GiB", "--trace", file}))["disk"], nullptr) << "it fits";
    const ProcessResult text = shimmy(plan({"--ram", "16MiB", "--trace", file}));
    EXPECT_NE(text.out.find("(--disk 3GB/s adds a decode rate)"), std::string::npos) << text.out << text.err;
}

TEST(ExpertTrace, WhatTheCardLeavesIsASizeToo) {
    const TempDir dir;
    const std::string file = (dir.path() / "t.csv").string();
    shimmy_json(generate({"--device", "cpu", "--cpu-moe", "--expert-trace", file}));
    const std::vector<std::string> plan{
        "plan", tiny_moe().string(), "--trace", file,     "--bandwidth", "60GB/s", "--ctx",
        "256",  "--reserve",         "0",       "--vram", "40MiB"};
    const ProcessResult result = shimmy(plan);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("<- what --vram leaves"), std::string::npos) << result.out;
    std::vector<std::string> small = plan;
    small.back() = "1MiB";
    expect_failure(small, 1, {"1.0 MiB of VRAM hold no cache: what is not an expert takes "});
    expect_failure({"plan", "--trace", file, "--vram", "1GiB"}, 2, {"--vram with --trace needs the model"});
    expect_failure({"plan", tiny_moe().string(), "--cache-sizes", "1GiB"}, 2, {"belong to --trace"});
    expect_failure({"plan", "--trace", file, "--cache-sizes", "1GiB,0"}, 2, {"--cache-sizes: must be above 0"});
    write_file_atomic(file, "# route_trace v1\n0,1,0,30,0,1,1,0,64\n");
    expect_failure({"plan", tiny_moe().string(), "--trace", file, "--bandwidth", "60GB/s"}, 1,
                   {"is a trace of another model: it has 31 layers"});
}

TEST(ServeExpertTrace, HoldsTheRequestsOfOneModel) {
    const TempDir dir;
    const std::string file = (dir.path() / "t.csv").string();
    {
        ServerProcess server({"--model", tiny_moe().string(), "--device", "cpu", "--expert-trace", file});
        EXPECT_EQ(server.post("/v1/completions", {{"prompt", "The old house"}, {"max_tokens", 6}, {"ignore_eos", true}})
                      .status,
                  200);
    }
    const Json plan = shimmy_json({"plan", "--trace", file, "--bandwidth", "60GB/s"});
    EXPECT_EQ(plan["n_decode_tokens"], 5) << "the prompt gives the first of six; the warm-up is not in it";
    expect_failure(
        {"serve", "--model", tiny_moe().string(), "--model", tiny_moe("Q8_0").string(), "--expert-trace", file}, 2,
        {"--expert-trace: needs one --model"});
}

// By token, the logarithms of its probabilities; the whole vocabulary.
using Distribution = std::map<int, double>;

std::vector<Distribution> distributions_of_answer(const std::string & cache, std::string & text) {
    ServerProcess server({"--model", tiny_moe().string(), "--device", "gpu", "--cpu-moe", "--moe-cache", cache});
    const Json request{{"prompt", "The old house"}, {"n_predict", 40}, {"temperature", 0},
                       {"ignore_eos", true},        {"n_probs", 2048}, {"cache_prompt", false}};
    server.post("/completion", request);  // fills the cache
    const Json reply = server.post("/completion", request).json();
    text = reply["content"];
    std::vector<Distribution> all;
    for (const Json & token : reply["completion_probabilities"]) {
        Distribution & distribution = all.emplace_back();
        for (const Json & one : token["top_logprobs"])
            distribution[one["id"]] = one["logprob"];
    }
    if (cache != "off") {
        EXPECT_GT(server.curl("/v1/moe").json()["models"][0]["expert_cache"]["hits"].get<int>(), 200);
    }
    return all;
}

TEST(ServeExpertCache, ProbabilitiesAreThoseWithoutACache) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    std::string text, expected_text;
    const std::vector<Distribution> expected = distributions_of_answer("off", expected_text);
    const std::vector<Distribution> found = distributions_of_answer("8MiB", text);
    EXPECT_EQ(text, expected_text);
    ASSERT_EQ(expected.size(), 40U);
    ASSERT_EQ(found.size(), 40U);
    double divergence = 0;  // of Kullback and Leibler, in nats, mean over the tokens
    for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(expected[i].size(), 2048U) << "the whole vocabulary";
        for (const auto & [id, logarithm] : expected[i])
            divergence += std::exp(logarithm) * (logarithm - found[i].at(id)) / 40;
    }
    EXPECT_LT(divergence, 1e-4);
    EXPECT_GT(divergence, -1e-6) << "but for what rounding takes";
}

TEST(ServeExpertCache, MemoryHitsAndResidentsAreShown) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    ServerProcess server({"--model", tiny_moe().string(), "--device", "gpu", "--cpu-moe", "--moe-cache", "8MiB"});
    const Json loaded = server.curl("/v1/moe").json()["models"][0];
    EXPECT_GT(loaded["vram"]["expert_cache_bytes"].get<uint64_t>(), 8U << 20) << "taken before the first request";
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(server.post("/v1/completions", {{"prompt", "The old house"}, {"max_tokens", 8}}).status, 200);
    const Json model = server.curl("/v1/moe").json()["models"][0];
    const Json & cache = model["expert_cache"];
    EXPECT_EQ(cache["slots"], 21);
    EXPECT_GT(cache["hits"].get<uint64_t>(), 0U);
    const uint64_t total = model["vram"]["total_bytes"].get<uint64_t>();
    uint64_t kinds = 0;
    for (const char * kind : {"model_bytes", "context_bytes", "compute_bytes", "expert_cache_bytes"})
        kinds += model["vram"][kind].get<uint64_t>();
    EXPECT_EQ(total, kinds);
    size_t residents = 0;
    for (const Json & layer : model["layers"])
        residents += layer["experts_in_vram"].size();
    EXPECT_GT(residents, 0U);
    EXPECT_LE(residents, 21U);
    const std::string metrics = server.curl("/metrics").body;
    for (const char * part : {"kind=\"expert_cache\"} 8", "shimmy_expert_cache_slots{model=\"tiny-moe-f16\"} 21",
                              "# TYPE shimmy_expert_cache_hits_total counter", "shimmy_expert_cache_uploads_total{",
                              "shimmy_expert_cache_uploaded_bytes_total{", "shimmy_expert_cache_lookups_total{",
                              "shimmy_expert_cache_resident{"})
        EXPECT_NE(metrics.find(part), std::string::npos) << part << "\n" << metrics;
}

// Tokens of a long prompt that the plugin computed, the answer's one included.
int n_tokens_beside_gpu(const std::vector<std::string> & more, const std::vector<std::string> & llama_args) {
    std::vector<std::string> args{"--model", tiny_moe().string(), "--device", "gpu", "--moe-gpu-min-batch",
                                  "32",      "--moe-cache",       "off"};
    args.insert(args.end(), more.begin(), more.end());
    args.insert(args.end(), {"--", "--flash-attn", "off"});
    args.insert(args.end(), llama_args.begin(), llama_args.end());
    const ServerProcess server(args);
    const int before = server.n_tokens_computed();
    std::string prompt;
    for (int i = 0; i < 12; ++i)
        prompt += "The old house stood by the river for many years. ";
    const Json reply = server.post("/v1/completions", {{"prompt", prompt}, {"max_tokens", 1}}).json();
    EXPECT_GT(reply["usage"]["prompt_tokens"].get<int>(), 100) << reply;
    return server.n_tokens_computed() - before;
}

// llama.cpp leaves such a prompt's experts to its own CPU code, if the plugin does not take them.
TEST(ServeBesideGpu, WithoutOpOffloadThePluginComputesPrompts) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    EXPECT_LT(n_tokens_beside_gpu({"--cpu-moe"}, {}), 32) << "the GPU does, of a batch so large";
    EXPECT_GT(n_tokens_beside_gpu({"--cpu-moe"}, {"--no-op-offload"}), 100);
}

// Of the metrics of buffers on the GPU.
uint64_t vram_in_metrics(const std::string & metrics) {
    std::istringstream lines(metrics);
    uint64_t bytes = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("shimmy_memory_bytes{") && line.find("device=\"Model0\"") != std::string::npos)
            bytes += std::stoull(line.substr(line.find("} ") + 2));
    }
    return bytes;
}

// A batch needs more of the GPU than a token, so the cache grows after the model was loaded.
TEST(ServeExpertCache, EveryFigureOfMemoryIsThatOfNow) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    ServerProcess server({"--model", tiny_moe().string(), "--device", "gpu", "--cpu-moe", "--moe-cache", "8MiB",
                          "--moe-gpu-min-batch", "0", "--ollama-bind", "127.0.0.1:0"});
    const auto vram = [&] { return server.curl("/v1/moe").json()["models"][0]["vram"]; };
    const uint64_t loaded = vram()["total_bytes"];
    const std::string prompt(200, 'a');
    EXPECT_EQ(server.post("/v1/completions", {{"prompt", prompt}, {"max_tokens", 2}}).status, 200);
    const uint64_t now = vram()["total_bytes"];
    EXPECT_GT(now, loaded);
    EXPECT_EQ(vram_in_metrics(server.curl("/metrics").body), now);
    EXPECT_EQ(server.curl("/api/models/tiny-moe-f16/status").json()["vram_bytes"], now);
    EXPECT_EQ(server.curl("/diag").json()["models"][0]["vram_bytes"], now);
    const std::string ollama = "http://" + server.started()["ollama_address"].get<std::string>();
    const Json running = server.curl(ollama + "/api/ps").json()["models"][0];
    EXPECT_EQ(running["size_vram"], now);
    const Json host = server.curl("/v1/moe").json()["models"][0]["host"];
    EXPECT_EQ(running["size"], now + host["total_bytes"].get<uint64_t>());
}

TEST(ExpertCache, APlanLeavesItWhatARunWithoutOneLeaves) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const NoStreaming same_in_each_run;
    const TempDir dir;
    const std::string file = (dir.path() / "t.csv").string();
    const Json off =
        shimmy_json(generate({"--device", "gpu", "--cpu-moe", "--moe-cache", "off", "--expert-trace", file}));
    const uint64_t limit = 20U << 20;
    const Json plan = shimmy_json({"plan", tiny_moe().string(), "--trace", file, "--bandwidth", "60GB/s", "--ctx",
                                   "256", "--reserve", "0", "--device", "gpu", "--vram", "20MiB"});
    std::vector<uint64_t> sizes;
    for (const Json & size : plan["sizes"])
        sizes.push_back(size["cache_bytes"]);
    EXPECT_EQ(std::count(sizes.begin(), sizes.end(), limit - off["memory"]["vram_bytes"].get<uint64_t>()), 1)
        << plan["sizes"];
    const Json on =
        shimmy_json(generate({"--device", "gpu", "--cpu-moe", "--moe-cache", "1GiB", "--vram", std::to_string(limit)}));
    EXPECT_LE(on["memory"]["vram_bytes"].get<uint64_t>(), limit);
    EXPECT_GT(on["memory"]["vram_bytes"].get<uint64_t>(), limit - 3 * 1024 * 1024) << "but for the spare slots";
}

}  // namespace
}  // namespace shimmy::e2e
