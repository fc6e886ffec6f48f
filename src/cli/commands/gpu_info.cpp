// shimmy gpu-info: the devices models can run on, and the modules that failed to load.
#include "base/json.h"
#include "base/text/units.h"
#include "cli/command.h"
#include "cli/placement_options.h"
#include "engine/device/device.h"
#include "engine/device/modules.h"

#include <fmt/format.h>

namespace shimmy::cli {

namespace {

Json to_json(const std::vector<engine::Device> & devices) {
    Json document{{"devices", Json::array()}, {"failed_modules", Json::array()}};
    for (const engine::Device & device : devices) {
        document["devices"].push_back({{"name", device.name},
                                       {"description", device.description},
                                       {"backend", device.backend},
                                       {"kind", engine::to_string(device.kind)},
                                       {"software", device.software},
                                       {"memory_free_bytes", device.memory_free_bytes},
                                       {"memory_total_bytes", device.memory_total_bytes}});
    }
    for (const engine::FailedModule & module : engine::failed_modules()) {
        document["failed_modules"].push_back({{"file", module.file}, {"reason", module.reason}});
    }
    return document;
}

void print_text(const std::vector<engine::Device> & devices) {
    bool has_gpu = false, has_software = false;
    for (const engine::Device & device : devices) {
        has_gpu = has_gpu || (device.is_gpu() && !device.software);
        has_software = has_software || device.software;
        const std::string memory = device.memory_total_bytes == 0
                                       ? ""
                                       : fmt::format(", {} free of {}", format_bytes(device.memory_free_bytes),
                                                     format_bytes(device.memory_total_bytes));
        fmt::print("{:<10} {}{}{}\n", device.name, device.description, memory,
                   device.software ? " (software: for correctness, not for speed)" : "");
    }
    for (const engine::FailedModule & module : engine::failed_modules())
        fmt::print("{}: not loaded: {}\n", module.file, module.reason);
    if (has_gpu) return;
    if (has_software)  // its module is here, so one for a card would be
        fmt::print("no GPU found but one in software: models run on the CPU, or there with --device gpu\n");
    else
        fmt::print(
            "no GPU found: models run on the CPU (a GPU module is fetched with `make gpu GPU=vulkan` or `GPU=cuda`)\n");
}

int run_gpu_info(const Globals & globals) {
    load_backends(globals, "");
    const std::vector<engine::Device> devices = engine::devices();
    if (globals.json) {
        fmt::print("{}\n", json_text(to_json(devices)));
    } else {
        print_text(devices);
    }
    return 0;
}

}  // namespace

void add_gpu_info(Commands & commands) {
    CLI::App * command = commands.add("gpu-info", "show the devices and their memory",
                                      [&commands] { return run_gpu_info(commands.globals()); });
    add_backend_options(*command, commands.globals());
}

}  // namespace shimmy::cli
