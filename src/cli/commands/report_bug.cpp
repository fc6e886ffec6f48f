// shimmy report-bug: what a developer needs to know of a machine, and nothing that names its user.
#include "base/host/cgroup.h"
#include "base/host/host.h"
#include "base/json.h"
#include "base/text/units.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/placement_options.h"
#include "engine/device/device.h"
#include "engine/device/modules.h"
#include "engine/llama/version.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gnu/libc-version.h>
#include <unistd.h>

#include <cmath>

namespace shimmy::cli {

namespace {

// Variables that change what the program does. A value may be a path or a secret: only those of ggml, llama.cpp
// and OpenMP, which are switches and sizes, are shown, and no path.
Json settings_in_environment() {
    Json result = Json::object();
    for (char ** one = environ; *one != nullptr; ++one) {
        const std::string variable = *one;
        const size_t equals = variable.find('=');
        const std::string name = variable.substr(0, equals);
        const std::string value = equals == variable.npos ? "" : variable.substr(equals + 1);
        const auto begins = [&](const char * prefix) { return name.starts_with(prefix); };
        if (begins("GGML_") || begins("LLAMA_") || begins("CUDA_VISIBLE") || begins("OMP_") || begins("GOMP_"))
            result[name] = value.find('/') == value.npos ? value : "(a path)";
        else if (begins("SHIMMY_") || begins("HF_"))
            result[name] = "(set)";
    }
    return result;
}

Json devices_json() {
    Json result = Json::array();
    for (const engine::Device & device : engine::devices())
        result.push_back({{"name", device.name},
                          {"description", device.description},
                          {"kind", engine::to_string(device.kind)},
                          {"memory_total_bytes", device.memory_total_bytes},
                          {"memory_free_bytes", device.memory_free_bytes}});
    return result;
}

Json failed_json() {
    Json result = Json::array();
    for (const engine::FailedModule & module : engine::failed_modules())
        result.push_back({{"file", module.file}, {"reason", module.reason}});
    return result;
}

// `environment`: before the modules were loaded, which sets some.
Json report(const Json & environment) {
    const Host machine = host();
    const double quota = cgroup_limits().cpus;
#ifdef NDEBUG
    const char * build = "release";
#else
    const char * build = "with assertions";
#endif
    return {{"shimmy_version", shimmy_version()},
            {"llama_cpp_version", engine::llama_cpp_version()},
            {"compiler", __VERSION__},
            {"build", build},
            {"os", machine.os},
            {"distribution", distribution()},
            {"libc", gnu_get_libc_version()},
            {"cpu", machine.cpu},
            {"cpu_features", cpu_features()},
            {"n_cores", machine.n_cores},
            {"cpu_quota", std::isfinite(quota) ? Json(quota) : Json(nullptr)},
            {"ram_bytes", machine.ram_bytes},
            {"ram_available_bytes", available_ram_bytes()},
            {"devices", devices_json()},
            {"failed_modules", failed_json()},
            {"environment", environment}};
}

void print_text(const Json & report) {
    const auto text = [&](const char * key) { return report.at(key).get<std::string>(); };
    fmt::print("shimmy {} (llama.cpp v{}), {} build by {}\n", text("shimmy_version"), text("llama_cpp_version"),
               text("build"), text("compiler"));
    fmt::print("{}, {}, glibc {}\n", text("distribution"), text("os"), text("libc"));
    fmt::print(
        "{}, {} cores{}: {}\n", text("cpu"), report.at("n_cores").get<int>(),
        report.at("cpu_quota").is_null() ? "" : fmt::format(" (quota {:.1f})", report.at("cpu_quota").get<double>()),
        fmt::join(report.at("cpu_features").get<std::vector<std::string>>(), " "));
    fmt::print("RAM {}, {} available\n", format_bytes(report.at("ram_bytes").get<uint64_t>()),
               format_bytes(report.at("ram_available_bytes").get<uint64_t>()));
    for (const Json & device : report.at("devices")) {
        const auto total = device.at("memory_total_bytes").get<uint64_t>();
        const auto free = device.at("memory_free_bytes").get<uint64_t>();
        fmt::print("device {}: {}, {}{}\n", device.at("name").get<std::string>(), device.at("kind").get<std::string>(),
                   device.at("description").get<std::string>(),
                   total == 0 ? "" : fmt::format(", {} free of {}", format_bytes(free), format_bytes(total)));
    }
    for (const Json & module : report.at("failed_modules"))
        fmt::print("not loaded: {}: {}\n", module.at("file").get<std::string>(),
                   module.at("reason").get<std::string>());
    for (const auto & [name, value] : report.at("environment").items())
        fmt::print("{}={}\n", name, value.get<std::string>());
}

int run_report_bug(const Globals & globals) {
    const Json environment = settings_in_environment();
    load_backends(globals, "");
    const Json document = report(environment);
    if (globals.json) {
        fmt::print("{}\n", json_text(document));
    } else {
        print_text(document);
    }
    return 0;
}

}  // namespace

void add_report_bug(Commands & commands) {
    CLI::App * command =
        commands.add("report-bug", "print what a bug report should say of this machine, and nothing private",
                     [&commands] { return run_report_bug(commands.globals()); });
    add_backend_options(*command, commands.globals());
    command->footer(
        "No host name, user, path, token or model is printed. Read it, then paste it into the report, with the command that "
        "failed and what it printed.");
}

}  // namespace shimmy::cli
