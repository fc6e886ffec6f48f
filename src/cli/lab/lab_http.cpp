// shimmy lab http: one measurement through a server: one answer, or load.
#include "base/error.h"
#include "base/files.h"
#include "base/process/progress.h"
#include "base/process/subprocess.h"
#include "base/text/text.h"
#include "cli/lab/lab_commands.h"
#include "cli/lab/load_options.h"
#include "cli/llama_options.h"
#include "cli/model_name.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "cli/print/load_text.h"
#include "engine/load/load_options.h"
#include "lab/http/http_run.h"
#include "report/charts/gnuplot.h"
#include "report/charts/sweep_chart.h"

#include <memory>

namespace shimmy::cli {

namespace {

struct LoadClientArguments {
    std::string model;
    std::vector<std::string> prompts;
    lab::HttpRunOptions run;
    LoadArguments load_test;
    std::string chart;  // file for that of a sweep
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
    if (!options.llama.spec.empty()) add({"--spec", options.llama.spec});
    if (!options.llama.mmproj.empty()) add({"--mmproj", options.llama.mmproj});
    return argv;
}

void print_figures(const Json & document) {
    if (document.contains("sweep")) {
        fmt::print("{}", sweep_text(document["sweep"]));
    } else if (document.contains("load")) {
        fmt::print("{}", load_text(document["load"]));
    } else {
        fmt::print("{}\n{} output tokens; TTFT {:.1f} ms, {:.1f} ms in all\n", document["text"].get<std::string>(),
                   document["n_output_tokens"].get<int>(), document["ttft_ms"].get<double>(),
                   document["total_ms"].get<double>());
    }
    if (document.contains("device") && document["device"]["software"].get<bool>())
        fmt::print(stderr, "a software device: its speed is not a GPU's\n");
}

// After the figures are printed: they took minutes, and are not lost if this fails.
void write_chart(const Json & document, const std::string & file) {
    const report::Chart chart = report::sweep_chart(document["sweep"]);
    if (chart.series.empty()) fail("{}: not written: no open loop of the sweep was answered", file);
    write_file_atomic(file, report::drawn(chart));
}

bool was_interrupted(const Json & document) {
    for (const char * part : {"load", "sweep"}) {
        if (document.contains(part)) return document[part]["interrupted"];
    }
    return false;
}

int run_http(LoadClientArguments options, const Globals & globals) {
    if (options.model.empty() == options.load_test.url.empty())
        fail_usage(
            "what is measured? --model FILE|NAME starts a server, --url URL takes one that runs (one of the two)");
    if (!options.chart.empty() && !options.load_test.sweep) fail_usage("--chart is that of a sweep: add --sweep");
    options.run.timeout = options.load_test.timeout();
    options.run.is_load = options.load_test.is_load();
    options.run.n_parallel = options.load_test.n_slots();
    if (options.run.is_load) {
        if (!options.run.stream) fail_usage("--no-stream is for one answer: a load test streams its own");
        options.run.is_sweep = options.load_test.sweep;
        options.run.chat = !options.load_test.completions;
        options.run.load = options.load_test.options(options.prompts);
    } else {
        options.load_test.refuse_without_load();
        if (options.prompts.size() != 1)
            fail_usage("{} --prompt without --clients, --rate, --trace or --sweep: one answer is measured",
                       options.prompts.empty() ? "no" : "more than one");
        options.run.prompt = options.prompts.front();
    }
    if (!options.model.empty()) options.run.server_command = server_command(options, globals);
    auto progress = std::make_shared<Progress>("sweep", globals.json || !options.run.is_sweep);
    options.run.on_step = [progress](size_t done, size_t total) { progress->update(done, total); };
    const Json document = lab::measure_http(options.run);
    progress.reset();
    options.run.on_step = {};
    if (globals.json) {
        fmt::print("{}\n", json_text(document));
    } else {
        print_figures(document);
    }
    if (!options.chart.empty()) write_chart(document, options.chart);
    if (!was_interrupted(document)) return 0;
    fmt::print(stderr, "shimmy: interrupted: the figures are those of the requests so far\n");
    return EXIT_CODE_INTERRUPTED;
}

}  // namespace

void add_lab_http(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<LoadClientArguments>();
    CLI::App * http = commands.add(
        "http", "measure one request, or load, through a server",
        [options, &commands] { return run_http(*options, commands.globals()); }, lab);
    http->add_option(
            "name,--model", options->model,
            "model to serve meanwhile: a GGUF file, a name from `shimmy list`, or hf:USER/NAME[:QUANT] on the Hub")
        ->type_name("FILE|NAME");
    http->add_option("--prompt,-p", options->prompts, "prompt text; several for a load test")
        ->allow_extra_args(false)
        ->type_name("TEXT");
    http->add_flag_callback(
            "--no-stream", [options] { options->run.stream = false; }, "request the whole answer at once")
        ->excludes(add_load_test_options(*http, options->load_test));
    http->add_option("--chart", options->chart, "with --sweep: write latency against load as SVG (needs gnuplot)")
        ->type_name("FILE")
        ->group("Load");
    http->add_option("--max-tokens,-n", options->run.max_tokens, "maximum number of tokens per answer")
        ->type_name("N")
        ->check(above_zero())
        ->capture_default_str();
    http->add_option("--temperature", options->run.sampling.temperature,
                     "sampling temperature; 0: always the most likely token")
        ->type_name("T")
        ->check(from_to(0.0, 100.0))
        ->capture_default_str();
    http->add_option("--seed", options->run.sampling.seed,
                     "random seed; the same seed on the same device gives the same text")
        ->type_name("N")
        ->capture_default_str();
    add_load_options(*http, options->load);
    add_batch_options(*http, options->load);
    add_model_dirs_option(*http, commands.globals());
    add_placement_options(*http, commands.globals(), DefaultPlacement::automatic);
    add_backend_options(*http, commands.globals());
    add_llama_options(*http, options->llama, engine::LlamaUse::server);
    add_speculation_options(*http, options->llama);
    http->footer(
        "--model starts `shimmy serve` on a free port of 127.0.0.1 and stops it afterwards; alone, it asks once cold "
        "and once warm. --clients is a closed loop: each client asks again once answered. --rate and --trace are open "
        "loops: requests are sent when they are due, and latency counts from then. --sweep finds the most that the "
        "server does. TTFT, TPOT, ITL, E2E and goodput are defined as in vLLM's bench (docs/howto/load-test.md). Ctrl-C prints the "
        "figures so far. docs/RESULTS.md describes the document of --json. Exit codes: 0 measured; 1 no figures; 130 "
        "interrupted.");
}

}  // namespace shimmy::cli
