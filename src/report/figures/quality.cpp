#include "report/figures/quality.h"

#include "base/error.h"
#include "lab/measure/quality_document.h"

#include <algorithm>
#include <array>

namespace shimmy::report {

namespace {

// A figure of a document, and where it goes.
template <typename T>
struct QualityField {
    const char * name;
    double T::*value;
};
constexpr std::array<QualityField<QualityFigures>, 10> FILE_FIELDS{{
    {"bits_per_weight", &QualityFigures::bits_per_weight},
    {"ppl", &QualityFigures::ppl},
    {"ppl_error", &QualityFigures::ppl_error},
    {"ppl_ratio", &QualityFigures::ppl_ratio},
    {"mean_kld", &QualityFigures::mean_kld},
    {"mean_kld_error", &QualityFigures::mean_kld_error},
    {"median_kld", &QualityFigures::median_kld},
    {"kld_p99", &QualityFigures::kld_p99},
    {"max_kld", &QualityFigures::max_kld},
    {"same_top_percent", &QualityFigures::same_top_percent},
}};
constexpr std::array<QualityField<OffloadFigures>, 5> OFFLOAD_FIELDS{{
    {"mean_kld", &OffloadFigures::mean_kld},
    {"mean_kld_error", &OffloadFigures::mean_kld_error},
    {"mean_kld_bound", &OffloadFigures::mean_kld_bound},
    {"max_kld", &OffloadFigures::max_kld},
    {"same_top_percent", &OffloadFigures::same_top_percent},
}};

// A quality file, and the command that makes it again.
struct QualitySource {
    fs::path file;
    std::string command;
};

const Json & field(const Json & object, const char * name, bool (Json::*has_type)() const noexcept,
                   const QualitySource & source) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    if (found == object.end() || !((*found).*has_type)())
        fail("{}: lacks the figure '{}'; make it again: {}", source.file.string(), name, source.command);
    return *found;
}

template <typename T, size_t N>
T read_entry(const Json & json, const std::array<QualityField<T>, N> & fields, const QualitySource & source) {
    T entry;
    entry.quantization = field(json, "quant", &Json::is_string, source);
    for (const auto & [name, value] : fields)
        entry.*value = field(json, name, &Json::is_number, source);
    return entry;
}

ModelQuality read_quality(Json document, const QualitySource & source) {
    const bool whole = document.is_object() && document.contains("models") && document["models"].is_array() &&
                       document.contains("text") && document.contains("base") && document.contains("n_chunks");
    if (!whole)
        fail("{}: not a document of shimmy quality --json; make it again: {}", source.file.string(), source.command);
    ModelQuality quality;
    quality.base_file = field(document["base"], "file", &Json::is_string, source);
    quality.text_file = field(document["text"], "file", &Json::is_string, source);
    const Json sha256 = document["text"].value("sha256", Json());
    if (sha256.is_string()) quality.text_sha256 = sha256;
    quality.n_chunks = field(document, "n_chunks", &Json::is_number, source);
    quality.n_ctx = field(document, "n_ctx", &Json::is_number, source);
    for (const Json & json : document["models"]) {
        quality.files.push_back(read_entry(json, FILE_FIELDS, source));
        quality.files.back().sha256 = field(json, "sha256", &Json::is_string, source);
    }
    for (const Json & json : document.value("offload", Json())) {
        quality.offload.push_back(read_entry(json, OFFLOAD_FIELDS, source));
        quality.offload.back().within_bound = json.value("within_bound", false);
    }
    quality.document = std::move(document);
    return quality;
}

template <typename T>
const T * find_entry(const std::vector<T> & entries, const std::string & quantization) {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const T & entry) { return entry.quantization == quantization; });
    return found == entries.end() ? nullptr : &*found;
}

}  // namespace

Quality::Quality(const lab::Summary & summary, const fs::path & out_dir) : summary_(summary), out_dir_(out_dir) {
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const QualitySource source{out_dir / "quality" / (model.name + ".json"), command(model.name)};
        if (!fs::exists(source.file)) continue;
        Json document = read_json(source.file);  // of the campaign, or made by hand
        for (const lab::MeasuredFile & variant : summary.variants) {
            if (variant.model == model.name && !variant.mix.empty())
                lab::name_mix(document, variant.file, variant.quantization);
        }
        ModelQuality quality = read_quality(std::move(document), source);
        for (const lab::MeasuredFile & variant : summary.variants) {
            const QualityFigures * entry =
                variant.model == model.name ? find_entry(quality.files, variant.quantization) : nullptr;
            if (entry != nullptr && entry->sha256 != variant.sha256) {
                fail("{}: its {} is another file than the campaign measured; make it again: {}", source.file.string(),
                     entry->quantization, source.command);
            }
        }
        models_.emplace(model.name, std::move(quality));
    }
}

const ModelQuality * Quality::of(const std::string & model) const {
    const auto found = models_.find(model);
    return found == models_.end() ? nullptr : &found->second;
}

const QualityFigures * Quality::of(const std::string & model, const std::string & quantization) const {
    const ModelQuality * all = of(model);
    return all == nullptr ? nullptr : find_entry(all->files, quantization);
}

const OffloadFigures * Quality::offload_of(const std::string & model, const std::string & quantization) const {
    const ModelQuality * all = of(model);
    return all == nullptr ? nullptr : find_entry(all->offload, quantization);
}

std::string Quality::command(const std::string & model) const {
    std::string base = summary_.model(model).path.string();
    std::string others;
    for (const lab::MeasuredFile & variant : summary_.variants) {
        if (variant.model != model) continue;
        if (base.empty()) base = variant.file;  // of a synthetic model: the first
        if (variant.file != base) others += " " + variant.file;
    }
    const lab::QualityTest & test = summary_.campaign.quality;
    if (!test.text.empty() && test.check_offload) others += " --check-offload --check-device gpu";
    return fmt::format("shimmy quality --base {} --text {}{} --json > {}", base,
                       test.text.empty() ? "TEXT.txt" : test.text.string(), others,
                       (out_dir_ / "quality" / (model + ".json")).string());
}

}  // namespace shimmy::report
