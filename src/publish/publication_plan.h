// What of a campaign is to be published where, and what stands against it.
#pragma once

#include "lab/measure/summary.h"
#include "lab/plan/campaign_plan.h"
#include "report/documents/card.h"
#include "report/figures/quality.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::publish {

struct PlanOptions {
    std::string owner;                       // user or organisation
    std::string name;                        // of the repository; empty: from the campaign's model
    std::string model;                       // only this one of the campaign; empty: all
    std::vector<std::string> quantizations;  // only these; empty: all
    std::optional<lab::CardLayout> layout;   // none: the campaign's
    uint64_t max_file_bytes = 0;             // larger files are split
    std::string rerun_command;               // makes the runs that are missing
    report::Templates templates;             // of the cards
    bool quiet = false;
};

// A model file that is to be published.
struct PlannedModel {
    std::string quantization;
    std::string model_sha256;          // that its results were measured on
    std::vector<fs::path> files;       // as it is here: one, or the parts of a split model
    std::vector<uint64_t> part_bytes;  // as it is published; several of one file: it is to be split
    bool to_be_split() const { return part_bytes.size() > files.size(); }
};

struct PlannedRepository {
    report::CardRepo card;  // its `id` is where it goes
    std::vector<PlannedModel> models;
};

struct PublicationPlan {
    lab::Summary summary;  // with the layout that was chosen
    report::Templates templates;
    std::vector<PlannedRepository> repositories;
    // Each with what to do about it; if there is one, nothing may be published.
    std::vector<std::string> obstacles;
    std::vector<std::string> notes;  // what a person should know before
};

// Reads every model file that is not in the campaign's cache of hashes. Throws UsageError if the options fit no
// repository of the campaign.
PublicationPlan plan_publication(const lab::CampaignPlan & campaign, const PlanOptions & options);

}  // namespace shimmy::publish
