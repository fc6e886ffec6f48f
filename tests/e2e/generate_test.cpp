// Text, timings and errors of `shimmy generate`.
#include "modelled_gpu.h"
#include "program.h"

#include "base/files.h"
#include "temp_dir.h"

#include <csignal>
#include <fstream>

namespace shimmy::e2e {
namespace {

std::vector<std::string> greedy(const fs::path & model, const std::string & prompt,
                                std::vector<std::string> more = {}) {
    std::vector<std::string> args{"generate", "--model",       model.string(), "--prompt",  prompt, "--temperature",
                                  "0",        "--gpu-backend", "cpu",          "--threads", "1"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

TEST(Generate, StreamsTextOnStdoutAndTheSummaryOnStderr) {
    const ProcessResult result =
        shimmy(greedy(tiny_moe(), "A train travels 60 miles per hour for 2.5 hours. How far does it go?"));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("150"), std::string::npos) << result.out;
    for (const char * part : {"prompt tokens", "output tokens", "load", "TTFT", "prefill", "decode", "peak RSS"}) {
        EXPECT_NE(result.err.find(part), std::string::npos) << part << " not in: " << result.err;
    }
}

TEST(Generate, JsonCarriesWhatTheTextSays) {
    const Json run = shimmy_json(greedy(tiny_moe(), "Explain gradient descent in simple terms."));
    const std::string plain = shimmy(greedy(tiny_moe(), "Explain gradient descent in simple terms.")).out;
    EXPECT_EQ(run["text"], plain);
    EXPECT_EQ(run["stop_reason"], "end_of_text") << "an answer is not cut by default";
    EXPECT_EQ(run["max_tokens"], 0);
    EXPECT_GT(run["n_output_tokens"], 100);
    EXPECT_EQ(run["token_ms"].size(), run["n_output_tokens"].get<size_t>());
    EXPECT_EQ(run["ttft_ms"], run["token_ms"][0]);
    EXPECT_TRUE(std::is_sorted(run["token_ms"].begin(), run["token_ms"].end()));
    const double decode_tps = (run["n_output_tokens"].get<double>() - 1.0) * 1000.0 / run["decode_ms"].get<double>();
    EXPECT_NEAR(run["decode_tps"].get<double>(), decode_tps, decode_tps * 1e-6);
    EXPECT_GT(run["peak_rss_bytes"].get<uint64_t>(), fs::file_size(tiny_moe()) / 2);
    EXPECT_EQ(run["memory"]["vram_bytes"], 0);
}

TEST(Generate, SameSeedSameTextOtherSeedOtherText) {
    const auto text = [](const std::string & seed) {
        return shimmy_json({"generate", tiny_moe().string(), "--prompt",
                            "Write a short poem about the stars in the style of Emily Dickinson.", "--temperature",
                            "1.5", "--seed", seed, "--device", "cpu"})["text"]
            .get<std::string>();
    };
    EXPECT_EQ(text("7"), text("7"));
    EXPECT_NE(text("7"), text("8"));
}

TEST(Generate, PromptsOfAWantedLength) {
    const std::string prompt = "Explain gradient descent in simple terms.";
    const Json as_it_is = shimmy_json(greedy(tiny_moe(), prompt, {"--max-tokens", "4"}));
    EXPECT_FALSE(as_it_is.contains("depth"));
    const Json longer = shimmy_json(greedy(tiny_moe(), prompt, {"--max-tokens", "4", "--prompt-tokens", "300"}));
    EXPECT_EQ(longer["n_prompt_tokens"], 300);
    EXPECT_EQ(longer["n_output_tokens"], 4);
    // The longest is the shortest: then nothing is put before it, and the answer is the same.
    const std::string own = std::to_string(as_it_is["n_prompt_tokens"].get<int>());
    const Json same = shimmy_json(greedy(tiny_moe(), prompt, {"--max-tokens", "4", "--prompt-tokens", own}));
    EXPECT_EQ(same["text"], as_it_is["text"]);
    expect_failure(greedy(tiny_moe(), prompt, {"--prompt-tokens", "2"}), 2,
                   {"--prompt-tokens 2: the prompt alone has " + own + " tokens"});
}

TEST(Generate, ADepthIsComputedBeforeTheClockStarts) {
    const std::string prompt = "Explain gradient descent in simple terms.";
    const Json flat = shimmy_json(greedy(tiny_moe(), prompt, {"--max-tokens", "4", "--cold-run"}));
    const Json deep = shimmy_json(greedy(tiny_moe(), prompt, {"--max-tokens", "4", "--cold-run", "--depth", "400"}));
    EXPECT_EQ(deep["depth"], 400);
    const int n_prompt = flat["n_prompt_tokens"];
    EXPECT_GE(deep["n_prompt_tokens"].get<int>(), n_prompt - 1)
        << "the token that begins a text stands before the depth";
    EXPECT_LE(deep["n_prompt_tokens"].get<int>(), n_prompt);
    EXPECT_TRUE(deep["cold"]["same_text"]);
    EXPECT_NEAR(deep["prefill_tps"].get<double>(),
                deep["n_prompt_tokens"].get<double>() * 1000.0 / deep["prefill_ms"].get<double>(),
                1e-6 * deep["prefill_tps"].get<double>());
    const Json both =
        shimmy_json(greedy(tiny_moe(), prompt, {"--max-tokens", "4", "--depth", "100", "--prompt-tokens", "200"}));
    EXPECT_EQ(both["n_prompt_tokens"], 200);
    EXPECT_EQ(both["depth"], 100);
    expect_failure(greedy(tiny_moe(), prompt, {"--depth", "512", "--ctx", "512"}), 1,
                   {"a depth of 512 tokens", "do not fit into a context of 512", "the model was trained for no more"});
}

TEST(Generate, MaxTokensAndContextStopIt) {
    const Json few =
        shimmy_json(greedy(tiny_moe(), "Explain quantum computing in simple terms.", {"--max-tokens", "5"}));
    EXPECT_EQ(few["n_output_tokens"], 5);
    EXPECT_EQ(few["stop_reason"], "max_tokens");
    // llama.cpp rounds contexts up to 256 tokens; n_ctx is what it made.
    std::string long_prompt;
    while (long_prompt.size() < 80 * 17)
        long_prompt += "gradient descent ";  // 17 characters, 3 tokens each time
    const Json full = shimmy_json(greedy(tiny_moe(), long_prompt, {"--ctx", "256", "--raw"}));
    EXPECT_EQ(full["stop_reason"], "context_full");
    EXPECT_EQ(full["n_prompt_tokens"].get<int>() + full["n_output_tokens"].get<int>(), full["n_ctx"].get<int>());
}

TEST(Generate, BadInputIsOneClearLine) {
    const TempDir dir;
    std::ofstream(dir / "text.gguf") << "this is not a model at all, just some text";
    fs::copy_file(tiny_moe(), dir / "cut.gguf");
    fs::resize_file(dir / "cut.gguf", fs::file_size(tiny_moe()) / 2);
    std::string other = read_file(tiny_moe());
    other.replace(other.find("deepseek"), 8, "deepsook");
    std::ofstream(dir / "other.gguf", std::ios::binary) << other;
    const auto with = [](const fs::path & model) { return greedy(model, "Hello"); };
    expect_failure(with(dir / "none.gguf"), 1, {"none.gguf"});
    expect_failure(with(dir / "text.gguf"), 1, {"text.gguf", "GGUF"});
    expect_failure(with(dir / "cut.gguf"), 1, {"cut.gguf", "truncated"});
    expect_failure(with(dir / "other.gguf"), 1, {"other.gguf", "deepsook"});
    expect_failure(with(dir.path()), 1, {dir.path().string()});
    expect_failure(greedy(tiny_moe(), "Hello", {"--ctx", "1000000"}), 2, {"1000000", "--ctx"});
    expect_failure(greedy(tiny_moe(), "Hello", {"--device", "Vulkan7"}), 2, {"Vulkan7", "CPU"});
    expect_failure(greedy(tiny_moe(), "Hello", {"--cpu-moe", "--n-cpu-moe", "2"}), 2, {"--cpu-moe", "--n-cpu-moe"});
    expect_failure(greedy(tiny_moe(), "Hello", {"--n-cpu-moe", "-1"}), 2, {"--n-cpu-moe"});
    expect_failure(greedy(tiny_moe(), "Hello", {"--max-tokens", "many"}), 2, {"--max-tokens"});
    expect_failure(greedy(tiny_moe(), ""), 2, {"--prompt"});
    expect_failure({"generate", "--prompt", "Hello"}, 2, {"--model"});
    expect_failure({"frobnicate"}, 2, {"frobnicate"});
}

TEST(Generate, ErrorsAreADocumentWithJson) {
    const ProcessResult result = shimmy({"generate", "--model", "/none.gguf", "--prompt", "Hello", "--json"});
    EXPECT_EQ(result.exit_code, 1);
    const Json document = Json::parse(result.out);
    EXPECT_NE(document["error"]["message"].get<std::string>().find("/none.gguf"), std::string::npos);
    EXPECT_EQ(document["error"]["exit_code"], 1);
}

TEST(Generate, APromptLongerThanTheContextSaysTheNumbers) {
    std::string prompt;
    for (int i = 0; i < 400; ++i)
        prompt += "gradient descent ";
    expect_failure(greedy(tiny_moe(), prompt, {"--ctx", "256"}), 1, {"tokens", "256", "--ctx"});
}

TEST(Generate, AModelThatDoesNotFitSaysWhatWould) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const Variable memory("MODEL_GPU_MEMORY", std::to_string(uint64_t{1} << 30));
    // Half of OLMoE 1B-7B's layers and experts: more than 1 GiB, whose attention alone would fit.
    const fs::path model = synthetic("olmoe-1b-7b", 8, "Q4_K_M");
    expect_failure({"generate", "--model", model.string(), "--prompt", "a", "--device", "gpu", "--ctx", "256",
                    "--placement", "gpu"},
                   1, {"needs", "free", "short", "try --n-cpu-moe"});
    // The advice holds: the N it names fits, one less does not.
    const auto load = [&](int n_cpu_moe) {
        return shimmy({"probe", model.string(), "--device", "gpu", "--ctx", "256", "--no-warmup", "--n-cpu-moe",
                       std::to_string(n_cpu_moe)});
    };
    const std::string message = load(0).err;
    const std::string option = "--n-cpu-moe ";
    ASSERT_NE(message.find(option), std::string::npos) << message;
    const int n = std::stoi(message.substr(message.find(option) + option.size()));
    EXPECT_NE(load(n - 1).exit_code, 0);
    EXPECT_EQ(load(n).exit_code, 0);
}

TEST(Generate, ABaselineThatIsNoneSaysSo) {
    SKIP_WITHOUT_GPU();
    // llvmpipe takes no tensor above 128 MiB, and the experts of a layer of Mixtral are larger: llama.cpp leaves them
    // in RAM without a word.
    const fs::path model = synthetic("mixtral-8x7b", 1, "Q4_K_M");
    const ProcessResult result = shimmy({"generate", "--model", model.string(), "--prompt", "a", "--device", "gpu",
                                         "--ctx", "256", "--max-tokens", "1", "--no-warmup", "--raw"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.err.find("of experts are in RAM"), std::string::npos) << result.err;
}

TEST(Generate, PromptsStandInSeveralPlaces) {
    const auto text = [](std::vector<std::string> args, const std::string & input = "") {
        std::string command =
            "exec \"$0\" generate --temperature 0 --gpu-backend cpu --threads 1 --max-tokens 8 \"$@\"";
        if (!input.empty()) command = "printf '%s' '" + input + "' | " + command;
        args.insert(args.begin(), {"sh", "-c", command, SHIMMY_PROGRAM});
        const ProcessResult result = run_process(args, RUN_TIMEOUT);
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return result.out;
    };
    const std::string model = tiny_moe().string();
    const std::string question = "What is the Fibonacci sequence?";
    const std::string expected = text({"--model", model, "--prompt", question});
    EXPECT_NE(expected, "");
    EXPECT_EQ(text({model, question}), expected);
    EXPECT_EQ(text({"-m", model, question}), expected);
    EXPECT_EQ(text({model}, question), expected);
    EXPECT_EQ(text({model, "-"}, question), expected);
    EXPECT_EQ(text({model, "-p", "-"}, question), expected);
    expect_failure({"generate", model, question, "--prompt", "a"}, 2, {"the prompt is given twice"});
    expect_failure({"generate", model, question, "--model", model}, 2, {"the model is given twice"});
}

TEST(Generate, NamesOfLlamaCppMeanTheSame) {
    const Json ours = shimmy_json({"generate", tiny_moe().string(), "Hello", "--device", "cpu", "--ctx", "512",
                                   "--threads", "1", "--max-tokens", "5", "--temperature", "0.5", "--seed", "3"});
    const Json theirs = shimmy_json({"generate", "-m", tiny_moe().string(), "-p", "Hello", "-ngl", "0", "-c", "512",
                                     "-t", "1", "--n-predict", "5", "--temp=0.5", "-s", "3", "--jinja"});
    for (const char * key : {"text", "n_ctx", "n_threads", "max_tokens", "temperature", "seed"})
        EXPECT_EQ(theirs[key], ours[key]) << key;
    expect_failure({"generate", "-ngl", "20"}, 2, {"-ngl 20: shimmy moves experts to the CPU, not whole layers"});
    expect_failure({"generate", "-cnv"}, 2, {"shimmy chat"});
    expect_failure({"generate", "--tempreature", "1"}, 2,
                   {"unknown option --tempreature; did you mean --temperature?"});
    expect_failure({"generate", "--dry-multiplier", "1"}, 2, {"it is llama.cpp's own: put it behind --"});
    expect_failure({"genrate"}, 2, {"unknown command 'genrate'; did you mean shimmy generate?"});
    expect_failure({"lab", "rnu"}, 2, {"did you mean shimmy lab run?"});
}

TEST(Generate, OptionsOfLlamaCpp) {
    const auto run = [](std::vector<std::string> more) {
        std::vector<std::string> args{"generate", tiny_moe().string(), "Hello", "--device", "cpu", "--ctx",
                                      "512",      "--max-tokens",      "3",     "--json"};
        args.insert(args.end(), more.begin(), more.end());
        return shimmy(args);
    };
    const Json f16 = Json::parse(run({}).out);
    const Json q8_0 = Json::parse(run({"--cache-type-k", "q8_0", "--", "-ctv", "q8_0", "-fa", "on"}).out);
    EXPECT_EQ(q8_0["llama_args"], Json({"--cache-type-k", "q8_0", "-ctv", "q8_0", "-fa", "on"}));
    EXPECT_EQ(q8_0["memory"]["host"]["context_bytes"].get<uint64_t>() * 64,
              f16["memory"]["host"]["context_bytes"].get<uint64_t>() * 34);
    const auto refused = [&](const std::vector<std::string> & more, const std::string & why) {
        const ProcessResult result = run(more);
        EXPECT_EQ(result.exit_code, 2) << result.err;
        EXPECT_NE(result.err.find(why), std::string::npos) << result.err;
    };
    refused({"--", "-c", "5"}, "-c: shimmy sets this itself; use --ctx (before the --)");
    refused({"--", "--slot-prompt-similarity", "0.5"}, "shimmy serve takes it");
    refused({"--cache-type-k", "q9"}, "--cache-type-k");
    refused({"--", "--rope-scaling", "odd"}, "--rope-scaling odd");
    expect_failure({"list", "--", "--top-nsigma", "1"}, 2, {"shimmy list takes no options of llama.cpp"});
}

TEST(Generate, HelpHoldsItsOwnOptions) {
    const std::string help = shimmy({"generate", "--help"}).out;
    for (const char * part : {"--cpu-moe", "--placement", "--cache-type-k", "--temperature", "--vram"})
        EXPECT_NE(help.find(part), std::string::npos) << part;
    EXPECT_EQ(help.find("{false}"), std::string::npos);
    EXPECT_EQ(shimmy({"list", "--help"}).out.find("--cpu-moe"), std::string::npos);
}

TEST(Generate, CpuMoeWithoutExpertsSaysSo) {
    const fs::path dense = fs::path(SHIMMY_LLAMA_DIR) / "models/ggml-vocab-phi-3.gguf";
    expect_failure({"generate", "--model", dense.string(), "--prompt", "Hello", "--cpu-moe"}, 1,
                   {"holds a vocabulary and no weights"});
}

}  // namespace
}  // namespace shimmy::e2e
