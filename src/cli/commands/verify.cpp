// shimmy verify: is this file the model it should be? A checklist against a shape.
#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/model_name.h"
#include "cli/placement_options.h"
#include "engine/device/device.h"
#include "gguf/model_info.h"
#include "gguf/shape.h"
#include "quality/shape_check.h"

#include <algorithm>
#include <memory>

namespace shimmy::cli {

namespace {

struct VerifyArguments {
    std::string file;
    std::string shape;
    std::string device;
    bool no_load = false;
};

using quality::CheckStatus;
using quality::ShapeCheck;

size_t count(const std::vector<ShapeCheck> & checks, CheckStatus status) {
    return static_cast<size_t>(
        std::count_if(checks.begin(), checks.end(), [&](const ShapeCheck & check) { return check.status == status; }));
}

ShapeCheck placement_check(const VerifyArguments & options, const gguf::ModelInfo & info, const Globals & globals) {
    if (options.no_load || !info.cpu_moe_applies()) return quality::skip_placement(info, "not checked (--no-load)");
    engine::load_backends(globals.gpu_backend);
    return quality::check_placement(options.file, info, options.device);
}

void print_json(const VerifyArguments & options, const gguf::Shape & shape, const std::vector<ShapeCheck> & checks) {
    Json list = Json::array();
    for (const ShapeCheck & check : checks) {
        list.push_back({{"check", check.what},
                        {"status", to_string(check.status)},
                        {"expected", check.expected},
                        {"got", check.got}});
    }
    const Json document{{"file", options.file},
                        {"shape", shape.name},
                        {"passed", count(checks, CheckStatus::fail) == 0},
                        {"checks", list}};
    fmt::print("{}\n", json_text(document));
}

void print_text(const VerifyArguments & options, const gguf::Shape & shape, const std::vector<ShapeCheck> & checks) {
    fmt::print("{} as {}\n", options.file, shape.name);
    for (const ShapeCheck & check : checks) {
        const bool same = check.expected == check.got;
        fmt::print("  {:<8}{:<24} {}\n", to_string(check.status), check.what,
                   same ? check.got : fmt::format("expected {}, got {}", check.expected, check.got));
    }
    const size_t n_skipped = count(checks, CheckStatus::skipped);
    fmt::print("{} passed, {} failed{}\n", count(checks, CheckStatus::pass), count(checks, CheckStatus::fail),
               n_skipped > 0 ? fmt::format(", {} not checked", n_skipped) : "");
}

int run_verify(VerifyArguments options, const Globals & globals) {
    const gguf::Shape shape = gguf::load_shape(options.shape);
    options.file = model_file(options.file, globals).string();
    const gguf::ModelInfo info = gguf::read_model_info(options.file);
    std::vector<ShapeCheck> checks = quality::check_metadata(shape.expect, info);
    checks.push_back(placement_check(options, info, globals));
    if (globals.json) {
        print_json(options, shape, checks);
    } else {
        print_text(options, shape, checks);
    }
    return count(checks, CheckStatus::fail) == 0 ? 0 : EXIT_CODE_FAILED;
}

}  // namespace

void add_verify(Commands & commands) {
    auto options = std::make_shared<VerifyArguments>();
    CLI::App * command = commands.add("verify", "check a model file against the architecture it should have",
                                      [options, &commands] { return run_verify(*options, commands.globals()); });
    command
        ->add_option("model,--model", options->file,
                     "model: a GGUF file, a name from `shimmy list`, or hf:USER/NAME[:QUANT] on the Hub")
        ->type_name("FILE|NAME")
        ->required();
    add_model_dirs_option(*command, commands.globals());
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
