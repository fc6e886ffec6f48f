// shimmy verify: is this file the model it should be? A checklist against a shape.
#include "base/error.h"
#include "base/json.h"
#include "base/process/interrupt.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/placement_options.h"
#include "engine/load/device.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"
#include "engine/load/placement.h"
#include "engine/run/model.h"
#include "gguf/expert_tensors.h"
#include "gguf/model_info.h"
#include "gguf/shape.h"

#include <algorithm>
#include <cmath>
#include <memory>

namespace shimmy::cli {

namespace {

constexpr uint32_t N_CTX_FOR_CHECK = 512;  // placement does not depend on it; small loads faster

struct VerifyArguments {
    std::string file;
    std::string shape;
    std::string device;
    bool no_load = false;
};

enum class Status { pass, fail, skipped };

struct Check {
    std::string what;
    Status status = Status::pass;
    std::string expected;
    std::string got;
};

const char * to_string(Status status) {
    switch (status) {
        case Status::pass:
            return "pass";
        case Status::fail:
            return "fail";
        case Status::skipped:
            return "skipped";
    }
    return "";  // there is no other
}

class Checklist {
public:
    void add(Check check) { checks_.push_back(std::move(check)); }

    void equal(const char * what, const std::optional<int64_t> & expected, int64_t got) {
        if (!expected) return;
        add({what, *expected == got ? Status::pass : Status::fail, fmt::format("{}", *expected),
             fmt::format("{}", got)});
    }

    void close(const char * what, const std::optional<double> & expected, double got, double tolerance) {
        if (!expected) return;
        const bool passed = std::abs(got - *expected) <= tolerance * *expected;
        add({what, passed ? Status::pass : Status::fail,
             fmt::format("{} ± {:g}%", format_count(static_cast<uint64_t>(*expected)), tolerance * 100.0),
             fmt::format("{} ({:.0f})", format_count(static_cast<uint64_t>(got)), got)});
    }

