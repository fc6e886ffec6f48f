#include "report/documents/checklist.h"

#include "report/documents/licenses.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

namespace {

constexpr int N_PROMPTS = 4;
constexpr size_t N_HASH_LETTERS = 12;  // enough to tell files and commits apart

bool has_answered(const lab::Cell & cell, const std::string & prompt_id) {
    return std::any_of(cell.texts.begin(), cell.texts.end(),
                       [&](const lab::AnswerText & text) { return text.prompt_id == prompt_id && !text.is_blank(); });
}

// Has every cell of the model answered the prompt with text? False if there is no cell.
bool is_answered(const lab::Summary & summary, const std::string & model, const std::string & prompt_id) {
    bool found = false;
    for (const lab::Cell & cell : summary.cells) {
        if (cell.model != model) continue;
        if (!has_answered(cell, prompt_id)) return false;
        found = true;
    }
    return found;
}

void add_set_up(const lab::Summary & summary, const lab::CampaignModel & model, Json & checks) {
    checks["files"] = Json::array();
    for (const lab::MeasuredFile * variant : variants_of(summary, model.name))
        checks["files"].push_back(
            {{"type", variant->quantization}, {"sha256", variant->sha256.substr(0, N_HASH_LETTERS)}});
    checks["license_obstacle"] = license_obstacle(model);
    const std::string & arch = summary.input(model.name).arch;
    checks["architecture"] = arch;
    checks["expected_architecture"] = model.expected_architecture;
    checks["as_expected"] = arch == model.expected_architecture;
    checks["path"] = model.path.empty() ? "MODEL.gguf" : model.path.string();
}

void add_prompts(const lab::Summary & summary, const std::string & model, Json & checks) {
    checks["prompts"] = Json::array();
    for (const lab::Prompt & prompt : summary.campaign.prompts)
        checks["prompts"].push_back({{"id", prompt.id}, {"answered", is_answered(summary, model, prompt.id)}});
    checks["n_prompts_wanted"] = N_PROMPTS;
}

void add_streaming(const lab::Summary & summary, const std::string & model, Json & checks) {
    bool streamed = false;
    bool same = true;
    bool whole = true;
    for (const lab::StreamingComparison & line : summary.streaming) {
        if (line.model != model) continue;
        streamed = true;
        same = same && line.n_same_text == line.total_percent.n;
        whole = whole && line.n_sse_defects == 0;
    }
    checks["streamed"] = streamed;
    checks["same_streamed"] = streamed && same;
    checks["whole_streams"] = streamed && whole;
}

void add_memory(const lab::Summary & summary, const std::string & model, Json & checks) {
    const size_t n_expected = variants_of(summary, model).size() * (summary.campaign.placements.size() - 1);
    const auto rows = rows_of(summary, model);
    const auto saves = [](const lab::Row * row) { return row->saved_bytes() > 0; };
    checks["vram_measured"] = n_expected > 0 && rows.size() == n_expected;
    checks["vram_saved"] = !rows.empty() && std::all_of(rows.begin(), rows.end(), saves);
}

void add_soundness(const lab::Summary & summary, const Quality & quality, const std::string & model, Json & checks) {
    const auto files = variants_of(summary, model);
    const auto sound = [&](const lab::MeasuredFile * file) {
        const OffloadFigures * offload = quality.offload_of(model, file->quantization);
        return offload != nullptr && offload->within_bound;
    };
    const auto of_model = [&](const lab::MissingRun & run) { return run.model == model; };
    checks["complete"] = std::none_of(summary.missing.begin(), summary.missing.end(), of_model);
    checks["offload_sound"] = !files.empty() && std::all_of(files.begin(), files.end(), sound);
    checks["device"] = markdown_text(summary.conditions.device.description);
}

// `user/name`, with the branch or pull request if it is not on main.
std::string place_of(const PublishedRepository & repository) {
    const std::string & revision = repository.revision;
    const std::string repo = fmt::format("`{}`", repository.repo);
    return revision.empty() || revision == "main" ? repo : fmt::format("{} at `{}`", repo, revision);
}

void add_publishing(const Publication & publication, const std::string & model, Json & checks) {
    checks["repositories"] = Json::array();
    for (const PublishedRepository * repository : publication.of(model)) {
        Json seen = Json::array();
        for (const PublishedRepository::Check & check : repository->checks)
            seen.push_back({{"what", check.what}, {"passed", check.passed}});
        checks["repositories"].push_back({{"place", place_of(*repository)},
                                          {"commit", repository->commit.substr(0, N_HASH_LETTERS)},
                                          {"checks", seen}});
    }
}

}  // namespace

Json checklist_values(const lab::Summary & summary, const Quality & quality, const Publication & publication,
                      const std::string & model) {
    Json checks;
    add_set_up(summary, summary.model(model), checks);
    add_prompts(summary, model, checks);
    add_streaming(summary, model, checks);
    add_memory(summary, model, checks);
    add_soundness(summary, quality, model, checks);
    add_publishing(publication, model, checks);
    return checks;
}

}  // namespace shimmy::report
