#include "library/resolve.h"

#include "base/error.h"
#include "base/text/text.h"
#include "library/names.h"

#include <algorithm>

namespace shimmy::library {

namespace {

constexpr size_t MAX_SUGGESTIONS = 3;

bool looks_like_a_file(const std::string & text) {
    return text.ends_with(".gguf") || text.starts_with('/') || text.starts_with("./") || text.starts_with("../") ||
           text.starts_with('~');
}

// What the scan said about Ollama's model of this name, which cannot be used; "" if it said nothing.
std::string warning_about(const std::string & wanted, const std::vector<std::string> & warnings) {
    std::string path = "/" + wanted;
    std::replace(path.begin(), path.end(), ':', '/');
    for (const std::string & warning : warnings) {
        const std::string text = lower(warning);
        if (text.find(path + ": ") != std::string::npos || text.find(path + "/latest: ") != std::string::npos)
            return warning;
    }
    return "";
}

const FoundModel * find_model(const std::vector<FoundModel> & models, const std::string & wanted) {
    for (const std::string & name : {wanted, wanted + ":latest"}) {
        const auto found =
            std::find_if(models.begin(), models.end(), [&](const FoundModel & model) { return model.name == name; });
        if (found != models.end()) return &*found;
    }
    return nullptr;
}

}  // namespace

std::vector<std::string> nearest_names(const std::string & wanted, const std::vector<std::string> & names,
                                       size_t count) {
    struct Candidate {
        bool holds = false;
        size_t distance = 0;
        std::string name;
    };
    std::vector<Candidate> candidates;
    for (const std::string & name : names) {
        const Candidate candidate{name.find(wanted) != std::string::npos, edit_distance(wanted, name), name};
        // Half the letters wrong is another word.
        if (candidate.holds || candidate.distance * 2 <= std::max(wanted.size(), name.size()))
            candidates.push_back(candidate);
    }
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate & a, const Candidate & b) {
        return a.holds != b.holds ? a.holds : a.distance < b.distance;
    });
    std::vector<std::string> result;
    for (const Candidate & candidate : candidates) {
        if (result.size() < count) result.push_back(candidate.name);
    }
    return result;
}

std::optional<fs::path> find_named(const std::string & name, const std::string & dirs) {
    return find_named(name, dirs, read_environment());
}

std::optional<fs::path> find_named(const std::string & name, const std::string & dirs,
                                   const Environment & environment) {
    const Scan found = scan(search_dirs(environment, dirs));
    const FoundModel * model = find_model(found.models, normalized_name(name));
    return model == nullptr ? std::nullopt : std::optional(model->path);
}

fs::path resolve(const std::string & name_or_path, const std::string & dirs) {
    return resolve(name_or_path, dirs, read_environment());
}

fs::path resolve(const std::string & name_or_path, const std::string & dirs, const Environment & environment) {
    std::error_code ignored;
    const bool exists = fs::exists(name_or_path, ignored);
    if (exists && !fs::is_directory(name_or_path, ignored)) return name_or_path;
    if (looks_like_a_file(name_or_path))
        fail("{}: {}", name_or_path, exists ? "is a folder, not a model" : "no such file");

    const Scan found = scan(search_dirs(environment, dirs));
    const std::string wanted = normalized_name(name_or_path);
    if (const FoundModel * model = find_model(found.models, wanted)) return model->path;
    std::vector<std::string> names;
    const std::string warning = warning_about(wanted, found.warnings);
    if (!warning.empty()) fail("'{}' cannot be used: {}", name_or_path, warning);
    for (const FoundModel & model : found.models)
        names.push_back(model.name);
    if (names.empty()) {
        fail(
            "'{}' is neither a file nor a model, and no models were found (`shimmy discover` says where they are "
            "looked for)",
            name_or_path);
    }
    const std::vector<std::string> nearest = nearest_names(wanted, names, MAX_SUGGESTIONS);
    if (nearest.empty())
        fail("'{}' is neither a file nor the name of a model (`shimmy list` shows the names)", name_or_path);
    fail("'{}' is neither a file nor the name of a model; did you mean {}?", name_or_path, fmt::join(nearest, " or "));
}

}  // namespace shimmy::library
