#include "report/figures/quality.h"

#include "base/error.h"
#include "report/text/text.h"

namespace shimmy::report {

namespace {

constexpr std::array FIGURES{"ppl",        "ppl_error", "ppl_ratio", "mean_kld",        "mean_kld_error",
                             "median_kld", "kld_p99",   "max_kld",   "same_top_percent"};

void check(const Json & document, const fs::path & file, const std::string & command) {
    const bool whole = document.is_object() && document.contains("models") && document["models"].is_array() &&
                       document.contains("text") && document.contains("base") && document.contains("n_chunks");
    if (!whole) fail("{}: not a document of shimmy quality --json; make it again: {}", file.string(), command);
    for (const Json & model : document["models"]) {
        for (const char * figure : FIGURES) {
            const bool there = model.is_object() && model.contains(figure) && model[figure].is_number();
            if (!there) fail("{}: lacks the figure '{}'; make it again: {}", file.string(), figure, command);
        }
    }
}

}  // namespace

Quality::Quality(const Json & summary, const fs::path & out_dir) : summary_(summary), out_dir_(out_dir) {
    for (const Json & model : summary["models"]) {
        const std::string name = model["name"];
        const fs::path file = out_dir / "quality" / (name + ".json");
        if (!fs::exists(file)) continue;
        Json document = read_json(file);
        check(document, file, command(name));
        for (const Json & entry : document["models"]) {
            for (const Json & variant : summary["variants"]) {
                const bool same = variant["model"] == name && variant["quantization"] == entry["quant"];
                if (same && variant["model_sha256"] != entry["sha256"]) {
                    fail("{}: its {} is another file than the campaign measured; make it again: {}", file.string(),
                         text_of(entry, "quant"), command(name));
                }
            }
        }
        documents_.emplace(name, std::move(document));
    }
}

const Json * Quality::document(const std::string & model) const {
    const auto found = documents_.find(model);
    return found == documents_.end() ? nullptr : &found->second;
}

const Json * Quality::of(const std::string & model, const std::string & quantization) const {
    const Json * all = document(model);
    if (all == nullptr) return nullptr;
    for (const Json & entry : (*all)["models"]) {
        if (entry["quant"] == quantization) return &entry;
    }
    return nullptr;
}

const Json * Quality::offload_of(const std::string & model, const std::string & quantization) const {
    const Json * all = document(model);
    if (all == nullptr || !all->contains("offload")) return nullptr;
    for (const Json & entry : (*all)["offload"]) {
        if (entry["quant"] == quantization) return &entry;
    }
    return nullptr;
}

std::string Quality::command(const std::string & model) const {
    std::string base;
    std::string others;
    for (const Json & variant : summary_["variants"]) {
        if (variant["model"] != model) continue;
        const std::string file = text_or(variant, "file", "");
        if (base.empty()) {
            for (const Json & described : summary_["models"]) {
                if (described["name"] == model) base = text_or(described, "path", file);
            }
        }
        if (file != base) others += " " + file;
    }
    const Json & quality = summary_["settings"]["quality"];
    const std::string text = quality.is_object() ? text_or(quality, "text", "TEXT.txt") : "TEXT.txt";
    const bool check_offload = quality.is_object() && quality.value("check_offload", false);
    if (check_offload) others += " --check-offload --device gpu";
    return fmt::format("shimmy quality --base {} --text {}{} --json > {}", base, text, others,
                       (out_dir_ / "quality" / (model + ".json")).string());
}

}  // namespace shimmy::report
