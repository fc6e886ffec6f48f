#include "lab/run/predicted_cards.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/process/progress.h"
#include "base/version.h"
#include "engine/llama/version.h"
#include "engine/predict/card_fit.h"

#include <limits>

namespace shimmy::lab {

namespace {

engine::LoadOptions load_of(const std::string & file) {
    engine::LoadOptions load;
    load.path = file;
    load.device = engine::MODELLED_CUDA;
    return load;
}

Json cards_of(const std::string & file) {
    const engine::LoadOptions load = load_of(file);
    const engine::BandwidthRange unused{1.0, 1.0, ""};  // the guide shows no rates
    const auto estimates = engine::estimate_placements(load, unused, unused, engine::gpus_in_use(load.device));
    Json cards = Json::array();
    for (const engine::CardFit & fit : engine::fit_cards(estimates, std::numeric_limits<uint64_t>::max(), {}))
        cards.push_back(engine::to_json(fit));
    return cards;
}

Json predicted(const MeasuredFile & file) {
    Json row{{"quantization", file.quantization}, {"sha256", file.sha256}};
    try {
        row["cards"] = cards_of(file.file);
    } catch (const Interrupted &) {
        throw;
    } catch (const Error & error) {
        row["error"] = error.what();
    }
    return row;
}

// The files of an earlier document of these versions; empty if there is none, or it is damaged: it is made anew.
Json read_earlier(const fs::path & path) {
    try {
        Json document = fs::exists(path) ? read_json(path) : Json();
        const bool is_current = document.at("shimmy_version") == shimmy_version() &&
                                document.at("llama_cpp_version") == engine::llama_cpp_version();
        return is_current ? document.at("files") : Json::array();
    } catch (const std::exception &) {
        return Json::array();
    }
}

// What `rows` says of the file; null if nothing.
Json known_row(const Json & rows, const MeasuredFile & file) {
    for (const Json & row : rows) {
        if (!row.is_object() || row.value("quantization", Json()) != file.quantization) continue;
        if (file.sha256.empty() || row.value("sha256", Json()) == file.sha256) return row;
    }
    return nullptr;
}

}  // namespace

void predict_cards(const Summary & summary, bool quiet) {
    Progress progress("hardware guide", quiet);
    size_t n_done = 0;
    for (const CampaignModel & model : summary.campaign.models) {
        const fs::path path = summary.campaign.out_dir / "hardware" / (model.name + ".json");
        const Json earlier = read_earlier(path);
        Json files = Json::array();
        for (const MeasuredFile & file : summary.variants) {
            if (file.model != model.name) continue;
            Json row = known_row(earlier, file);
            if (row.is_null() && !file.sha256.empty()) row = predicted(file);
            if (!row.is_null()) files.push_back(std::move(row));
            progress.update(++n_done, summary.variants.size());
        }
        if (files.empty()) continue;
        ensure_writable_dir(path.parent_path());
        const uint32_t n_ctx_train = static_cast<uint32_t>(summary.input(model.name).n_ctx_train);
        write_file_atomic(path, json_text({{"shimmy_version", shimmy_version()},
                                           {"llama_cpp_version", engine::llama_cpp_version()},
                                           {"n_ctx", engine::context_size(load_of(""), n_ctx_train)},
                                           {"vram_method", "modelled"},
                                           {"files", files}}) +
                                    "\n");
    }
}

}  // namespace shimmy::lab
