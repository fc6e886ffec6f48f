#include "hub/download/model_header.h"

#include "hub/api/model_files.h"

#include <fmt/format.h>

namespace shimmy::hub {

ModelHeader find_header(const Environment & environment, const ModelName & name, const std::string & quantization,
                        const Note & note) {
    const std::string & repo = name.repo;
    const bool is_exact = !name.quantization.empty();
    const std::string & wanted = is_exact ? name.quantization : quantization;
    const auto cached = find_in_cache(environment, {repo, wanted, name.revision});
    const auto from_cache = [&] {
        const fs::path & first = cached->files.front();
        return ModelHeader{first, fmt::format("{}/{}", repo, first.filename().string()), nullptr};
    };
    if (environment.offline && cached) return from_cache();
    const Api api(environment, note);
    if (cached && find_commit(api, repo, name.revision) == cached->commit) return from_cache();
    const std::vector<std::string> models = list_models(api, repo, name.revision);
    const std::string file = is_exact ? choose_exact_model(models, wanted, repo) : choose_model(models, wanted, repo);
    auto remote = std::make_unique<RemoteGguf>(api, repo, file, name.revision);
    const fs::path path = remote->path();
    return {path, fmt::format("{}/{}", repo, file), std::move(remote)};
}

}  // namespace shimmy::hub
