#include "cli/command.h"

#include "base/error.h"
#include "base/units.h"

namespace shimmy::cli {

namespace {

std::string check_moe_cache(const std::string & text) {
    if (text == "auto" || text == "off") return "";
    try {
        parse_bytes(text, "--moe-cache");
        return "";
    } catch (const UsageError &) {
        return fmt::format("{} is none of auto, off or a size such as 4GiB", text);
    }
}

}  // namespace

Commands::Commands(CLI::App & app) : app_(app) {
    app.require_subcommand(0, 1);  // none is our own error, and a wrong name is then reported with that name
    app.fallthrough();
    app.add_flag("--json", globals_.json, "print one JSON document on stdout and nothing else");
    app.add_flag("-v,--verbose", globals_.verbosity, "log to stderr: -v warnings, -vv everything llama.cpp says");
    app.add_option("--model-dirs", globals_.model_dirs, "folders to look for models in, separated by ';'")
        ->type_name("DIRS");
    app.add_option("--gpu-backend", globals_.gpu_backend, "GPU modules to load")
        ->check(CLI::IsMember({"auto", "cpu", "cuda", "vulkan", "opencl"}))
        ->capture_default_str();
    app.add_option("--moe-backend", globals_.moe_backend,
                   "use libggml-moe for weights on the CPU; auto: if it can be loaded")
        ->check(CLI::IsMember({"auto", "on", "off"}))
        ->capture_default_str();
    app.add_option(
           "--moe-cache", globals_.moe_cache,
           "VRAM for copies of the experts that are used most, while all are kept on the CPU: auto (what is free, "
           "if the GPU is faster), off, or a size such as 4GiB")
        ->type_name("auto|off|SIZE")
        ->check(check_moe_cache)
        ->capture_default_str();
    app.add_option("--rpc", globals_.rpc_servers,
                   "HOST:PORT,… of machines that run llama.cpp's ggml-rpc-server, used as GPUs; unencrypted, trusted "
                   "networks only")
        ->type_name("ADDRESSES");
    auto * all = app.add_flag("--cpu-moe", globals_.cpu_moe, "keep the experts of every layer on the CPU");
    app.add_option("--n-cpu-moe", globals_.n_cpu_moe, "keep the experts of the first N layers on the CPU")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber)
        ->excludes(all);
}

CLI::App * Commands::add_group(const std::string & name, const std::string & summary) {
    CLI::App * group = app_.add_subcommand(name, summary);
    group->fallthrough();
    group->require_subcommand(1);
    return group;
}

CLI::App * Commands::add(const std::string & name, const std::string & summary, Run run, CLI::App * group) {
    CLI::App * command = (group == nullptr ? app_ : *group).add_subcommand(name, summary);
    command->fallthrough();
    runs_.emplace_back(command, std::move(run));
    return command;
}

int Commands::run() const {
    for (const auto & [command, run] : runs_) {
        if (command->parsed()) return run();
    }
    fail_usage("no command given (see shimmy --help)");
}

void add_all(Commands & commands) {
    add_generate(commands);
    add_serve(commands);
    add_serve_model(commands);
    add_init(commands);
    add_inspect(commands);
    add_plan(commands);
    add_verify(commands);
    add_synth(commands);
    add_quantize(commands);
    add_imatrix(commands);
    add_quality(commands);
    add_publish(commands);
    add_pull(commands);
    add_check(commands);
    add_list(commands);
    add_discover(commands);
    add_probe(commands);
    add_gpu_info(commands);
    add_lab(commands);
    add_completion(commands);
    add_reference(commands);
}

}  // namespace shimmy::cli
