// shimmy lab status: how far a campaign is, while it runs and after.
#include "base/json.h"
#include "cli/lab/lab_commands.h"
#include "lab/plan/campaign_plan.h"
#include "lab/plan/plan_file.h"
#include "lab/run/real_hooks.h"
#include "lab/run/run_state.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

namespace shimmy::cli {

namespace {

// Runs of one model and quantization, by state.
struct Counts {
    size_t n_runs = 0;
    size_t n_valid = 0;
    size_t n_failed = 0;

    size_t n_to_do() const { return n_runs - n_valid - n_failed; }
};

Counts count(const lab::CampaignPlan & plan, size_t variant) {
    Counts counts;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        if (plan.runs[i].variant != variant) continue;
        ++counts.n_runs;
        counts.n_valid += plan.results[i].state == lab::ResultState::valid ? 1 : 0;
        counts.n_failed += plan.results[i].state == lab::ResultState::failed ? 1 : 0;
    }
    return counts;
}

Counts total(const lab::CampaignPlan & plan) {
    Counts sum;
    for (size_t variant = 0; variant < plan.variants.size(); ++variant) {
        const Counts counts = count(plan, variant);
        sum.n_runs += counts.n_runs;
        sum.n_valid += counts.n_valid;
        sum.n_failed += counts.n_failed;
    }
    return sum;
}

Json to_json(const Counts & counts) {
    return {{"n_runs", counts.n_runs},
            {"n_valid", counts.n_valid},
            {"n_failed", counts.n_failed},
            {"n_to_do", counts.n_to_do()}};
}

Json running_json(const std::optional<lab::RunState> & state) {
    if (!state) return nullptr;
    return {{"pid", state->pid},
            {"host", state->host},
            {"phase", state->phase},
            {"current", state->current},
            {"n_done", state->n_done},
            {"n_total", state->n_total},
            {"started_at", state->started_at},
            {"current_started_at", state->current_started_at},
            {"left_ms", state->left_s ? Json(*state->left_s * 1000.0) : Json(nullptr)}};
}

Json status_document(const lab::CampaignPlan & plan, const std::optional<lab::RunState> & state) {
    Json document{{"campaign", plan.campaign.name}, {"out_dir", plan.campaign.out_dir.string()}};
    document.update(to_json(total(plan)));
    document["running"] = running_json(state);
    document["variants"] = Json::array();
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        Json entry{{"model", plan.variants[i].model}, {"quantization", plan.variants[i].quantization}};
        entry.update(to_json(count(plan, i)));
        entry["error"] = plan.errors[i].empty() ? Json(nullptr) : Json(plan.errors[i]);
        document["variants"].push_back(std::move(entry));
    }
    document["failed"] = Json::array();
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        if (plan.results[i].state == lab::ResultState::failed)
            document["failed"].push_back({{"run", plan.describe_run(i)}, {"reason", plan.results[i].reason}});
    }
    return document;
}

const char * unit_of(const std::string & phase) {
    if (phase == "quantize") return "file";
    return phase == "quality" ? "quality of file" : "run";
}

void print_running(const lab::RunState & state) {
    fmt::print("running since {} (process {} on {}): {} {} of {}: {}, since {}", state.started_at, state.pid,
               state.host, unit_of(state.phase), state.n_done + 1, state.n_total, state.current,
               state.current_started_at);
    if (state.left_s) fmt::print("; about {:.0f} min left", *state.left_s / 60.0);
    fmt::print("\n");
}

void print_status(const lab::CampaignPlan & plan, const std::optional<lab::RunState> & state) {
    const Counts all = total(plan);
    fmt::print("campaign {} in {}: {} of {} runs done, {} failed, {} to do\n", plan.campaign.name,
               plan.campaign.out_dir.string(), all.n_valid, all.n_runs, all.n_failed, all.n_to_do());
    if (state) {
        print_running(*state);
    } else {
        fmt::print("not running\n");
    }
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        const Counts counts = count(plan, i);
        fmt::print("  {} {}: {} of {}{}\n", plan.variants[i].model, plan.variants[i].quantization, counts.n_valid,
                   counts.n_runs, counts.n_failed > 0 ? fmt::format(", {} failed", counts.n_failed) : "");
    }
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        if (plan.results[i].state == lab::ResultState::failed)
            fmt::print("failed: {}: {}\n", plan.describe_run(i), plan.results[i].reason);
    }
}

}  // namespace

void add_lab_status(Commands & commands, CLI::App * lab) {
    auto campaign = std::make_shared<LabCampaign>();
    CLI::App * status = commands.add(
        "status", "show the progress of a campaign, also while it runs",
        [campaign, &commands] {
            const lab::Campaign now = campaign->read();
            const fs::path out_dir = now.out_dir;
            const lab::CampaignPlan plan = lab::read_plan_for(now, lab::read_input_info);
            const std::optional<lab::RunState> state = lab::read_run_state(out_dir);
            if (commands.globals().json) {
                fmt::print("{}\n", json_text(status_document(plan, state)));
            } else {
                print_status(plan, state);
            }
            return 0;
        },
        lab);
    add_campaign_options(*status, *campaign);
}

}  // namespace shimmy::cli
