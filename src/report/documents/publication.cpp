#include "report/documents/publication.h"

#include "base/error.h"

#include <algorithm>

namespace shimmy::report {

namespace {

// The hash that the summary has for this model file.
bool is_measured(const Json & summary, const Json & repository, const Json & measured) {
    return std::any_of(summary["variants"].begin(), summary["variants"].end(), [&](const Json & variant) {
        return variant["model"] == repository.at("model") && variant["quantization"] == measured.at("quantization") &&
               variant["model_sha256"] == measured.at("model_sha256");
    });
}

}  // namespace

fs::path publication_file(const fs::path & out_dir) {
    return out_dir / "publish.json";
}

Publication::Publication(const Json & summary, const fs::path & out_dir) {
    const fs::path file = publication_file(out_dir);
    if (!fs::exists(file)) return;
    try {
        const Json document = read_json(file);
        for (const Json & repository : document.at("repositories")) {
            const Json & measured = repository.at("measured");
            const bool current = std::all_of(measured.begin(), measured.end(), [&](const Json & entry) {
                return is_measured(summary, repository, entry);
            });
            if (current) repositories_.push_back(repository);
        }
    } catch (const Json::exception & error) {
        fail("{}: is damaged ({}): remove it and publish again, which sends nothing that is there", file.string(),
             error.what());
    }
}

std::vector<const Json *> Publication::of(const std::string & model) const {
    std::vector<const Json *> found;
    for (const Json & repository : repositories_) {
        if (repository["model"] == model) found.push_back(&repository);
    }
    return found;
}

}  // namespace shimmy::report
