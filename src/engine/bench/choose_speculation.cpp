#include "engine/bench/choose_speculation.h"

#include "engine/bench/bench.h"
#include "engine/load/load_params.h"
#include "engine/run/model.h"
#include "engine/speculate/speculation_trial.h"

#include <algorithm>

#include <fmt/format.h>

namespace shimmy::engine {

namespace {

constexpr size_t PROMPT_BYTES = 1000;  // some 250 tokens: n-grams to find
constexpr int MAX_ANSWER_TOKENS = 400;
constexpr const char * DRAFT_FLAG = "--model-draft";

bool has_draft_model(const std::vector<std::string> & args) {
    return std::find(args.begin(), args.end(), DRAFT_FLAG) != args.end();
}

void remove_draft_model(std::vector<std::string> & args) {
    const auto flag = std::find(args.begin(), args.end(), DRAFT_FLAG);
    if (flag != args.end()) args.erase(flag, flag + 2);
}

// As much of the built-in text as leaves three quarters of the context to the answer, which is what is measured: 384
// tokens of 512 are enough for two kinds.
TokenPrompt trial_prompt(const Model & model) {
    TokenPrompt prompt{model.tokenize(std::string(bench_text().substr(0, PROMPT_BYTES)), /*parse_special=*/true), 0};
    prompt.tokens.resize(std::min<size_t>(prompt.tokens.size(), model.n_ctx() / 4));
    return prompt;
}

}  // namespace

ChosenSpeculation choose_speculation(LoadOptions & load) {
    if (!load.measures_speculation) return {};
    LoadOptions alone = load;
    alone.serves = false;
    alone.n_parallel = 1;
    SamplingOptions greedy;
    greedy.temperature = 0.0F;
    std::optional<SpeculationReport> report;
    std::string too_small;
    std::string why_none;
    const bool drafts_itself = predicts_further_tokens(alone.open_file());
    const size_t n_kinds = has_draft_model(load.llama_args) || drafts_itself ? 2 : 1;
    {
        Model model(alone);
        const GenerateResult answer = model.generate(trial_prompt(model), MAX_ANSWER_TOKENS, greedy);
        report = answer.speculation;
        why_none = model.why_no_speculation();
        if (report && answer.stop_reason == StopReason::context_full &&
            report->n_measured < SpeculationTrial::least_tokens(n_kinds))
            too_small =
                fmt::format("speculation off: a context of {} tokens is too small to measure it", model.n_ctx());
    }
    load.measures_speculation = false;
    if (!report) {
        remove_draft_model(load.llama_args);
        return {why_none, "", false, std::nullopt};
    }
    if (!too_small.empty()) {
        remove_draft_model(load.llama_args);
        return {too_small, "", false, std::nullopt};
    }
    if (!report->is_on || report->kind != "draft-simple") remove_draft_model(load.llama_args);
    if (report->is_on) load.llama_args.insert(load.llama_args.end(), {"--spec-type", report->kind});
    return {report->text() + " (measured on a built-in text; --spec says otherwise)", report->kind, report->is_on,
            report->gain};
}

}  // namespace shimmy::engine
