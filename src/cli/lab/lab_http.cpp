// shimmy lab http: one measurement through a server on loopback.
#include "base/error.h"
#include "base/process/subprocess.h"
#include "cli/lab/lab_commands.h"
#include "cli/llama_options.h"
#include "cli/model_name.h"
#include "cli/placement_options.h"
#include "engine/load/load_options.h"
#include "lab/http/http_run.h"

#include <memory>

namespace shimmy::cli {

namespace {

constexpr int MAX_CLIENTS = 1024;

struct LoadClientArguments {
    std::string model;
    lab::HttpRunOptions run;
    engine::LoadOptions load;
    LlamaOptions llama;
};

std::vector<std::string> server_command(const LoadClientArguments & options, const Globals & globals) {
    std::vector<std::string> argv{self_path(), "serve", "--no-profile", "--model",
                                  model_file(options.model, globals).string()};
    const auto add = [&](std::initializer_list<std::string> more) { argv.insert(argv.end(), more); };
    add({"--ctx", fmt::format("{}", options.load.n_ctx), "--threads", fmt::format("{}", options.load.n_threads)});
    if (!options.load.device.empty()) add({"--device", options.load.device});
    if (!options.load.warm_up) add({"--no-warmup"});
    add({"--gpu-backend", globals.gpu_backend, "--moe-backend", globals.moe_backend, "--moe-cache", globals.moe_cache});
    add({"--placement", engine::to_text(placement_option(globals, DefaultPlacement::automatic))});
    if (!globals.vram.empty()) add({"--vram", globals.vram});
    add({"--batch", fmt::format("{}", options.load.n_batch), "--ubatch", fmt::format("{}", options.load.n_ubatch)});
    argv.insert(argv.end(), options.llama.args.begin(), options.llama.args.end());  // as "--option value"
    if (!options.llama.load_mode.empty()) add({"--load-mode", options.llama.load_mode});
    if (!options.llama.model_draft.empty()) add({"--model-draft", options.llama.model_draft});
    if (!options.llama.mmproj.empty()) add({"--mmproj", options.llama.mmproj});
    return argv;
}

void print_figures(const Json & document) {
    if (document.contains("load")) {
        const Json & load = document["load"];
        fmt::print(
            "{} clients for {:.1f} s: {:.1f} tokens/s in all; TTFT {:.1f} ms (90%: {:.1f}, 99%: {:.1f}); between "
            "tokens {:.1f} ms (90%: {:.1f}, 99%: {:.1f}); {} of {} requests failed\n",
            load["n_clients"].get<int>(), load["duration_ms"].get<double>() / 1000.0, load["total_tps"].get<double>(),
            load["ttft_ms"]["p50"].get<double>(), load["ttft_ms"]["p90"].get<double>(),
            load["ttft_ms"]["p99"].get<double>(), load["gap_ms"]["p50"].get<double>(),
            load["gap_ms"]["p90"].get<double>(), load["gap_ms"]["p99"].get<double>(),
            load["n_failed_requests"].get<int>(), load["n_requests"].get<int>());
    } else {
        fmt::print("{}\n{} output tokens; TTFT {:.1f} ms, {:.1f} ms in all\n", document["text"].get<std::string>(),
                   document["n_output_tokens"].get<int>(), document["ttft_ms"].get<double>(),
                   document["total_ms"].get<double>());
    }
    if (document["device"]["software"].get<bool>()) fmt::print(stderr, "a software device: its speed is not a GPU's\n");
}

int run_http(LoadClientArguments options, const Globals & globals) {
    if (options.run.n_clients == 0 && options.run.prompts.size() > 1)
        fail_usage("one --prompt without --clients: only clients ask several in turn");
    options.run.server_command = server_command(options, globals);
    const Json document = lab::measure_http(options.run);
    if (globals.json) {
        fmt::print("{}\n", json_text(document));
    } else {
        print_figures(document);
    }
    return 0;
}

}  // namespace

void add_lab_http(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<LoadClientArguments>();
    CLI::App * http = commands.add(
        "http", "measure one request, or many clients, through a local server",
        [options, &commands] { return run_http(*options, commands.globals()); }, lab);
    http->add_option("--model", options->model, "model: a GGUF file or a name from `shimmy list`")
        ->type_name("FILE|NAME")
        ->required();
    http->add_option("--prompt,-p", options->run.prompts, "prompt text; several with --clients")
        ->allow_extra_args(false)
        ->type_name("TEXT")
        ->required();
    auto * no_stream = http->add_flag_callback(
        "--no-stream", [options] { options->run.stream = false; }, "request the whole answer at once");
    auto * clients =
        http->add_option("--clients", options->run.n_clients, "concurrent clients, each asking again once answered")
            ->type_name("N")
            ->check(CLI::Range(1, MAX_CLIENTS))
            ->excludes(no_stream);
    http->add_option("--duration", options->run.duration_s, "duration of the load test in seconds")
        ->type_name("S")
        ->check(CLI::PositiveNumber)
        ->needs(clients)
        ->capture_default_str();
    http->add_option("--max-tokens,-n", options->run.max_tokens, "maximum number of tokens per answer")
        ->type_name("N")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    http->add_option("--temperature", options->run.sampling.temperature,
                     "sampling temperature; 0: always the most likely token")
        ->type_name("T")
        ->check(CLI::Range(0.0, 100.0))
        ->capture_default_str();
    http->add_option("--seed", options->run.sampling.seed,
                     "random seed; the same seed on the same device gives the same text")
        ->type_name("N")
        ->capture_default_str();
    http->add_option("--parallel", options->run.n_parallel,
                     "requests that the server computes at once (default: as many as there are clients)")
        ->type_name("N")
        ->check(CLI::Range(1, MAX_CLIENTS));
    add_load_options(*http, options->load);
    add_batch_options(*http, options->load);
    add_model_dirs_option(*http, commands.globals());
    add_placement_options(*http, commands.globals(), DefaultPlacement::automatic);
    add_backend_options(*http, commands.globals());
    add_llama_options(*http, options->llama, engine::LlamaUse::server);
    http->footer(
        "Starts `shimmy serve` on a free port of 127.0.0.1, asks once cold and once warm (or with many clients for a "
        "while), checks every event of a stream, and stops the server: what a campaign does for its modes stream and "
        "no-stream and for its [load]. docs/RESULTS.md describes the document of --json.");
}

}  // namespace shimmy::cli
