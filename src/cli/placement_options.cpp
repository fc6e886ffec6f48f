#include "cli/placement_options.h"
#include "cli/numbers.h"

#include "base/error.h"
#include "base/text/text.h"
#include "base/text/units.h"
#include "engine/device/device.h"
#include "engine/device/rpc.h"

#include <algorithm>

namespace shimmy::cli {

namespace {

constexpr const char * GROUP_PLACEMENT = "Placement";
constexpr const char * GROUP_DEVICES = "Devices";
constexpr uint32_t MAX_BATCH = 1U << 20;
constexpr uint32_t MAX_PARALLEL = 1024;

std::string check_moe_cache(const std::string & text) {
    if (text == "auto" || text == "off") return "";
    try {
        parse_memory_size(text, "--moe-cache");
        return "";
    } catch (const UsageError &) {
        return fmt::format("{} is none of auto, off or a size such as 4GiB", text);
    }
}

}  // namespace

uint64_t parse_memory_size(const std::string & text, const std::string & what) {
    const uint64_t bytes = parse_bytes(text, what);
    const bool is_bare = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    if (is_bare && bytes > 0 && bytes < MIB)
        fail_usage("{} {}: {} bytes? Write {}GiB or {}MiB", what, text, text, text, text);
    return bytes;
}

void add_model_dirs_option(CLI::App & command, Globals & globals) {
    command.add_option("--model-dirs", globals.model_dirs, "folders to look for models in, separated by ';'")
        ->type_name("DIRS");
}

void add_gpu_backend_option(CLI::App & command, Globals & globals) {
    command.add_option("--gpu-backend", globals.gpu_backend, "GPU modules to load")
        ->check(CLI::IsMember({"auto", "cpu", "cuda", "vulkan", "opencl"}))
        ->capture_default_str()
        ->group(GROUP_DEVICES);
}

void add_moe_backend_option(CLI::App & command, Globals & globals) {
    command
        .add_option("--moe-backend", globals.moe_backend,
                    "use libggml-moe for weights on the CPU; auto: if it can be loaded")
        ->check(CLI::IsMember({"auto", "on", "off"}))
        ->capture_default_str()
        ->group(GROUP_DEVICES);
}

void add_backend_options(CLI::App & command, Globals & globals) {
    add_gpu_backend_option(command, globals);
    add_moe_backend_option(command, globals);
    command
        .add_option("--rpc", globals.rpc_servers,
                    "HOST:PORT,… of machines that run llama.cpp's ggml-rpc-server, used as GPUs; unencrypted, trusted "
                    "networks only")
        ->type_name("ADDRESSES")
        ->group(GROUP_DEVICES);
}

namespace {

void add_placement_flags(CLI::App & command, Globals & globals, DefaultPlacement fallback, const char * group) {
    const bool automatic = fallback == DefaultPlacement::automatic;
    auto * placement =
        command
            .add_option("--placement", globals.placement,
                        automatic ? "where the experts go: what fits best, onto the GPU, all or those of "
                                    "the first N layers onto the CPU"
                                  : "where the experts go: onto the GPU, all or those of the first N "
                                    "layers onto the CPU")
            ->type_name(automatic ? "auto|gpu|cpu-moe|n-cpu-moe=N" : "gpu|cpu-moe|n-cpu-moe=N")
            ->default_str(automatic ? "auto" : "gpu")
            ->group(group);
    auto * all = command.add_flag("--cpu-moe", globals.cpu_moe, "keep the experts of every layer on the CPU")
                     ->excludes(placement)
                     ->group(group);
    command.add_option("--n-cpu-moe", globals.n_cpu_moe, "keep the experts of the first N layers on the CPU")
        ->type_name("N")
        ->check(at_least_zero())
        ->excludes(placement)
        ->excludes(all)
        ->group(group);
}

}  // namespace

void add_moe_cache_option(CLI::App & command, Globals & globals) {
    command
        .add_option("--moe-cache", globals.moe_cache,
                    "VRAM for copies of the experts that are used most, while all are kept on the CPU: auto (what is "
                    "free, if the GPU is faster), off, or a size such as 4GiB")
        ->type_name("auto|off|SIZE")
        ->check(check_moe_cache)
        ->capture_default_str()
        ->group(GROUP_PLACEMENT);
}

void add_placement_options(CLI::App & command, Globals & globals, DefaultPlacement fallback) {
    add_placement_flags(command, globals, fallback, GROUP_PLACEMENT);
    add_moe_cache_option(command, globals);
    command
        .add_option("--moe-gpu-min-batch", globals.moe_gpu_min_batch,
                    "leave batches of so many tokens or more to the GPU, experts streamed to it; 0: none (default: "
                    "measured on this machine)")
        ->type_name("N")
        ->check(from_to(0, 1 << 20))
        ->group(GROUP_PLACEMENT);
    if (fallback != DefaultPlacement::automatic) return;
    command
        .add_option("--vram", globals.vram,
                    "use at most this much memory of each GPU (default: what is free); of several: 12GiB,8GiB")
        ->type_name("SIZE[,SIZE]")
        ->group(GROUP_PLACEMENT);
}

void add_refused_placement_options(CLI::App & command, Globals & globals) {
    add_placement_flags(command, globals, DefaultPlacement::gpu, "");
}

void add_load_options(CLI::App & command, engine::LoadOptions & load) {
    command.add_option("--ctx", load.n_ctx, "context size in tokens; 0: 4096, or the model's own if that is less")
        ->type_name("N")
        ->capture_default_str();
    command.add_option("--threads", load.n_threads, "CPU threads; 0: one per physical core")
        ->type_name("N")
        ->check(from_to(0, 1024))
        ->capture_default_str();
    command.add_flag_callback(
        "--no-warmup", [&load] { load.warm_up = false; }, "skip the warm-up run");
    command
        .add_option("--device", load.device,
                    "device for everything not kept on the CPU: a name from `shimmy gpu-info`, several (CUDA0,CUDA1), "
                    "gpu or cpu (default: the hardware GPUs, else the CPU)")
        ->type_name("NAME[,NAME]")
        ->group(GROUP_DEVICES);
}

void add_batch_options(CLI::App & command, engine::LoadOptions & load) {
    command.add_option("--batch", load.n_batch, "logical batch size in tokens")
        ->type_name("N")
        ->check(from_to(1U, MAX_BATCH))
        ->capture_default_str();
    command
        .add_option("--ubatch", load.n_ubatch,
                    "physical batch size in tokens, at most --batch; larger is faster for long prompts and needs more "
                    "memory")
        ->type_name("N")
        ->check(from_to(1U, MAX_BATCH))
        ->capture_default_str();
}

void add_parallel_option(CLI::App & command, engine::LoadOptions & load) {
    command.add_option("--parallel", load.n_parallel, "concurrent requests per model, each with its own context")
        ->type_name("N")
        ->check(from_to(1U, MAX_PARALLEL))
        ->capture_default_str();
}

engine::Placement placement_option(const Globals & globals, DefaultPlacement fallback) {
    const int n_given = static_cast<int>(globals.placement.has_value()) + static_cast<int>(globals.cpu_moe) +
                        static_cast<int>(globals.n_cpu_moe.has_value());
    if (n_given > 1) fail_usage("--placement, --cpu-moe and --n-cpu-moe say the same thing: give one of them");
    if (globals.cpu_moe) return engine::Placement::offload();
    if (globals.n_cpu_moe) return engine::Placement::partial(*globals.n_cpu_moe);
    const bool automatic = fallback == DefaultPlacement::automatic;
    if (!globals.placement) return automatic ? engine::Placement::automatic() : engine::Placement::baseline();
    const engine::Placement placement = engine::parse_placement_or_auto(*globals.placement);
    if (placement.is_automatic && !automatic)
        fail_usage("--placement auto: this command needs a placement to be named (gpu, cpu-moe or n-cpu-moe=N)");
    return placement;
}

std::vector<uint64_t> vram_option(const Globals & globals) {
    std::vector<uint64_t> limits;
    if (globals.vram.empty()) return limits;
    for (const std::string & size : split(globals.vram, ',')) {
        limits.push_back(parse_memory_size(size, "--vram"));
        if (limits.back() == 0) fail_usage("--vram 0: use no GPU at all with --device cpu");
    }
    return limits;
}

bool names_cache_size(const Globals & globals) {
    return globals.moe_cache != "auto" && globals.moe_cache != "off";
}

void require_moe_backend_for_cache(const Globals & globals) {
    if (globals.moe_backend == "off" && names_cache_size(globals))
        fail_usage("--moe-cache {}: the cache is libggml-moe's, which --moe-backend off leaves out", globals.moe_cache);
}

// Layers that are in VRAM whole leave less of it for a cache: both together only if that is asked for.
std::string moe_cache_option(const Globals & globals) {
    const std::string & wanted = globals.moe_cache;
    const bool partial = globals.n_cpu_moe || (globals.placement && globals.placement->find('=') != std::string::npos);
    if (wanted == "auto") return partial ? "off" : wanted;
    return wanted == "off" ? wanted : std::to_string(parse_memory_size(wanted, "--moe-cache"));
}

bool load_backends(const Globals & globals, const std::string & device) {
    require_moe_backend_for_cache(globals);
    engine::load_backends(globals.gpu_backend);
    engine::add_rpc_servers(globals.rpc_servers);
    engine::find_devices(device);  // an unknown name is an error before anything is loaded
    if (globals.moe_gpu_min_batch) engine::set_gpu_min_batch(*globals.moe_gpu_min_batch);
    const bool loaded = engine::load_moe_backend(globals.moe_backend, moe_cache_option(globals));
    if (!loaded && names_cache_size(globals))
        fail("--moe-cache {}: the cache is libggml-moe's, which cannot be loaded (--moe-backend on says why)",
             globals.moe_cache);
    return loaded;
}

void add_hidden_shared_options(CLI::App & app, Globals & globals) {
    const auto before = app.get_options({});
    add_model_dirs_option(app, globals);
    add_backend_options(app, globals);
    add_placement_options(app, globals, DefaultPlacement::automatic);
    for (CLI::Option * option : app.get_options({})) {
        if (std::find(before.begin(), before.end(), option) == before.end()) option->group("");
    }
}

void show_hidden_options(CLI::App & app) {
    for (CLI::Option * option : app.get_options({})) {
        if (option->get_group().empty()) option->group(GROUP_PLACEMENT);
    }
}

void require_taken(const CLI::App & app, const CLI::App & command) {
    for (const CLI::Option * option : app.get_options({})) {
        if (!option->get_group().empty() || option->count() == 0) continue;
        const std::string flag = "--" + option->get_lnames().front();  // its name is empty while it is hidden
        if (command.get_option_no_throw(flag) != nullptr) continue;
        const std::string name = command.get_parent() == &app
                                     ? command.get_name()
                                     : command.get_parent()->get_name() + " " + command.get_name();
        fail_usage("shimmy {} takes no {} (see shimmy {} --help)", name, flag, name);
    }
}

}  // namespace shimmy::cli
