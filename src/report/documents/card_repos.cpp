#include "report/documents/card_repos.h"

#include "report/text/text.h"

namespace shimmy::report {

std::string repo_name(const std::string & model, const std::string & quantization) {
    return model + (quantization.empty() ? "" : "-" + quantization) + "-GGUF";
}

std::vector<CardRepo> card_repos(const Json & summary) {
    std::vector<CardRepo> repos;
    const bool per_model = text_of(summary, "layout") == "per-model";
    for (const Json & model : summary["models"]) {
        if (model["shape"].is_string()) continue;
        const std::string name = model["name"];
        std::vector<std::string> types;
        for (const Json & variant : summary["variants"]) {
            if (variant["model"] == name) types.push_back(variant["quantization"]);
        }
        if (per_model && !types.empty()) repos.push_back({repo_name(name, ""), name, types});
        for (size_t i = 0; !per_model && i < types.size(); ++i)
            repos.push_back({repo_name(name, types[i]), name, {types[i]}});
    }
    const std::string owner = text_or(summary, "repo_owner", "");
    for (CardRepo & repo : repos)
        repo.id = owner.empty() ? "" : owner + "/" + repo.name;
    return repos;
}

}  // namespace shimmy::report
