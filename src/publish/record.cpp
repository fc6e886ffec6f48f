#include "publish/record.h"

#include "report/documents/publication.h"

namespace shimmy::publish {

namespace {

Json stored_record(const fs::path & file) {
    if (!fs::exists(file)) return {{"repositories", Json::array()}};
    Json stored = read_json(file);
    const bool whole = stored.is_object() && stored.contains("repositories") && stored["repositories"].is_array();
    return whole ? stored : Json{{"repositories", Json::array()}};
}

bool is_same_place(const Json & a, const Json & b) {
    for (const char * key : {"endpoint", "repo", "revision"}) {
        if (!a.is_object() || a.value(key, "") != b.value(key, "")) return false;
    }
    return true;
}

}  // namespace

Json record_of(const PlannedRepository & repository, const Package & package, const Outcome & outcome,
               const std::string & endpoint) {
    Json files = Json::array();
    for (const hub::NewFile & file : package.files)
        files.push_back({{"path", file.path}, {"size_bytes", file.size_bytes}, {"sha256", file.sha256}});
    Json measured = Json::array();
    for (const PlannedModel & model : repository.models)
        measured.push_back({{"quantization", model.quantization}, {"model_sha256", model.model_sha256}});
    Json checks = Json::array();
    for (const hub::Check & check : outcome.checks) {
        checks.push_back({{"what", check.what},
                          {"passed", check.passed},
                          {"reason", check.reason.empty() ? Json(nullptr) : Json(check.reason)}});
    }
    const std::string & pull_request = outcome.commit.pull_request_url;
    return {{"repo", package.repo},
            {"endpoint", endpoint},
            {"model", repository.card.model},
            {"revision", outcome.commit.revision},
            {"commit", outcome.commit.oid},
            {"url", page_url(endpoint, package.repo, outcome.commit)},
            {"pull_request_url", pull_request.empty() ? Json(nullptr) : Json(pull_request)},
            {"files", files},
            {"measured", measured},
            {"checks", checks}};
}

void write_record(const fs::path & out_dir, const Json & record) {
    const fs::path file = report::publication_file(out_dir);
    Json document = stored_record(file);
    Json & repositories = document["repositories"];
    bool replaced = false;
    for (Json & entry : repositories) {
        if (!is_same_place(entry, record)) continue;
        entry = record;
        replaced = true;
    }
    if (!replaced) repositories.push_back(record);
    write_file_atomic(file, json_text(document) + "\n");
}

}  // namespace shimmy::publish