    const std::vector<Check> & checks() const { return checks_; }
    size_t count(Status status) const {
        return static_cast<size_t>(
            std::count_if(checks_.begin(), checks_.end(), [&](const Check & check) { return check.status == status; }));
    }

private:
    std::vector<Check> checks_;
};

void check_metadata(Checklist & list, const gguf::Expectations & expect, const gguf::ModelInfo & info) {
    if (expect.arch)
        list.add({"architecture", *expect.arch == info.arch ? Status::pass : Status::fail, *expect.arch,
                  printable(info.arch)});
    list.equal("layers", expect.n_layers, info.n_layers);
    list.equal("experts", expect.n_expert, info.n_expert);
    list.equal("active experts", expect.n_expert_used, info.n_expert_used);
    list.equal("shared experts", expect.n_expert_shared, info.n_expert_shared);
    list.close("parameters", expect.n_params, static_cast<double>(info.n_params), expect.tolerance);
    list.close("active parameters", expect.n_active_params, static_cast<double>(info.n_active_params),
               expect.tolerance);
    list.equal("context length", expect.n_ctx_train, info.n_ctx_train);
    list.equal("expert tensors", expect.n_expert_tensors, static_cast<int64_t>(info.n_expert_tensors));
}

// Any GPU proves placement, a software one too.
std::optional<engine::Device> device_for_check(const std::string & name) {
    if (!name.empty()) return engine::find_device(name);
    const std::vector<engine::Device> devices = engine::devices();
    const auto gpu =
        std::find_if(devices.begin(), devices.end(), [](const engine::Device & device) { return device.is_gpu(); });
    return gpu == devices.end() ? std::nullopt : std::optional(*gpu);
}

// Loads the model as --cpu-moe does and looks where each tensor really lies.
Check check_placement(const std::string & file, const gguf::ModelInfo & info, const engine::Device & device) {
    Check check{"experts under --cpu-moe", Status::fail,
                fmt::format("all {} in host memory", info.n_expert_tensors + info.n_expert_bias_tensors), ""};
    engine::LoadOptions load;
    load.path = file;
    load.placement = engine::Placement::offload();
    load.device = device.name;
    load.n_ctx = N_CTX_FOR_CHECK;
    load.warm_up = false;  // nothing is computed
    size_t n_on_host = 0;
    size_t n_on_device = 0;
    size_t n_others_on_device = 0;
    try {
        const engine::Model model(load);
        for (const engine::TensorPlacement & tensor : model.tensors()) {
            if (!gguf::is_moved_by_cpu_moe(tensor.name)) {
                n_others_on_device += tensor.host ? 0 : 1;
            } else {
                ++(tensor.host ? n_on_host : n_on_device);
            }
        }
    } catch (const Interrupted &) {
        throw;
    } catch (const Error & error) {
        check.got = fmt::format("not loaded: {}", error.what());
        return check;
    }
    const uint64_t n_expected = info.n_expert_tensors + info.n_expert_bias_tensors;
    const bool passed = n_on_device == 0 && n_on_host == n_expected && n_others_on_device > 0;
    check.status = passed ? Status::pass : Status::fail;
    check.got = fmt::format("{} expert tensors in host memory, {} on {}; {} other tensors on {}", n_on_host,
                            n_on_device, device.name, n_others_on_device, device.name);
    return check;
}

Check placement_check(const VerifyArguments & options, const gguf::ModelInfo & info, const Globals & globals) {
    Check check{"experts under --cpu-moe", Status::skipped, "all in host memory", ""};
    if (!info.cpu_moe_applies()) {
        check.status = Status::fail;
        check.got = "no expert tensors: --cpu-moe does not apply";
        return check;
    }
    if (options.no_load) {
        check.got = "not checked (--no-load)";
        return check;
    }
    engine::load_backends(globals.gpu_backend);
    const auto device = device_for_check(options.device);
    if (!device || !device->is_gpu()) {
        check.got = "not checked: no GPU, so every tensor is in host memory with or without --cpu-moe";
        return check;
    }
    return check_placement(options.file, info, *device);
}

void print_json(const VerifyArguments & options, const gguf::Shape & shape, const Checklist & list) {
    Json checks = Json::array();
    for (const Check & check : list.checks()) {
        checks.push_back({{"check", check.what},
                          {"status", to_string(check.status)},
                          {"expected", check.expected},
                          {"got", check.got}});
    }
    const Json document{
        {"file", options.file}, {"shape", shape.name}, {"passed", list.count(Status::fail) == 0}, {"checks", checks}};
    fmt::print("{}\n", json_text(document));
}

void print_text(const VerifyArguments & options, const gguf::Shape & shape, const Checklist & list) {
    fmt::print("{} as {}\n", options.file, shape.name);
    for (const Check & check : list.checks()) {
        const bool same = check.expected == check.got;
        fmt::print("  {:<8}{:<24} {}\n", to_string(check.status), check.what,
                   same ? check.got : fmt::format("expected {}, got {}", check.expected, check.got));
    }
    const size_t n_skipped = list.count(Status::skipped);
    fmt::print("{} passed, {} failed{}\n", list.count(Status::pass), list.count(Status::fail),
               n_skipped > 0 ? fmt::format(", {} not checked", n_skipped) : "");
}

int run_verify(const VerifyArguments & options, const Globals & globals) {
    const gguf::Shape shape = gguf::load_shape(options.shape);
    const gguf::ModelInfo info = gguf::read_model_info(options.file);
    Checklist list;
    check_metadata(list, shape.expect, info);
    list.add(placement_check(options, info, globals));
    if (globals.json) {
        print_json(options, shape, list);
    } else {
        print_text(options, shape, list);
    }
    return list.count(Status::fail) == 0 ? 0 : EXIT_CODE_FAILED;
}

}  // namespace

void add_verify(Commands & commands) {
    auto options = std::make_shared<VerifyArguments>();
    CLI::App * command = commands.add("verify", "check a model file against the architecture it should have",
                                      [options, &commands] { return run_verify(*options, commands.globals()); });
    command->add_option("file", options->file, "GGUF file; of a split model, its first part")
        ->type_name("FILE")
        ->required();
    command
        ->add_option("--as", options->shape,
                     "reference shape (phi-3.5-moe, gpt-oss-20b, deepseek-moe-16b, …) or a TOML file")
        ->type_name("NAME|SPEC.toml")
        ->required();
    add_gpu_backend_option(*command, commands.globals());
    command->add_option("--device", options->device, "GPU to load on for the last check (default: the first)")
        ->type_name("NAME");
    command->add_flag("--no-load", options->no_load,
                      "check metadata only; do not load the model to see where --cpu-moe puts its experts");
    command->footer(
        "The last check loads the model as --cpu-moe does and reads back where each expert tensor lies. Without a GPU "
        "it is not checked: every "
        "tensor would be in host memory anyway. Exit code 1 if a check fails. Keys of --json: file, shape, passed, "
        "checks (check, status: pass, "
        "fail or skipped, expected, got). The format of SPEC.toml: shapes/README.md.");
}

}  // namespace shimmy::cli
