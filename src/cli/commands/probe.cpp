// shimmy probe: does a model load.
#include "base/error.h"
#include "base/json.h"
#include "base/text/units.h"
#include "cli/command.h"
#include "cli/model_name.h"
#include "cli/placement_options.h"
#include "cli/print/load_progress.h"
#include "cli/print/memory_text.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"
#include "engine/run/model.h"
#include "gguf/model_info.h"

#include <memory>

namespace shimmy::cli {

namespace {

constexpr uint32_t PROBE_N_CTX = 64;  // the weights are what is probed: the smallest KV cache will do

struct ProbeArguments {
    std::string name;
    engine::LoadOptions load;
};

int probe(ProbeArguments options, const Globals & globals) {
    options.load.path = model_file(options.name, globals).string();
    options.load.placement = placement_option(globals, DefaultPlacement::automatic);
    options.load.vram_limit_bytes = vram_option(globals);
    const gguf::ModelInfo info = gguf::read_model_info(options.load.open_file());
    load_backends(globals, options.load.device);
    const engine::Model model = load_model(options.load, globals);
    print_placement(model.placement());
    warn_of_no_cache(globals, model);
    print_load_mode();
    const engine::MemoryUse memory = model.memory();
    if (globals.json) {
        const Json document{{"name", options.name},
                            {"path", options.load.path},
                            {"ok", true},
                            {"arch", info.arch},
                            {"quantization", info.quantization},
                            {"n_params", info.n_params},
                            {"n_expert", info.n_expert},
                            {"size_bytes", info.size_bytes},
                            {"device", model.device().name},
                            {"placement", engine::to_string(model.placement().placement)},
                            {"load_ms", model.load_ms()},
                            {"vram_bytes", memory.vram().total_bytes()},
                            {"host_bytes", memory.host().total_bytes()}};
        fmt::print("{}\n", json_text(document));
    } else {
        fmt::print("{}: ok: {} {}, {} parameters, loaded on {} in {:.0f} ms, VRAM {}\n", options.name, info.arch,
                   info.quantization, format_count(info.n_params), model.device().name, model.load_ms(),
                   format_bytes(memory.vram().total_bytes()));
    }
    return 0;
}

// Whatever keeps the model from running is exit code 2 here, as scripts that call `probe` expect.
int run_probe(const ProbeArguments & options, const Globals & globals) {
    try {
        return probe(options, globals);
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception & error) {
        throw UsageError(error.what());
    }
}

}  // namespace

void add_probe(Commands & commands) {
    auto options = std::make_shared<ProbeArguments>();
    options->load.n_ctx = PROBE_N_CTX;
    CLI::App * command = commands.add("probe", "check whether a model loads",
                                      [options, &commands] { return run_probe(*options, commands.globals()); });
    command
        ->add_option("name,--model", options->name,
                     "model: a GGUF file, a name from `shimmy list`, or hf:USER/NAME[:QUANT] on the Hub")
        ->type_name("FILE|NAME")
        ->required();
    add_load_options(*command, options->load);
    add_model_dirs_option(*command, commands.globals());
    add_placement_options(*command, commands.globals(), DefaultPlacement::automatic);
    add_backend_options(*command, commands.globals());
    command->footer("Exit codes: 0 the model loads; 2 it does not, with the reason.");
}

}  // namespace shimmy::cli
