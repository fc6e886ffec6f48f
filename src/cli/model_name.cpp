#include "cli/model_name.h"

#include "base/process/progress.h"
#include "library/resolve.h"

namespace shimmy::cli {

hub::PulledModel pull_with_progress(const std::string & name, bool quiet) {
    const hub::ModelName model = hub::parse_model_name(name);
    Progress progress("downloading " + model.repo, quiet, /*bytes=*/true);
    return hub::checking_answers([&] {
        return hub::pull_model(
            hub::read_environment(), model, [&](const std::string & line) { progress.note(line); },
            [&](uint64_t done, uint64_t total) { progress.update(done, total); });
    });
}

fs::path model_file(const std::string & file_or_name, const Globals & globals) {
    if (!hub::is_hub_name(file_or_name)) return library::resolve(file_or_name, globals.model_dirs);
    return pull_with_progress(file_or_name, globals.json).files.front();
}

}  // namespace shimmy::cli
