// shimmy bench: prefill and decode rates, as llama-bench measures them.
#include "engine/bench/bench.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text/text_file.h"
#include "base/text/units.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/llama_options.h"
#include "cli/model_name.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "cli/print/memory_text.h"
#include "engine/experts/expert_cache.h"
#include "engine/llama/version.h"
#include "engine/run/describe.h"
#include "gguf/model_info.h"
#include "lab/measure/statistics.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace shimmy::cli {

namespace {

struct BenchArguments {
    std::string name;
    std::vector<int> n_prompt{512};
    std::vector<int> n_gen{128};
    std::vector<std::string> both;  // "512,128"
    std::vector<int> n_depth{0};
    int n_repeats = 5;
    std::string text;  // file; empty: built in
    engine::LoadOptions load;
    LlamaOptions llama;
};

// "P,G"
engine::BenchTest parse_both(const std::string & text) {
    engine::BenchTest test;
    int n_read = 0;
    const bool good = std::sscanf(text.c_str(), "%d,%d%n", &test.n_prompt, &test.n_gen, &n_read) == 2 &&
                      static_cast<size_t>(n_read) == text.size() && test.n_prompt > 0 && test.n_gen > 0;
    if (!good) fail_usage("--prompt-and-gen {}: write two numbers of tokens, as in 512,128", text);
    return test;
}

// At every depth: prompts, then generation, then both, as llama-bench orders them.
std::vector<engine::BenchTest> bench_tests(const BenchArguments & options) {
    std::vector<engine::BenchTest> tests;
    for (const int n_depth : options.n_depth) {
        for (const int n : options.n_prompt)
            if (n > 0) tests.push_back({n, 0, n_depth});
        for (const int n : options.n_gen)
            if (n > 0) tests.push_back({0, n, n_depth});
        for (const std::string & text : options.both) {
            tests.push_back(parse_both(text));
            tests.back().n_depth = n_depth;
        }
    }
    if (tests.empty()) fail_usage("nothing to measure: -p and -n are 0");
    return tests;
}

// It would change nothing: the tokens are given.
void refuse_speculation(const std::vector<std::string> & args) {
    for (const std::string & arg : args) {
        if (arg.starts_with("--spec") || arg.starts_with("--model-draft") || arg == "-md")
            fail_usage(
                "{}: bench computes given tokens, so nothing is drafted; shimmy generate --spec auto measures it", arg);
    }
}

std::string backend_name(const engine::Bench & bench, bool moe_backend) {
    return bench.device().backend + (moe_backend ? " + MoE" : "");
}

class BenchTable {
public:
    BenchTable(const engine::Bench & bench, const gguf::ModelInfo & info, const BenchArguments & options,
               bool moe_backend) {
        add("model", fmt::format("{} {}", info.arch, info.quantization));
        add("size", format_bytes(info.size_bytes));
        add("params", format_count(info.n_params));
        add("backend", backend_name(bench, moe_backend));
        add("threads", fmt::format("{}", bench.n_threads()));
        if (bench.device().is_gpu()) add("placement", engine::to_text(bench.placement().placement));
        if (options.load.n_batch != engine::LoadOptions().n_batch)
            add("n_batch", fmt::format("{}", options.load.n_batch));
        if (options.load.n_ubatch != engine::LoadOptions().n_ubatch)
            add("n_ubatch", fmt::format("{}", options.load.n_ubatch));
        if (options.load.n_parallel > 1) add("parallel", fmt::format("{}", options.load.n_parallel));
    }

    void print_header() const {
        std::string titles;
        std::string rule;
        for (size_t i = 0; i < titles_.size(); ++i) {
            titles += fmt::format("| {:<{}} ", titles_[i], widths_[i]);
            rule += fmt::format("| {:-<{}}{} ", "", widths_[i] - 1, i == 0 ? '-' : ':');
        }
        fmt::print("{}| {:>{}} | {:>{}} |\n{}| {:->{}} | {:->{}} |\n", titles, "test", TEST_WIDTH, "t/s", RATE_WIDTH,
                   rule, ":", TEST_WIDTH, ":", RATE_WIDTH);
    }

