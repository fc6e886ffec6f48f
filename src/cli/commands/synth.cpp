// shimmy synth: a model file with a real shape and size and random weights.
#include "base/error.h"
#include "base/json.h"
#include "base/process/progress.h"
#include "base/text/units.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "engine/layout/quantization.h"
#include "engine/make/synthesize.h"
#include "gguf/model_info.h"

#include <chrono>
#include <memory>

namespace shimmy::cli {

namespace {

struct SynthArguments {
    std::string shape;
    std::string quantization;
    std::string output;
    int n_layers = 0;
    bool sparse = false;
    uint64_t seed = 42;
};

int run_synth(const SynthArguments & options, const Globals & globals) {
    const auto start = std::chrono::steady_clock::now();
    engine::SynthOptions synth;
    synth.shape = gguf::load_shape(options.shape);
    if (options.n_layers > 0) synth.shape = gguf::with_layers(std::move(synth.shape), options.n_layers);
    synth.quantization = options.quantization;
    synth.output = options.output;
    synth.sparse = options.sparse;
    synth.seed = options.seed;
    {
        Progress progress(fmt::format("writing {}", options.output), globals.json);
        engine::synthesize(synth, [&](uint64_t done, uint64_t total) { progress.update(done, total); });
    }
    const double elapsed_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    const gguf::ModelInfo info = gguf::read_model_info(options.output);
    if (globals.json) {
        const Json document{
            {"path", options.output},    {"shape", synth.shape.name}, {"quantization", info.quantization},
            {"n_layers", info.n_layers}, {"n_params", info.n_params}, {"size_bytes", info.size_bytes},
            {"sparse", options.sparse},  {"seed", options.seed},      {"elapsed_ms", elapsed_ms}};
        fmt::print("{}\n", json_text(document));
    } else {
        fmt::print("{}: {}, {} layers, {} parameters, {}, {}{}\n", options.output, info.name, info.n_layers,
                   format_count(info.n_params), info.quantization, format_bytes(info.size_bytes),
                   options.sparse ? " (a hole: no disk used for the weights)" : "");
    }
    return 0;
}

}  // namespace

void add_synth(Commands & commands) {
    auto options = std::make_shared<SynthArguments>();
    CLI::App * command =
        commands.add("synth", "write a model with a real shape and random weights, to try its size and speed",
                     [options, &commands] { return run_synth(*options, commands.globals()); });
    command
        ->add_option("--shape", options->shape,
                     "reference shape (phi-3.5-moe, gpt-oss-20b, deepseek-moe-16b, …) or a TOML file")
        ->type_name("NAME|SPEC.toml")
        ->required();
    command->add_option("--out", options->output, "file to write")->type_name("FILE")->required();
    command->add_option("--layers", options->n_layers, "only this many layers (default: all)")
        ->type_name("N")
        ->check(above_zero());
    command->add_option("--quant", options->quantization, "quantization (default: the shape's own)")->type_name("TYPE");
    command->add_flag("--sparse", options->sparse,
                      "leave the weights as a hole in the file, which takes no disk space");
    command->add_option("--seed", options->seed, "seed of the random weights")->type_name("N")->capture_default_str();
    command->footer(
        "Sizes, tensor types, memory and speed are those of the real model in that quantization; the text it writes "
        "has no meaning. "
        "The format of SPEC.toml: shapes/README.md.");
}

}  // namespace shimmy::cli
