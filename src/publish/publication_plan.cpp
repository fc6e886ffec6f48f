#include "publish/publication_plan.h"

#include "base/error.h"
#include "engine/layout/quantization.h"
#include "engine/make/split.h"
#include "hub/api/api.h"
#include "hub/api/model_files.h"
#include "lab/plan/hasher.h"
#include "library/names.h"
#include "report/documents/licenses.h"

#include <algorithm>
#include <set>

namespace shimmy::publish {

namespace {

constexpr size_t MAX_LISTED_RUNS = 3;
constexpr const char * SUFFIX = "-GGUF";

// A run that failed or is missing says that the campaign's figures are not whole.
void add_missing_runs(const lab::Summary & summary, const std::string & rerun, std::vector<std::string> & obstacles) {
    const std::vector<lab::MissingRun> & missing = summary.missing;
    if (missing.empty()) return;
    std::string first;
    for (size_t i = 0; i < std::min(missing.size(), MAX_LISTED_RUNS); ++i) {
        first += fmt::format("{}{} ({})", i == 0 ? "" : "; ", missing[i].what, missing[i].reason);
    }
    obstacles.push_back(fmt::format("{} runs of the campaign failed or are missing: {}{}: {}", missing.size(), first,
                                    missing.size() > MAX_LISTED_RUNS ? "; …" : "", lab::rerun_command(summary, rerun)));
}

std::vector<report::CardRepo> chosen_repos(const lab::Summary & summary, const PlanOptions & options) {
    std::vector<report::CardRepo> chosen;
    for (report::CardRepo repo : report::card_repos(summary)) {
        if (!options.model.empty() && repo.model != options.model) continue;
        std::erase_if(repo.quantizations, [&](const std::string & type) {
            return !options.quantizations.empty() &&
                   std::find(options.quantizations.begin(), options.quantizations.end(), type) ==
                       options.quantizations.end();
        });
        if (!repo.quantizations.empty()) chosen.push_back(std::move(repo));
    }
    return chosen;
}

// --repo USER/NAME: NAME itself for one repository of a model, "NAME-Q4_K_M-GGUF" for one per quantization.
void name_repos(const lab::Summary & summary, const PlanOptions & options, std::vector<report::CardRepo> & repos) {
    const bool per_model = summary.campaign.layout == lab::CardLayout::per_model;
    std::set<std::string> models;
    for (const report::CardRepo & repo : repos)
        models.insert(repo.model);
    if (!options.name.empty() && models.size() > 1) {
        fail_usage("--repo {}/{} is one model's, and the campaign has {}: add --model NAME, or give --repo {}",
                   options.owner, options.name, fmt::join(models, ", "), options.owner);
    }
    std::string stem = options.name;
    if (stem.ends_with(SUFFIX)) stem.resize(stem.size() - std::string(SUFFIX).size());
    for (report::CardRepo & repo : repos) {
        if (!options.name.empty())
            repo.name = per_model ? options.name : report::repo_name(stem, repo.quantizations.front());
        repo.id = options.owner + "/" + repo.name;
        hub::check_repo_id(repo.id, "--repo");
    }
}

class Planner {
public:
    Planner(const lab::CampaignPlan & campaign, const PlanOptions & options)
        : campaign_(campaign), options_(options), hasher_(campaign.campaign, options.quiet) {}

    PlannedModel plan(const report::CardRepo & repo, const std::string & quantization, PublicationPlan & out) {
        const lab::MeasuredFile & variant = out.summary.variant(repo.model, quantization);
        PlannedModel model;
        model.quantization = quantization;
        model.model_sha256 = variant.sha256;
        const fs::path first = find_file(variant.file);
        if (!fs::is_regular_file(first)) {
            out.obstacles.push_back(fmt::format("{}: is not there: {}", first.string(), options_.rerun_command));
            return model;
        }
        model.files = library::model_files(first);
        const std::string now = hasher_.sha256(first);
        if (now != model.model_sha256) {
            out.obstacles.push_back(fmt::format(
                "{}: is not the file that was measured (its sha256 is {}…, the results have {}…): put that "
                "file back, or measure this one: {}",
                first.string(), now.substr(0, 12), model.model_sha256.substr(0, 12), options_.rerun_command));
            return model;
        }
        if (repo.quantizations.size() > 1 && !hub::names_quantization(first.filename().string(), quantization)) {
            out.obstacles.push_back(
                fmt::format("{}: the name does not say {}, and a repository with several files is chosen from by it: "
                            "rename the file and its path in the campaign",
                            first.string(), quantization));
        }
        for (const std::string & other : repo.quantizations) {
            if (other != quantization && hub::names_quantization(first.filename().string(), other))
                out.obstacles.push_back(fmt::format(
                    "{}: the name says {}, too, so that nobody could choose {} from the repository: name {} "
                    "otherwise in the campaign ('_' in place of '-' will do)",
                    first.string(), other, other, quantization));
        }
        split(model, out);
        return model;
    }

