#include "report/documents/card.h"

#include "base/units.h"
#include "report/charts/front_chart.h"
#include "report/charts/svg_charts.h"
#include "report/documents/card_text.h"
#include "report/documents/licenses.h"
#include "report/figures/pareto.h"
#include "report/figures/selection.h"
#include "report/figures/tables.h"
#include "report/text/table.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

namespace shimmy::report {

namespace {

constexpr size_t MAX_REPO_NAME = 96;  // the Hub's limit

bool is_hub_id(const std::string & id) {
    static const std::regex form(R"([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)");
    return std::regex_match(id, form) && id.find("..") == std::string::npos && id.find("--") == std::string::npos;
}

// Every run of the file, load runs too.
bool is_measured(const lab::Summary & summary, const std::string & model, const std::string & quantization) {
    const auto of_file = [&](const auto & entry) { return entry.model == model && entry.quantization == quantization; };
    return std::any_of(summary.rows.begin(), summary.rows.end(), of_file) &&
           std::none_of(summary.missing.begin(), summary.missing.end(), of_file);
}

// All quantizations of the model, those of this repository in bold.
Table overview_table(const lab::Summary & summary, const Quality & quality, const CardRepo & repo) {
    using Align = Table::Align;
    Table table;
    table.columns = {{"file", Align::left},
                     {"type", Align::left},
                     {"size", Align::right},
                     {"bits per\nweight", Align::right},
                     {"VRAM\nall on the card", Align::right},
                     {"VRAM\nexperts on CPU", Align::right},
                     {"mean KLD", Align::right},
                     {"best for its", Align::left}};
    for (const lab::MeasuredFile * variant : variants_of(summary, repo.model)) {
        const std::string & type = variant->quantization;
        const bool here =
            std::find(repo.quantizations.begin(), repo.quantizations.end(), type) != repo.quantizations.end();
        const QualityFigures * entry = quality.of(repo.model, type);
        const lab::Row * offload = nullptr;  // the one that takes the least VRAM
        for (const lab::Row * row : rows_of(summary, repo.model)) {
            const bool better = offload == nullptr || row->offload.vram_bytes < offload->offload.vram_bytes;
            if (row->quantization == type && better) offload = row;
        }
        if (entry == nullptr || offload == nullptr) continue;
        const std::string name = markdown_code(file_name_of(*variant));
        table.rows.push_back({here ? name : name + "\n(another repository)", here ? "**" + type + "**" : type,
                              format_bytes(variant->file_size_bytes), fmt::format("{:.2f}", entry->bits_per_weight),
                              format_bytes(offload->baseline.vram_bytes), format_bytes(offload->offload.vram_bytes),
                              plus_minus(entry->mean_kld, entry->mean_kld_error, 5),
                              fronts_of(summary, repo.model, quality, type)});
    }
    return table;
}

std::string quality_text(const lab::Summary & summary, const Quality & quality, const std::string & model) {
    const ModelQuality & measured = *quality.of(model);
    return fmt::format(
               "Against the original weights, over {} chunks of {} tokens of {}. KLD is the Kullback-Leibler "
               "divergence of the next token's distribution from the original's, in nats: 0 is the same model. ± is "
               "one standard error.\n\n",
               measured.n_chunks, measured.n_ctx, markdown_code(fs::path(measured.text_file).filename().string())) +
           quality_table(summary, model, quality).markdown() +
           "\nWhat that quality costs. Filled points, joined: the Pareto front, where nothing measured is as good in "
           "both and better in one. The vertical axis is logarithmic; the original is drawn at its foot, at 0.\n\n"
           "![Divergence against file size](quality.svg)\n\n![Divergence against VRAM](quality-vram.svg)\n\n"
           "![Divergence against decode rate](quality-speed.svg)\n\n" +
           pareto_table(summary, model, quality).markdown() + offload_section(summary, model, quality);
}

std::string readme(const lab::Summary & summary, const Quality & quality, const CardRepo & repo) {
    const lab::CampaignModel & model = summary.model(repo.model);
    const lab::InputInfo & info = summary.input(repo.model);
    std::string out = front_matter(summary, repo);
    out += fmt::format("\n# {}\n\n", repo.name);
    out += fmt::format(
        "GGUF files of {} for [llama.cpp](https://github.com/ggml-org/llama.cpp) and programs made from it. The "
        "model is a mixture of experts ({} per layer in {} layers, architecture {}): with `--cpu-moe` its "
        "experts stay in RAM, and the card needs memory for the rest only.\n",
        markdown_text(model.base_model.empty() ? model.name : model.base_model), info.n_expert, info.n_layer,
        markdown_code(info.arch.empty() ? "?" : info.arch));
    if (summary.conditions.device.software) {
        out += "\n> **Speeds below are of a software device (llvmpipe), not of a GPU.** Memory and quality are real.\n";
    }
    out += "\n## Files\n\n" + overview_table(summary, quality, repo).markdown() +
           "\nBest for its: nothing measured is closer to the original at that cost (see Quality).\n";
    out += "\n## Which one to choose\n\n" + which_to_choose(summary, quality, repo.model);
    out += "\n## How to run\n\n" + how_to_run(summary, repo);
    out += "\n## Memory and speed\n\n![VRAM by kind](vram.svg)\n\n![Decode rate against VRAM](speed.svg)\n\n" +
           comparison_table(summary, repo.model).markdown() +
           fmt::format(
               "\nTwo lines in a cell: the median, and minimum to maximum over prompts and repeats (n runs of each "
               "placement). Measured with "
               "llama.cpp {} on {}.\n",
               summary.conditions.llama_cpp_version, markdown_text(device_line(summary.conditions)));
    out += "\n## Quality\n\n" + quality_text(summary, quality, repo.model);
    out += "\n## Recipe\n\n" + recipe(summary, repo.model);
    out += "\n## Limits\n\n" + limits(summary, repo.model);
    out += "\n## Credits\n\n" + credits(summary, repo);
    out += "\n## Checksums\n\n" + file_table(summary, repo.model).markdown();
    return out;
}

}  // namespace

std::vector<std::string> card_obstacles(const lab::Summary & summary, const Quality & quality, const CardRepo & repo,
                                        const std::string & rerun_command) {
    std::vector<std::string> obstacles;
    const lab::CampaignModel & model = summary.model(repo.model);
    const std::string license = license_obstacle(model);
    if (!license.empty()) obstacles.push_back(license);
    const std::string & base_model = model.base_model;
    if (!base_model.empty() && !is_hub_id(base_model))
        obstacles.push_back(
            fmt::format("base_model '{}' is not of the form USER/NAME, which the Hub refuses", base_model));
    if (repo.name.size() > MAX_REPO_NAME)
        obstacles.push_back("the repository's name is longer than the Hub's 96 letters");
    for (const lab::MeasuredFile * variant : variants_of(summary, repo.model)) {
        const std::string & type = variant->quantization;
        const bool hashed = !variant->sha256.empty() && variant->file_size_bytes > 0;
        if (!hashed || !is_measured(summary, repo.model, type))
            obstacles.push_back(fmt::format("{} has not all its runs: {}", type, rerun_command));
        const OffloadFigures * offload = quality.offload_of(repo.model, type);
        if (offload != nullptr && !offload->within_bound)
            obstacles.push_back(
                fmt::format("{} computes wrongly with its experts on the CPU, or without: see report.md", type));
        if (quality.of(repo.model, type) == nullptr)
            obstacles.push_back(fmt::format("no quality figures of {}: {}", type, quality.command(repo.model)));
    }
    return obstacles;
}

std::map<std::string, std::string> card_files(const lab::Summary & summary, const Quality & quality,
                                              const CardRepo & repo) {
    const auto front = [&](Cost cost) { return front_svg(summary, repo.model, quality, cost); };
    std::map<std::string, std::string> files{
        {"README.md", readme(summary, quality, repo)}, {"vram.svg", vram_svg(summary, repo.model)},
        {"speed.svg", speed_svg(summary, repo.model)}, {"quality.svg", front(Cost::file_size)},
        {"quality-vram.svg", front(Cost::vram)},       {"quality-speed.svg", front(Cost::speed)}};
    const fs::path license = license_file(summary.model(repo.model));
    if (!license.empty()) files["LICENSE"] = read_file(license);
    return files;
}

}  // namespace shimmy::report
