#include "report/documents/publication.h"

#include "base/error.h"
#include "base/json.h"

#include <algorithm>

namespace shimmy::report {

namespace {

// The hash that the summary has for this model file.
bool is_measured(const lab::Summary & summary, const Json & repository, const Json & measured) {
    return std::any_of(summary.variants.begin(), summary.variants.end(), [&](const lab::MeasuredFile & variant) {
        return repository.at("model") == variant.model && measured.at("quantization") == variant.quantization &&
               measured.at("model_sha256") == variant.sha256;
    });
}

PublishedRepository read_repository(const Json & json) {
    PublishedRepository repository{
        json.at("repo"), json.at("model"), json.value("revision", ""), json.at("commit"), {}};
    for (const Json & check : json.at("checks"))
        repository.checks.push_back({check.at("what"), check.value("passed", false)});
    return repository;
}

}  // namespace

fs::path publication_file(const fs::path & out_dir) {
    return out_dir / "publish.json";
}

Publication::Publication(const lab::Summary & summary, const fs::path & out_dir) {
    const fs::path file = publication_file(out_dir);
    if (!fs::exists(file)) return;
    try {
        const Json document = read_json(file);
        for (const Json & repository : document.at("repositories")) {
            const Json & measured = repository.at("measured");
            const bool current = std::all_of(measured.begin(), measured.end(), [&](const Json & entry) {
                return is_measured(summary, repository, entry);
            });
            if (current) repositories_.push_back(read_repository(repository));
        }
    } catch (const Json::exception & error) {
        fail("{}: is damaged ({}): remove it and publish again, which sends nothing that is there", file.string(),
             error.what());
    }
}

std::vector<const PublishedRepository *> Publication::of(const std::string & model) const {
    std::vector<const PublishedRepository *> found;
    for (const PublishedRepository & repository : repositories_) {
        if (repository.model == model) found.push_back(&repository);
    }
    return found;
}

}  // namespace shimmy::report
