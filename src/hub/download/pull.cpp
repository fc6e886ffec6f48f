#include "hub/download/pull.h"

#include "base/text/units.h"
#include "hub/api/model_files.h"
#include "hub/download/download.h"

#include <algorithm>

namespace shimmy::hub {

namespace {

constexpr const char * PREFIX = "hf:";

std::vector<RemoteFile> files_of_model(const std::vector<RemoteFile> & tree, const ModelName & name) {
    std::vector<std::string> paths;
    for (const RemoteFile & file : tree)
        paths.push_back(file.path);
    const std::vector<std::string> models = models_among(paths);
    if (models.empty()) fail("{}: holds no GGUF model", name.repo);
    std::vector<RemoteFile> files;
    for (const std::string & part : parts_of(choose_exact_model(models, name.quantization, name.repo))) {
        const auto found =
            std::find_if(tree.begin(), tree.end(), [&](const RemoteFile & file) { return file.path == part; });
        if (found == tree.end()) fail("{}: {} is missing: the model is not whole", name.repo, part);
        files.push_back(*found);
    }
    return files;
}

void check_cache(const fs::path & dir) {
    try {
        ensure_writable_dir(dir);
    } catch (const Error & error) {
        fail("{}: set HF_HOME to a folder that can be written", error.what());
    }
}

void check_room(const fs::path & dir, uint64_t missing_bytes) {
    const uint64_t free_bytes = free_disk_bytes(dir);
    if (missing_bytes > free_bytes) {
        fail("{}: {} are to be downloaded and {} are free: set HF_HOME to a folder on a larger disk", dir.string(),
             format_bytes(missing_bytes), format_bytes(free_bytes));
    }
}

}  // namespace

bool is_hub_name(const std::string & text) {
    return text.starts_with(PREFIX);
}

ModelName parse_model_name(const std::string & text) {
    ModelName name;
    name.repo = text.starts_with(PREFIX) ? text.substr(std::string(PREFIX).size()) : text;
    const size_t colon = name.repo.find(':');
    if (colon != std::string::npos) {
        name.quantization = name.repo.substr(colon + 1);
        name.repo.resize(colon);
        if (name.quantization.empty()) fail_usage("'{}': no quantization behind the ':'", text);
    }
    const size_t at = name.repo.find('@');
    if (at != std::string::npos) {
        name.revision = name.repo.substr(at + 1);
        name.repo.resize(at);
        if (name.revision.empty()) fail_usage("'{}': no revision behind the '@'", text);
    }
    check_repo_id(name.repo, "model '" + text + "'");
    return name;
}

std::optional<PulledModel> find_in_cache(const Environment & environment, const ModelName & name) {
    const RepositoryCache cache(environment.cache_dir, name.repo);
    PulledModel model;
    model.commit = cache.commit_of(name.revision).value_or("");
    if (model.commit.empty()) return std::nullopt;
    const std::vector<std::string> files = cache.files_of(model.commit);
    const std::vector<std::string> models = models_among(files);
    std::string first;
    try {
        first = choose_exact_model(models, name.quantization, name.repo);
    } catch (const Error &) {
        return std::nullopt;
    }
    for (const std::string & part : parts_of(first)) {
        if (std::find(files.begin(), files.end(), part) == files.end()) return std::nullopt;
        model.files.push_back(cache.snapshot_path(model.commit, part));
        model.size_bytes += fs::file_size(model.files.back());
    }
    return model;
}

namespace {

PulledModel pull_from_hub(const Environment & environment, const ModelName & name, const Note & note,
                          const ByteProgress & progress) {
    // Without a network, what is here is used at once.
    const bool is_here = find_in_cache(environment, name).has_value();
    const Api api(environment, note);
    const auto commit = find_commit(is_here ? Api(environment, note, /*max_waits=*/0) : api, name.repo, name.revision);
    if (!commit) {
        const std::string at = name.revision == MAIN ? "" : "@" + name.revision;
        fail("{}{}: not found on {}: check the name{}", name.repo, at, environment.endpoint,
             environment.token.empty() ? ", and set HF_TOKEN if it is private" : "");
    }
    const std::vector<RemoteFile> files = files_of_model(list_files(api, name.repo, *commit), name);
    const RepositoryCache cache(environment.cache_dir, name.repo);
    PulledModel model;
    model.commit = *commit;
    uint64_t missing_bytes = 0;
    for (const RemoteFile & file : files) {
        model.size_bytes += file.size_bytes;
        missing_bytes += missing_bytes_of(cache, file);
    }
    if (missing_bytes > 0) check_cache(environment.cache_dir);
    check_room(environment.cache_dir, missing_bytes);
    uint64_t before_bytes = 0;
    for (const RemoteFile & file : files) {
        model.fetched_bytes += download(api, name.repo, *commit, file, cache, [&](uint64_t done, uint64_t) {
            if (progress) progress(before_bytes + done, model.size_bytes);
        });
        before_bytes += file.size_bytes;
        model.files.push_back(cache.snapshot_path(*commit, file.path));
    }
    cache.set_commit(name.revision, *commit);
    return model;
}

}  // namespace

PulledModel pull_model(const Environment & environment, const ModelName & name, const Note & note,
                       const ByteProgress & progress) {
    if (environment.offline) {
        if (auto model = find_in_cache(environment, name)) return *model;
        fail("{}: HF_HUB_OFFLINE is set, and {} does not have it whole", name.repo, environment.cache_dir.string());
    }
    try {
        return pull_from_hub(environment, name, note, progress);
    } catch (const TransportError & error) {
        auto model = find_in_cache(environment, name);
        if (!model) throw;
        if (note) note(fmt::format("{}: what was downloaded before is used", error.what()));
        return *model;
    }
}

}  // namespace shimmy::hub
