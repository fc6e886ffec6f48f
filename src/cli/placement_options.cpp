#include "cli/placement_options.h"

#include "base/units.h"
#include "engine/load/device.h"
#include "engine/load/rpc.h"

namespace shimmy::cli {

engine::Placement placement_option(const Globals & globals) {
    if (globals.cpu_moe) return engine::Placement::offload();
    return engine::Placement::partial(globals.n_cpu_moe.value_or(0));
}

// Layers that are in VRAM whole leave less of it for a cache: both together only if that is asked for.
std::string moe_cache_option(const Globals & globals) {
    const std::string & wanted = globals.moe_cache;
    if (wanted == "auto") return globals.n_cpu_moe ? "off" : wanted;
    return wanted == "off" ? wanted : std::to_string(parse_bytes(wanted, "--moe-cache"));
}

bool load_backends(const Globals & globals, const std::string & device) {
    engine::load_backends(globals.gpu_backend);
    engine::add_rpc_servers(globals.rpc_servers);
    engine::find_device(device);  // an unknown name is an error before anything is loaded
    return engine::load_moe_backend(globals.moe_backend, moe_cache_option(globals));
}

void add_load_options(CLI::App & command, engine::LoadOptions & load) {
    command.add_option("--ctx", load.n_ctx, "context size in tokens; 0: 4096, or the model's own if that is less")
        ->type_name("N")
        ->capture_default_str();
    command.add_option("--threads", load.n_threads, "CPU threads; 0: one per physical core")
        ->type_name("N")
        ->check(CLI::Range(0, 1024))
        ->capture_default_str();
    command.add_flag("--no-warmup{false}", load.warm_up, "skip the warm-up run");
    command
        .add_option("--device", load.device,
                    "device for everything not kept on the CPU: a name from `shimmy gpu-info`, gpu or cpu (default: "
                    "the hardware GPUs, else the CPU)")
        ->type_name("NAME");
}

}  // namespace shimmy::cli
