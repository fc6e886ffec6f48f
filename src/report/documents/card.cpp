#include "report/documents/card.h"

#include "base/units.h"
#include "report/charts/front_chart.h"
#include "report/charts/svg_charts.h"
#include "report/documents/card_text.h"
#include "report/documents/licenses.h"
#include "report/figures/pareto.h"
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
bool is_measured(const Json & summary, const std::string & model, const std::string & quantization) {
    const auto of_file = [&](const Json & entry) {
        return entry["model"] == model && entry["quantization"] == quantization;
    };
    const Json & rows = summary["rows"];
    const Json & missing = summary["missing"];
    return std::any_of(rows.begin(), rows.end(), of_file) && std::none_of(missing.begin(), missing.end(), of_file);
}

// All quantizations of the model, those of this repository in bold.
Table overview_table(const Json & summary, const Quality & quality, const CardRepo & repo) {
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
    for (const Json & variant : summary["variants"]) {
        if (variant["model"] != repo.model) continue;
        const std::string type = variant["quantization"];
        const bool here =
            std::find(repo.quantizations.begin(), repo.quantizations.end(), type) != repo.quantizations.end();
        const Json * entry = quality.of(repo.model, type);
        const Json * offload = nullptr;
        for (const Json * row : rows_of(summary, repo.model)) {
            const bool better = offload == nullptr || bytes_of((*row)["offload"], "vram_bytes") <
                                                          bytes_of((*offload)["offload"], "vram_bytes");
            if ((*row)["quantization"] == type && better) offload = row;
        }
        if (entry == nullptr || offload == nullptr) continue;
        const std::string name = markdown_code(file_name_of(variant));
        table.rows.push_back({here ? name : name + "\n(another repository)", here ? "**" + type + "**" : type,
                              size(variant, "file_size_bytes"),
                              fmt::format("{:.2f}", number_of(*entry, "bits_per_weight")),
                              size((*offload)["baseline"], "vram_bytes"), size((*offload)["offload"], "vram_bytes"),
                              plus_minus(number_of(*entry, "mean_kld"), number_of(*entry, "mean_kld_error"), 5),
                              fronts_of(summary, repo.model, quality, type)});
    }
    return table;
}

std::string quality_text(const Json & summary, const Quality & quality, const std::string & model) {
    const Json & document = *quality.document(model);
    return fmt::format(
               "Against the original weights, over {} chunks of {} tokens of {}. KLD is the Kullback-Leibler "
               "divergence of the next token's distribution from the original's, in nats: 0 is the same model. ± is "
               "one standard error.\n\n",
               number_of(document, "n_chunks"), number_of(document, "n_ctx"),
               markdown_code(fs::path(text_of(document["text"], "file")).filename().string())) +
           quality_table(summary, model, quality).markdown() +
           "\nWhat that quality costs. Filled points, joined: the Pareto front, where nothing measured is as good in "
           "both and better in one. The vertical axis is logarithmic; the original is drawn at its foot, at 0.\n\n"
           "![Divergence against file size](quality.svg)\n\n![Divergence against VRAM](quality-vram.svg)\n\n"
           "![Divergence against decode rate](quality-speed.svg)\n\n" +
           pareto_table(summary, model, quality).markdown() + offload_section(summary, model, quality);
}

std::string readme(const Json & summary, const Quality & quality, const CardRepo & repo) {
    const Json & model = model_of(summary, repo.model);
    std::string out = front_matter(summary, repo);
    out += fmt::format("\n# {}\n\n", repo.name);
    out += fmt::format(
        "GGUF files of {} for [llama.cpp](https://github.com/ggml-org/llama.cpp) and programs made from it. The "
        "model is a mixture of experts ({} per layer in {} layers, architecture {}): with `--cpu-moe` its "
        "experts stay in RAM, and the card needs memory for the rest only.\n",
        markdown_text(text_or(model, "base_model", repo.model)), number_of(model, "n_expert"),
        number_of(model, "n_layer"), markdown_code(text_or(model, "arch", "?")));
    if (is_software(summary)) {
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
               text_of(summary, "llama_cpp_version"), markdown_text(device_line(summary)));
    out += "\n## Quality\n\n" + quality_text(summary, quality, repo.model);
    out += "\n## Recipe\n\n" + recipe(summary, repo.model);
    out += "\n## Limits\n\n" + limits(summary, repo.model);
    out += "\n## Credits\n\n" + credits(summary, repo);
    out += "\n## Checksums\n\n" + file_table(summary, repo.model).markdown();
    return out;
}

}  // namespace

std::vector<std::string> card_obstacles(const Json & summary, const Quality & quality, const CardRepo & repo,
                                        const std::string & rerun_command) {
    std::vector<std::string> obstacles;
    const Json & model = model_of(summary, repo.model);
    const std::string license = license_obstacle(model);
    if (!license.empty()) obstacles.push_back(license);
    const std::string base_model = text_or(model, "base_model", "");
    if (!base_model.empty() && !is_hub_id(base_model))
        obstacles.push_back(
            fmt::format("base_model '{}' is not of the form USER/NAME, which the Hub refuses", base_model));
    if (repo.name.size() > MAX_REPO_NAME)
        obstacles.push_back("the repository's name is longer than the Hub's 96 letters");
    for (const Json & variant : summary["variants"]) {
        if (variant["model"] != repo.model) continue;
        const std::string type = variant["quantization"];
        const bool hashed = variant["model_sha256"].is_string() && variant["file_size_bytes"].is_number();
        if (!hashed || !is_measured(summary, repo.model, type))
            obstacles.push_back(fmt::format("{} has not all its runs: {}", type, rerun_command));
        const Json * offload = quality.offload_of(repo.model, type);
        if (offload != nullptr && !offload->value("within_bound", false))
            obstacles.push_back(
                fmt::format("{} computes wrongly with its experts on the CPU, or without: see report.md", type));
        if (quality.of(repo.model, type) == nullptr)
            obstacles.push_back(fmt::format("no quality figures of {}: {}", type, quality.command(repo.model)));
    }
    return obstacles;
}

std::map<std::string, std::string> card_files(const Json & summary, const Quality & quality, const CardRepo & repo) {
    const auto front = [&](Cost cost) { return front_svg(summary, repo.model, quality, cost); };
    std::map<std::string, std::string> files{
        {"README.md", readme(summary, quality, repo)}, {"vram.svg", vram_svg(summary, repo.model)},
        {"speed.svg", speed_svg(summary, repo.model)}, {"quality.svg", front(Cost::file_size)},
        {"quality-vram.svg", front(Cost::vram)},       {"quality-speed.svg", front(Cost::speed)}};
    const fs::path license = license_file(model_of(summary, repo.model));
    if (!license.empty()) files["LICENSE"] = read_file(license);
    return files;
}

}  // namespace shimmy::report
