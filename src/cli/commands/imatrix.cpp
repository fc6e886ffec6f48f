// shimmy imatrix: what a text makes of a model's weights, for better quantization.
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/process/progress.h"
#include "cli/command.h"
#include "cli/model_name.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "engine/device/device.h"
#include "engine/make/imatrix_coverage.h"
#include "engine/make/make_imatrix.h"
#include "gguf/model_info.h"

#include <map>
#include <memory>

namespace shimmy::cli {

namespace {

struct ImatrixArguments {
    std::string output;
    engine::ImatrixOptions imatrix;
};

// Beside a file; of a model that was named otherwise, in the current folder.
fs::path default_output(const fs::path & file, const std::string & name) {
    const fs::path dir = file == name ? file.parent_path() : ".";
    return dir / (file.stem().string() + ".imatrix.gguf");
}

void warn(const engine::ImatrixCoverage & coverage) {
    std::map<int, std::vector<int>> by_layer;
    for (const engine::UnreachedExpert & one : coverage.unreached)
        by_layer[one.layer].push_back(one.expert);
    for (const auto & [layer, experts] : by_layer)
        fmt::print(stderr,
                   "shimmy: warning: layer {}: the text never reaches expert {}: the matrix knows nothing of its "
                   "weights, use a longer or more varied text\n",
                   layer, fmt::join(experts, ", "));
}

int run_imatrix(ImatrixArguments options, const Globals & globals) {
    engine::ImatrixOptions & imatrix = options.imatrix;
    const std::string name = imatrix.load.path;
    imatrix.load.path = model_file(name, globals).string();
    gguf::read_model_info(imatrix.load.path);
    imatrix.output = options.output.empty() ? default_output(imatrix.load.path, name) : fs::path(options.output);
    imatrix.load.placement = placement_option(globals);
    engine::load_backends(globals.gpu_backend);
    {
        Progress progress("imatrix of " + imatrix.load.path, globals.json);
        engine::make_imatrix(imatrix, [&](uint64_t done, uint64_t total) { progress.update(done, total); });
    }
    const engine::ImatrixCoverage coverage = engine::read_imatrix_coverage(imatrix.output);
    warn(coverage);
    if (globals.json) {
        Json unreached = Json::array();
        for (const engine::UnreachedExpert & one : coverage.unreached)
            unreached.push_back({{"layer", one.layer}, {"expert", one.expert}});
        const Json document{{"path", imatrix.output.string()},
                            {"n_tensors", coverage.n_tensors},
                            {"n_chunks", coverage.n_chunks},
                            {"n_experts", coverage.n_experts},
                            {"unreached_experts", unreached}};
        fmt::print("{}\n", json_text(document));
    } else {
        fmt::print("{}: {} tensors over {} chunks of {} tokens; {} of {} experts reached\n", imatrix.output.string(),
                   coverage.n_tensors, coverage.n_chunks, imatrix.load.n_ctx,
                   coverage.n_experts - static_cast<int>(coverage.unreached.size()), coverage.n_experts);
    }
    return 0;
}

}  // namespace

void add_imatrix(Commands & commands) {
    auto options = std::make_shared<ImatrixArguments>();
    options->imatrix.load.n_ctx = 512;
    CLI::App * command = commands.add("imatrix", "compute an importance matrix from a text, for quantize --imatrix",
                                      [options, &commands] { return run_imatrix(*options, commands.globals()); });
    command->add_option("model,--model", options->imatrix.load.path, "model, preferably the F16, BF16 or F32 original")
        ->type_name("FILE|NAME")
        ->required();
    add_model_dirs_option(*command, commands.globals());
    command
        ->add_option("--text", options->imatrix.text,
                     "calibration text, UTF-8; not the one that quality is measured on")
        ->type_name("FILE")
        ->required();
    command
        ->add_option("--out", options->output,
                     "GGUF file to write (default: beside the file, .imatrix.gguf; of a name, in the current folder)")
        ->type_name("FILE");
    command
        ->add_option("--chunks", options->imatrix.n_chunks,
                     "maximum number of chunks of --ctx tokens; 0: the whole text")
        ->type_name("N")
        ->check(at_least_zero())
        ->capture_default_str();
    add_load_options(*command, options->imatrix.load);
    add_placement_options(*command, commands.globals(), DefaultPlacement::gpu);
    add_backend_options(*command, commands.globals());
    command->footer(
        "Runs llama.cpp's llama-imatrix, which comes with the program. A warning names every expert that no token "
        "reaches: its weights are quantized as if all mattered equally.");
}

}  // namespace shimmy::cli
