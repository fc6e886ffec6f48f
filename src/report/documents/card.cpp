#include "report/documents/card.h"

#include "base/json.h"
#include "base/text/units.h"
#include "lab/plan/quantized_models.h"
#include "report/charts/gnuplot.h"
#include "report/charts/model_charts.h"
#include "report/conclusions/uses.h"
#include "report/documents/licenses.h"
#include "report/figures/pareto.h"
#include "report/figures/selection.h"
#include "report/text/table.h"
#include "report/text/text.h"
#include "report/values/values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <regex>

namespace shimmy::report {

namespace {

constexpr size_t MAX_REPO_NAME = 96;  // the Hub's limit

// Mean KL divergence, nats. Perplexity would not do: a coarse type's can be below the original's by chance.
constexpr double NEARLY_LOSSLESS = 0.01;

bool is_hub_id(const std::string & id) {
    static const std::regex form(R"([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)");
    const bool is_short = id.size() <= 2 * MAX_REPO_NAME + 1;  // std::regex goes as deep as a text is long
    return is_short && std::regex_match(id, form) && id.find("..") == std::string::npos &&
           id.find("--") == std::string::npos;
}

// Every run of the file, load runs too.
bool is_measured(const lab::Summary & summary, const std::string & model, const std::string & quantization) {
    const auto of_file = [&](const auto & entry) { return entry.model == model && entry.quantization == quantization; };
    return std::any_of(summary.rows.begin(), summary.rows.end(), of_file) &&
           std::none_of(summary.missing.begin(), summary.missing.end(), of_file);
}

// As it is published: of a model that is split for the Hub, the first part.
fs::path file_name_of(const lab::MeasuredFile & variant) {
    return fs::path(variant.parts.empty() ? variant.file : variant.parts.front().file).filename();
}

// The placement that takes the least VRAM; null if the quantization has none.
const lab::Row * smallest_row(const lab::Summary & summary, const std::string & model,
                              const std::string & quantization) {
    const lab::Row * smallest = nullptr;
    for (const lab::Row * row : rows_of(summary, model)) {
        const bool smaller = smallest == nullptr || row->offload.vram_bytes < smallest->offload.vram_bytes;
        if (row->quantization == quantization && smaller) smallest = row;
    }
    return smallest;
}

// A link to the file on the Hub, where it is known and the name needs no escaping; else `text`.
std::string linked(const std::string & text, const CardRepo & repo, const std::string & file) {
    static const std::regex plain("[A-Za-z0-9._-]+");
    if (repo.id.empty() || !std::regex_match(file, plain)) return text;
    return fmt::format("[{}](https://huggingface.co/{}/blob/main/{})", text, repo.id, file);
}

// Where each quantization has a repository of its own: that of another one, by the same rule. Its id is empty if this
// one's is.
CardRepo sister_of(const CardRepo & repo, const std::string & quantization) {
    CardRepo sister = repo;
    const std::string own = repo_name("", repo.quantizations.front());  // "-Q4_K_M-GGUF"
    if (sister.id.ends_with(own))
        sister.id.replace(sister.id.size() - own.size(), own.size(), repo_name("", quantization));
    else
        sister.id.clear();
    return sister;
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
        const lab::Row * row = smallest_row(summary, repo.model, type);
        if (entry == nullptr || row == nullptr) continue;
        const std::string file = file_name_of(*variant).string();
        const std::string name = markdown_code(file);
        table.rows.push_back(
            {here ? linked(name, repo, file) : linked(name, sister_of(repo, type), file) + "\n(another repository)",
             here ? "**" + type + "**" : type, format_bytes(variant->file_size_bytes),
             fmt::format("{:.2f}", entry->bits_per_weight), format_bytes(row->baseline.vram_bytes),
             format_bytes(row->offload.vram_bytes), plus_minus(entry->mean_kld, entry->mean_kld_error, 5),
             fronts_of(summary, repo.model, quality, type)});
    }
    return table;
}

// The smallest file that is nearly the original, and the smallest of all if that is another.
void choose_files(const lab::Summary & summary, const Quality & quality, const std::string & model, Json & card) {
    std::vector<const lab::MeasuredFile *> files = variants_of(summary, model);
    std::erase_if(files, [&](const lab::MeasuredFile * file) { return !quality.of(model, file->quantization); });
    std::sort(files.begin(), files.end(), [](const lab::MeasuredFile * a, const lab::MeasuredFile * b) {
        return a->file_size_bytes < b->file_size_bytes;
    });
    const auto lossless = std::find_if(files.begin(), files.end(), [&](const lab::MeasuredFile * file) {
        return quality.of(model, file->quantization)->mean_kld <= NEARLY_LOSSLESS;
    });
    const auto described = [&](const lab::MeasuredFile * file) -> Json {
        const QualityFigures & figures = *quality.of(model, file->quantization);
        return {{"type", file->quantization},
                {"mean_kld", fmt::format("{:.5f}", figures.mean_kld)},
                {"same_top_percent", fmt::format("{:.1f}", figures.same_top_percent)}};
    };
    card["nearly_lossless_kld"] = fmt::format("{}", NEARLY_LOSSLESS);
    card["nearly_lossless"] = lossless == files.end() ? Json() : described(*lossless);
    card["smallest"] = files.empty() || lossless == files.begin() ? Json() : described(files.front());
}

// What `hf download` takes to fetch one quantization: a file, or a pattern for the parts of one that is split.
std::string download_pattern(const lab::MeasuredFile & variant) {
    const std::string file = file_name_of(variant).string();
    const size_t part = file.rfind("-00001-of-");
    return variant.parts.size() > 1 && part != file.npos ? file.substr(0, part) + "-*" : file;
}

// How the importance matrix came about; empty: there is none.
std::string imatrix_text(const lab::Summary & summary, const lab::CampaignModel & model) {
    if (!model.imatrix.empty()) return "with the importance matrix " + markdown_code(model.imatrix.filename().string());
    if (model.imatrix_text.empty()) return "";
    const std::string sha256 = lab::imatrix_text_sha256(summary.campaign, model);
    return fmt::format("with an importance matrix of {} of {}{}",
                       model.imatrix_chunks > 0 ? fmt::format("{} chunks", model.imatrix_chunks) : "all",
                       markdown_code(model.imatrix_text.filename().string()),
                       sha256.empty() ? "" : fmt::format(" (sha256 {})", markdown_code(sha256)));
}

std::string imatrix_file(const lab::Summary & summary, const std::string & model) {
    return lab::imatrix_path(summary.campaign, summary.model(model)).filename().string();
}

// The options of `shimmy quantize` that make it, and the file's name here, which that command does not give it.
Json mix_values(const lab::Mix & mix, const fs::path & file) {
    std::string options = fmt::format("--types {}", mix.type);
    for (const engine::TensorOverride & one : mix.tensor_types)
        options += fmt::format(" --tensor-type '{}={}'", one.pattern, one.type);
    if (mix.is_searched())
        options = fmt::format("--target-size {} --text {} --chunks {}", mix.target_size, mix.text.filename().string(),
                              mix.chunks);
    return {{"name", mix.name}, {"file", file.string()}, {"options", options}};
}

Json card_values(const lab::Summary & summary, const Quality & quality, const CardRepo & repo) {
    const lab::MeasuredFile & first = summary.variant(repo.model, repo.quantizations.front());
    const fs::path file = file_name_of(first);
    const std::string selector = repo.quantizations.size() > 1 ? ":" + repo.quantizations.front() : "";
    const fs::path input = summary.model(repo.model).path.filename();
    std::vector<std::string> made;  // quantized from the input
    Json mixes = Json::array();
    for (const lab::MeasuredFile * variant : variants_of(summary, repo.model)) {
        const lab::Mix * mix = lab::find_mix(summary.campaign, variant->quantization);
        if (mix != nullptr)
            mixes.push_back(mix_values(*mix, file_name_of(*variant)));
        else if (file_name_of(*variant) != input)
            made.push_back(variant->quantization);
    }
    Json card{{"name", repo.name},
              {"repo", repo.id},
              {"hub_model", repo.id.empty() ? "" : repo.id + selector},
              {"quantization", repo.quantizations.front()},
              {"download", download_pattern(first)},
              {"is_split", first.parts.size() > 1},
              {"file", file.string()},
              {"served_name", file.stem().string()},
              {"overview", table_in(Markup::markdown, overview_table(summary, quality, repo))},
              {"imatrix", imatrix_text(summary, summary.model(repo.model))},
              {"imatrix_file", imatrix_file(summary, repo.model)},
              {"quantized_from", input.string()},
              {"quantized_types", fmt::format("{}", fmt::join(made, ","))},
              {"mixes", mixes}};
    choose_files(summary, quality, repo.model, card);
    return card;
}

// Values of the YAML at the card's head, as YAML.
Json front_values(const lab::Summary & summary, const std::string & name) {
    const auto yaml_text = [](const std::string & text) {  // a JSON string is a YAML one
        return text.empty() ? "" : json_text(Json(text), -1);
    };
    const lab::CampaignModel & model = summary.model(name);
    const bool other = model.license == OTHER_LICENSE;
    const std::string link = license_file(model).empty() ? model.license_link : "LICENSE";
    Json languages = Json::array();
    for (const std::string & code : lab::languages_of(summary, name))
        languages.push_back(code == "no" || code == "yes" ? yaml_text(code) : code);  // truth values, to YAML
    return {{"license", model.license},
            {"license_name", other ? yaml_text(model.license_name) : ""},
            {"license_link", other ? yaml_text(link) : ""},
            {"base_model", model.base_model},
            {"languages", languages},
            {"creator", yaml_text(summary.campaign.creator)}};
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

std::map<std::string, std::string> card_files(const Sources & sources, const CardRepo & repo,
                                              const Templates & templates) {
    const lab::Summary & summary = sources.summary;
    const Quality & quality = sources.quality;
    Json values = document_values(sources, templates);
    values["card"] = card_values(summary, quality, repo);
    const std::vector<UseAdvice> uses = advise(summary, repo.model);
    values["card"]["has_uses"] =
        std::any_of(uses.begin(), uses.end(), [](const UseAdvice & advice) { return !advice.choices.empty(); });
    values["front"] = front_values(summary, repo.model);
    Json all_models = values["models"];
    for (Json & model : all_models) {
        if (model["name"] == repo.model) values["model"] = std::move(model);
    }
    std::map<std::string, std::string> files{{"README.md", templates.render("card.md.jinja", values)}};
    for (const Chart & chart : card_charts(summary, repo.model, quality))
        files[chart.name + ".svg"] = drawn(chart);
    const fs::path license = license_file(summary.model(repo.model));
    if (!license.empty()) files["LICENSE"] = read_file(license);
    return files;
}

}  // namespace shimmy::report