    void print_row(const engine::BenchTest & test, const lab::Statistics & tps) const {
        std::string cells;
        for (size_t i = 0; i < titles_.size(); ++i)
            cells += i == 0 ? fmt::format("| {:<{}} ", values_[i], widths_[i])
                            : fmt::format("| {:>{}} ", values_[i], widths_[i]);
        fmt::print("{}| {:>{}} | {:>{}} |\n", cells, test.name(), TEST_WIDTH,
                   fmt::format("{:.2f} ± {:.2f}", tps.mean, tps.stddev), RATE_WIDTH);
        std::fflush(stdout);
    }

private:
    static constexpr int TEST_WIDTH = 15;
    static constexpr int RATE_WIDTH = 18;

    void add(const std::string & title, const std::string & value) {
        titles_.push_back(title);
        values_.push_back(value);
        widths_.push_back(std::max(title.size(), value.size()));
    }

    std::vector<std::string> titles_;
    std::vector<std::string> values_;
    std::vector<size_t> widths_;
};

Json test_document(const engine::BenchTest & test, uint32_t n_parallel,
                   const std::vector<engine::BenchSample> & samples, const lab::Statistics & tps) {
    Json document{{"test", test.name()},          {"n_prompt", test.n_prompt},  {"n_gen", test.n_gen},
                  {"n_depth", test.n_depth},      {"mean_tps", tps.mean},       {"stddev_tps", tps.stddev},
                  {"samples_tps", Json::array()}, {"prompt_ms", Json::array()}, {"gen_ms", Json::array()}};
    for (const engine::BenchSample & sample : samples) {
        document["samples_tps"].push_back(sample.tps(test, n_parallel));
        document["prompt_ms"].push_back(sample.prompt_ms);
        document["gen_ms"].push_back(sample.gen_ms);
    }
    return document;
}

Json bench_document(const engine::Bench & bench, const gguf::ModelInfo & info, const BenchArguments & options,
                    bool moe_backend) {
    return {{"shimmy_version", shimmy_version()},
            {"llama_cpp_version", engine::llama_cpp_version()},
            {"model",
             {{"path", options.load.path},
              {"name", info.name},
              {"arch", info.arch},
              {"quantization", info.quantization},
              {"size_bytes", info.size_bytes},
              {"n_params", info.n_params}}},
            {"placement", engine::to_string(bench.placement().placement)},
            {"device", engine::device_json(bench.device())},
            {"host", engine::host_json()},
            {"moe_backend", moe_backend},
            {"llama_args", options.load.llama_args},
            {"n_threads", bench.n_threads()},
            {"n_batch", options.load.n_batch},
            {"n_ubatch", options.load.n_ubatch},
            {"n_parallel", options.load.n_parallel},
            {"n_repeats", options.n_repeats},
            {"text", options.text.empty() ? Json(nullptr) : Json(options.text)},
            {"load_ms", bench.load_ms()},
            {"expert_ram_bytes", bench.expert_ram_bytes()},
            {"tests", Json::array()}};
}

lab::Statistics tps_of(const engine::BenchTest & test, uint32_t n_parallel,
                       const std::vector<engine::BenchSample> & samples) {
    std::vector<double> tps;
    for (const engine::BenchSample & sample : samples)
        tps.push_back(sample.tps(test, n_parallel));
    return lab::summarize(tps);
}

int run_bench(BenchArguments options, const Globals & globals) {
    const std::vector<engine::BenchTest> tests = bench_tests(options);
    refuse_speculation(globals.llama_args);
    const std::string text =
        options.text.empty() ? std::string(engine::bench_text()) : read_measured_text(options.text);
    options.load.placement = placement_option(globals, DefaultPlacement::automatic);
    options.load.vram_limit_bytes = vram_option(globals);
    options.load.llama_args = llama_args(options.llama, globals, engine::LlamaUse::text);
    options.load.path = model_file(options.name, globals).string();
    const gguf::ModelInfo info = gguf::read_model_info(options.load.path);
    const bool moe_backend = load_backends(globals, options.load.device);
    engine::Bench bench(options.load, tests, text);
    print_placement(bench.placement());
    print_load_mode();
    if (!bench.placement().placement.offloads() && bench.device().is_gpu() && bench.expert_ram_bytes() > 0)
        fmt::print(stderr, "warning: {} of experts are in RAM, so this is a false baseline\n",
                   format_bytes(bench.expert_ram_bytes()));
    Json document = bench_document(bench, info, options, moe_backend);
    const BenchTable table(bench, info, options, moe_backend);
    if (!globals.json) table.print_header();
    for (const engine::BenchTest & test : tests) {
        const std::vector<engine::BenchSample> samples = bench.run(test, options.n_repeats);
        const lab::Statistics tps = tps_of(test, options.load.n_parallel, samples);
        if (!globals.json) table.print_row(test, tps);
        document["tests"].push_back(test_document(test, options.load.n_parallel, samples, tps));
    }
    document["expert_cache"] = engine::to_json(engine::expert_cache());
    if (globals.json) fmt::print("{}\n", json_text(document));
    if (bench.device().software)
        fmt::print(stderr, "{} is a software device: its speed is not a GPU's\n", bench.device().name);
    return 0;
}

constexpr int MAX_BENCH_TOKENS = 1 << 24;

}  // namespace

