#include "report/documents/card_repos.h"

#include "report/figures/selection.h"

namespace shimmy::report {

std::string repo_name(const std::string & model, const std::string & quantization) {
    return model + (quantization.empty() ? "" : "-" + quantization) + "-GGUF";
}

std::vector<CardRepo> card_repos(const lab::Summary & summary) {
    std::vector<CardRepo> repos;
    const bool per_model = summary.campaign.layout == lab::CardLayout::per_model;
    for (const lab::CampaignModel & model : summary.campaign.models) {
        if (model.is_synthetic()) continue;
        const std::string & name = model.name;
        std::vector<std::string> types;
        for (const lab::MeasuredFile * variant : variants_of(summary, name))
            types.push_back(variant->quantization);
        if (per_model && !types.empty()) repos.push_back({repo_name(name, ""), name, types});
        for (size_t i = 0; !per_model && i < types.size(); ++i)
            repos.push_back({repo_name(name, types[i]), name, {types[i]}});
    }
    const std::string & owner = summary.campaign.repo_owner;
    for (CardRepo & repo : repos)
        repo.id = owner.empty() ? "" : owner + "/" + repo.name;
    return repos;
}

}  // namespace shimmy::report
