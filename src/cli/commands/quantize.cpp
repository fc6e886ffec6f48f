// shimmy quantize: every wanted quantization of a model, whole files or none.
#include "engine/make/quantize.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/process/progress.h"
#include "base/text/text.h"
#include "base/text/units.h"
#include "cli/command.h"
#include "cli/commands/quantize_target.h"
#include "cli/model_name.h"
#include "cli/placement_options.h"
#include "engine/layout/quantization.h"
#include "gguf/model_info.h"
#include "library/names.h"

#include <algorithm>
#include <chrono>
#include <memory>

namespace shimmy::cli {

namespace {

struct QuantizeArguments {
    std::string input;      // a file's path once the name is resolved
    bool is_named = false;  // it was no path: what is made does not belong beside it
    std::vector<std::string> types;
    std::string out_dir;
    std::string imatrix;
    std::vector<std::string> tensor_types;
    TargetOptions target;
};

// "phi-3.5-moe-f16.gguf" and Q4_K_M: "phi-3.5-moe-Q4_K_M.gguf". The input's own type is dropped from the name, and of a
// split input the number of its part: what is written is one file.
std::string output_stem(const QuantizeArguments & options) {
    std::string stem = library::name_stem(options.input);
    for (const std::string suffix : {"-f16", "-F16", "-bf16", "-BF16", "-f32", "-F32", ".f16", ".F16"}) {
        if (stem.ends_with(suffix)) stem.resize(stem.size() - suffix.size());
    }
    return stem;
}

fs::path output_dir(const QuantizeArguments & options) {
    if (!options.out_dir.empty()) return options.out_dir;
    const fs::path beside = fs::path(options.input).parent_path();
    return options.is_named || beside.empty() ? "." : beside;
}

std::vector<engine::TensorOverride> tensor_types(const QuantizeArguments & options) {
    std::vector<engine::TensorOverride> result;
    for (const std::string & text : options.tensor_types)
        result.push_back(engine::parse_tensor_override(text));
    return result;
}

// One line for all: a model's layers are alike.
void warn(const std::string & type, const std::vector<engine::Fallback> & fallbacks) {
    if (fallbacks.empty()) return;
    const engine::Fallback & first = fallbacks.front();
    fmt::print(stderr,
               "shimmy: warning: {}: {} tensors have rows that the wanted type cannot hold: {} ({} columns) is {} in "
               "place of {}{}\n",
               type, fallbacks.size(), first.tensor, first.n_columns, upper(first.got), upper(first.wanted),
               fallbacks.size() > 1 ? ", and so on; the file is larger than its name says" : "");
}

Json to_json(const std::vector<engine::Fallback> & fallbacks) {
    Json list = Json::array();
    for (const engine::Fallback & one : fallbacks)
        list.push_back({{"tensor", one.tensor},
                        {"n_columns", one.n_columns},
                        {"wanted", upper(one.wanted)},
                        {"type", upper(one.got)}});
    return list;
}

engine::QuantizeOptions work(const QuantizeArguments & options, const std::string & type) {
    const fs::path output = output_dir(options) / fmt::format("{}-{}.gguf", output_stem(options), type);
    if (fs::exists(output) && fs::equivalent(output, options.input))
        fail_usage("{}: the output would replace the input", output.string());
    return {options.input, output, type, options.imatrix, options.target.load.n_threads, tensor_types(options)};
}

Json quantize_one(const QuantizeArguments & options, const std::string & type, const Globals & globals) {
    const engine::QuantizeOptions wanted = work(options, type);
    const fs::path & output = wanted.output;
    const auto start = std::chrono::steady_clock::now();
    std::vector<engine::Fallback> fallbacks;
    {
        Progress progress(fmt::format("{} -> {}", fs::path(options.input).filename().string(), type), globals.json);
        fallbacks = engine::quantize(wanted, [&](uint64_t done, uint64_t total) { progress.update(done, total); });
    }
    warn(type, fallbacks);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const gguf::ModelInfo info = gguf::read_model_info(output);
    if (!globals.json) {
        fmt::print("{:<8} {:>10}  {:5.2f} bits/weight  {:7.1f} s  {}\n", type, format_bytes(info.size_bytes),
                   info.bits_per_weight, seconds, output.string());
    }
    return {{"quantization", type},           {"path", output.string()},
            {"size_bytes", info.size_bytes},  {"bits_per_weight", info.bits_per_weight},
            {"elapsed_ms", seconds * 1000.0}, {"fallbacks", to_json(fallbacks)}};
}

int run_quantize(QuantizeArguments options, const Globals & globals) {
    if (options.types.empty() && !options.target.is_set())
        fail_usage("give --types, or --target-size or --target-vram with --text");
    if (options.target.is_set() && !options.types.empty())
        fail_usage("--target-size and --target-vram choose the types: leave out --types");
    if (options.target.is_set() && !options.tensor_types.empty())
        fail_usage("--tensor-type says what --target-size and --target-vram are to find out: give one or the other");
    std::vector<std::string> types;
    for (const std::string & name : options.types) {
        const std::string type = engine::canonical_quantization(name);
        if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
    }
    (void)tensor_types(options);  // mistakes are said before work begins
    const std::string file = model_file(options.input, globals).string();
    options.is_named = file != options.input;
    options.input = file;
    engine::require_quantizable(options.input);
    const fs::path dir = output_dir(options);
    ensure_writable_dir(dir);
    remove_stale_part_files(dir);
    if (types.size() > 1) {  // a mistake about the last is said before the first is made
        for (const std::string & type : types)
            engine::require_possible(work(options, type));
    }
    Json files = Json::array();
    for (const std::string & type : types)
        files.push_back(quantize_one(options, type, globals));
    if (options.target.is_set())
        files.push_back(
            quantize_to_target(options.target, options.input, output_stem(options), dir, options.imatrix, globals));
    if (globals.json) fmt::print("{}\n", json_text(Json{{"input", options.input}, {"files", files}}));
    return 0;
}

}  // namespace

void add_quantize(Commands & commands) {
    auto options = std::make_shared<QuantizeArguments>();
    CLI::App * command = commands.add("quantize", "write quantized copies of an F16, BF16 or F32 model",
                                      [options, &commands] { return run_quantize(*options, commands.globals()); });
    command
        ->add_option("input,--model", options->input,
                     "model to quantize: a GGUF file, a name from `shimmy list`, or hf:USER/NAME[:QUANT] on the Hub")
        ->type_name("FILE|NAME")
        ->required();
    add_model_dirs_option(*command, commands.globals());
    command->add_option("--types", options->types, "quantizations, separated by ',': Q2_K,Q4_K_M,Q8_0")
        ->type_name("TYPES")
        ->delimiter(',');
    command
        ->add_option("--out-dir", options->out_dir,
                     "folder for the results (default: beside the input file; of a name, the current folder)")
        ->type_name("DIR");
    command->add_option("--imatrix", options->imatrix, "importance matrix made by shimmy imatrix or llama-imatrix")
        ->type_name("FILE");
    command
        ->add_option("--tensor-type", options->tensor_types,
                     "type for tensors whose names match the regular expression, as in ffn_down_exps=Q6_K; may be "
                     "given several times, the first match decides")
        ->type_name("PATTERN=TYPE")
        ->allow_extra_args(false);
    add_target_options(*command, options->target, commands.globals());
}

}  // namespace shimmy::cli