void add_bench(Commands & commands) {
    auto options = std::make_shared<BenchArguments>();
    CLI::App * command = commands.add("bench", "measure prefill and decode rates, as llama-bench does, on text",
                                      [options, &commands] { return run_bench(*options, commands.globals()); });
    command
        ->add_option("name,--model", options->name,
                     "model: a GGUF file, a name from `shimmy list`, or hf:USER/NAME[:QUANT] on the Hub")
        ->type_name("FILE|NAME")
        ->required();
    const auto add_counts = [&](const char * flags, std::vector<int> & counts, const char * description) {
        command->add_option(flags, counts, description)
            ->type_name("N,…")
            ->delimiter(',')
            ->allow_extra_args(false)
            ->check(from_to(0, MAX_BENCH_TOKENS))
            ->capture_default_str();
    };
    add_counts("--n-prompt,-p", options->n_prompt, "prompt lengths in tokens (ppN); 0: none");
    add_counts("--n-gen,-n", options->n_gen, "numbers of tokens to generate (tgN); 0: none");
    command->add_option("--prompt-and-gen", options->both, "a prompt and the tokens after it, in one test")
        ->type_name("P,G")
        ->allow_extra_args(false);
    add_counts("--depth,-d", options->n_depth, "tokens that the context holds before a test");
    command->add_option("--repetitions,-r", options->n_repeats, "repetitions of every test")
        ->type_name("N")
        ->check(from_to(1, 1000))
        ->capture_default_str();
    command->add_option("--parallel", options->load.n_parallel, "sequences at once; rates are of all together")
        ->type_name("N")
        ->check(from_to(1, 256))
        ->capture_default_str();
    command->add_option("--text", options->text, "text to measure on (default: a built-in one)")->type_name("FILE");
    add_model_dirs_option(*command, commands.globals());
    add_load_options(*command, options->load);
    command->get_option("--ctx")->description("context size in tokens, if more than a test needs")->default_str("0");
    add_batch_options(*command, options->load);
    add_placement_options(*command, commands.globals(), DefaultPlacement::automatic);
    add_backend_options(*command, commands.globals());
    add_llama_options(*command, options->llama, engine::LlamaUse::text);
    commands.take_llama_args(*command);
    command->footer(
        "Rates are mean ± standard deviation over the repetitions and mean what llama-bench's do: no tokenizer, no "
        "sampler, a context that is empty or as deep as asked. The tokens are a text's, while llama-bench's are random. "
        "Profiles of `shimmy tune` are not used. Example: `shimmy bench model.gguf -p 512 -n 64 --depth 0,4096`.");
}

}  // namespace shimmy::cli
