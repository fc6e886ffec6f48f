#include "cli/commands/quantize_target.h"

#include "base/error.h"
#include "base/text/units.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "quality/search/target_search.h"
#include "report/text/table.h"

#include <algorithm>

namespace shimmy::cli {

namespace {

using quality::TargetFile;
using quality::TargetResult;

Json sensitivity_json(const TargetResult & result) {
    Json list = Json::array();
    for (const quality::TensorGroup & group : result.groups) {
        Json options = Json::array();
        for (const quality::TypeOption & option : group.options)
            options.push_back({{"type", option.type}, {"bytes", option.bytes}, {"kld", option.kld}});
        list.push_back({{"group", group.name}, {"n_tensors", group.tensors.size()}, {"types", options}});
    }
    return list;
}

// Which type each group got.
std::string types_table(const TargetResult & result) {
    report::Table table;
    table.columns = {
        {"tensors", report::Table::Align::left}, {"type", report::Table::Align::left}, {"KLD of it alone"}};
    for (size_t i = 0; i < result.groups.size(); ++i) {
        const auto & options = result.groups[i].options;
        const auto chosen = std::find_if(options.begin(), options.end(), [&](const quality::TypeOption & option) {
            return option.type == result.mix.types[i].type;
        });
        table.rows.push_back({result.groups[i].name, chosen->type, fmt::format("{:.6f}", chosen->kld)});
    }
    return table.text();
}

quality::TargetOptions search_options(const TargetOptions & target, const fs::path & input, const std::string & imatrix,
                                      const Globals & globals) {
    quality::TargetOptions options;
    options.input = input;
    options.imatrix = imatrix;
    options.text = target.text;
    options.n_chunks = static_cast<size_t>(target.n_chunks);
    if (!target.size.empty()) options.max_size_bytes = parse_bytes(target.size, "--target-size");
    if (!target.vram.empty()) options.max_vram_bytes = parse_bytes(target.vram, "--target-vram");
    options.described = target.size.empty() ? "" : target.size + " of file";
    if (!target.vram.empty())
        options.described += (options.described.empty() ? "" : " and ") + target.vram + " of VRAM";
    options.load = target.load;
    options.load.placement = placement_option(globals);
    options.quiet = globals.json;
    return options;
}

Json to_json(const TargetFile & candidate) {
    Json types = Json::array();
    for (const engine::TensorOverride & one : candidate.types)
        types.push_back(one.pattern + "=" + one.type);
    Json result = {{"quantization", candidate.quantization},
                   {"size_bytes", candidate.size_bytes},
                   {"mean_kld", candidate.figures.mean_kld},
                   {"mean_kld_error", candidate.figures.mean_kld_error},
                   {"tensor_types", types}};
    if (candidate.vram_bytes) result["vram_bytes"] = *candidate.vram_bytes;
    return result;
}

std::string line(const std::string & name, const TargetFile & candidate) {
    return fmt::format("{:<14} {:>10}  mean KLD {:.6f} ± {:.6f}{}\n", name, format_bytes(candidate.size_bytes),
                       candidate.figures.mean_kld, candidate.figures.mean_kld_error,
                       candidate.vram_bytes ? fmt::format("  VRAM {}", format_bytes(*candidate.vram_bytes)) : "");
}

}  // namespace

void add_target_options(CLI::App & command, TargetOptions & target, Globals & globals) {
    command
        .add_option("--target-size", target.size,
                    "instead of --types: find the best file of at most this size, by measuring how much quality each "
                    "group of tensors costs")
        ->type_name("SIZE");
    command
        .add_option("--target-vram", target.vram,
                    "the same for the model's VRAM with --ctx tokens of context and the given placement (--cpu-moe)")
        ->type_name("SIZE");
    command.add_option("--text", target.text, "evaluation text of --target-size and --target-vram")->type_name("FILE");
    command.add_option("--chunks", target.n_chunks, "maximum number of chunks of 512 tokens; 0: the whole text")
        ->type_name("N")
        ->check(at_least_zero())
        ->capture_default_str();
    add_load_options(command, target.load);
    add_placement_options(command, globals, DefaultPlacement::gpu);
    add_backend_options(command, globals);
}

Json quantize_to_target(const TargetOptions & target, const fs::path & input, const std::string & stem,
                        const fs::path & dir, const std::string & imatrix, const Globals & globals) {
    if (target.text.empty()) fail_usage("--target-size and --target-vram need --text: quality is measured on it");
    load_backends(globals, target.load.device);
    std::string name = target.size.empty() ? target.vram + "-vram" : target.size;
    std::erase(name, ' ');
    const fs::path path = dir / fmt::format("{}-{}.gguf", stem, name);
    const TargetResult result = quality::quantize_to_target(search_options(target, input, imatrix, globals), path);
    const auto & [groups, mix, plain] = result;
    const TargetFile & kept = result.kept();
    if (!globals.json) {
        fmt::print("{}\n{}{}", types_table(result), line("mix", mix), plain ? line(plain->quantization, *plain) : "");
        fmt::print("{}: {}\n", path.string(),
                   result.mix_is_better()
                       ? plain ? "the mix, which is closer to the original than the plain type of that size"
                               : "the mix; no plain type is that small"
                       : "the plain type: the mix was measured to be no better");
    }
    return {{"path", path.string()},
            {"quantization", kept.quantization},
            {"size_bytes", kept.size_bytes},
            {"is_mix", result.mix_is_better()},
            {"mix", to_json(mix)},
            {"plain", plain ? to_json(*plain) : Json()},
            {"sensitivity", sensitivity_json(result)}};
}

}  // namespace shimmy::cli