    void save() { hasher_.save(); }

private:
    // A campaign's folder may have been moved, or made from another folder.
    fs::path find_file(const fs::path & measured) const {
        const fs::path here = campaign_.campaign.out_dir / "models" / measured.filename();
        return !fs::is_regular_file(measured) && fs::is_regular_file(here) ? here : measured;
    }

    void split(PlannedModel & model, PublicationPlan & out) const {
        if (model.files.size() == 1) {
            model.part_bytes = engine::plan_split(model.files.front(), options_.max_file_bytes);
            return;
        }
        for (const fs::path & file : model.files) {
            model.part_bytes.push_back(fs::file_size(file));
            if (model.part_bytes.back() > options_.max_file_bytes)
                out.obstacles.push_back(
                    fmt::format("{}: is a part of a split model and larger than --max-file-size: join "
                                "the parts (llama-gguf-split --merge) and measure that file",
                                file.string()));
        }
    }

    const lab::CampaignPlan & campaign_;
    const PlanOptions & options_;
    lab::Hasher hasher_;
};

void add_notes(const PublicationPlan & plan, std::vector<std::string> & notes) {
    if (plan.summary.conditions.device.software)
        notes.push_back("the speeds are of a software device, not of a GPU; the card says so");
    std::set<std::string> named;
    for (const PlannedRepository & repository : plan.repositories) {
        const lab::CampaignModel & model = plan.summary.model(repository.card.model);
        if (model.license != report::OTHER_LICENSE || !named.insert(repository.card.model).second) continue;
        notes.push_back(fmt::format("shimmy cannot tell whether the license of {} ({}) allows publishing it: read {}",
                                    repository.card.model, model.license_name.empty() ? "no name" : model.license_name,
                                    model.license_link.empty() ? "it" : model.license_link));
    }
}

void keep_distinct(std::vector<std::string> & lines) {
    std::set<std::string> seen;
    std::erase_if(lines, [&](const std::string & line) { return !seen.insert(line).second; });
}

}  // namespace

PublicationPlan plan_publication(const lab::CampaignPlan & campaign, const PlanOptions & options) {
    PublicationPlan plan;
    plan.summary = lab::summarize_campaign(campaign);
    plan.templates = options.templates;
    if (options.layout) plan.summary.campaign.layout = *options.layout;
    std::vector<report::CardRepo> repos = chosen_repos(plan.summary, options);
    if (repos.empty()) {
        fail_usage("nothing of the campaign is to be published: {}",
                   options.model.empty() && options.quantizations.empty()
                       ? "its models are synthetic, with random weights"
                       : "--model and --quant choose nothing that it has");
    }
    name_repos(plan.summary, options, repos);
    add_missing_runs(plan.summary, options.rerun_command, plan.obstacles);
    const report::Quality quality(plan.summary, campaign.campaign.out_dir);
    Planner planner(campaign, options);
    for (const report::CardRepo & repo : repos) {
        for (const std::string & obstacle : report::card_obstacles(plan.summary, quality, repo, options.rerun_command))
            plan.obstacles.push_back(fmt::format("the card of {}: {}", repo.model, obstacle));
        PlannedRepository repository{repo, {}};
        for (const std::string & quantization : repo.quantizations)
            repository.models.push_back(planner.plan(repo, quantization, plan));
        plan.repositories.push_back(std::move(repository));
    }
    planner.save();
    keep_distinct(plan.obstacles);
    add_notes(plan, plan.notes);
    return plan;
}

}  // namespace shimmy::publish
