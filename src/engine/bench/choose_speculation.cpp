#include "engine/bench/choose_speculation.h"

#include "engine/bench/bench.h"
#include "engine/run/model.h"

#include <algorithm>
#include <optional>

namespace shimmy::engine {

namespace {

constexpr size_t PROMPT_BYTES = 1000;  // some 250 tokens: n-grams to find, and room in a small context
constexpr int MAX_ANSWER_TOKENS = 400;
constexpr const char * DRAFT_FLAG = "--model-draft";

void remove_draft_model(std::vector<std::string> & args) {
    const auto flag = std::find(args.begin(), args.end(), DRAFT_FLAG);
    if (flag != args.end()) args.erase(flag, flag + 2);
}

}  // namespace

std::string choose_speculation(LoadOptions & load) {
    if (!load.measures_speculation) return "";
    LoadOptions alone = load;
    alone.serves = false;
    alone.n_parallel = 1;
    SamplingOptions greedy;
    greedy.temperature = 0.0F;
    std::optional<SpeculationReport> report;
    {
        Model model(alone);
        const std::string prompt(bench_text().substr(0, PROMPT_BYTES));
        report = model.generate(prompt, MAX_ANSWER_TOKENS, greedy).speculation;
    }
    load.measures_speculation = false;
    if (!report) {
        remove_draft_model(load.llama_args);
        return "speculation off: the model cannot take tokens back";
    }
    if (!report->is_on || report->kind != "draft-simple") remove_draft_model(load.llama_args);
    if (report->is_on) load.llama_args.insert(load.llama_args.end(), {"--spec-type", report->kind});
    return report->text() + " (measured on a built-in text; --spec says otherwise)";
}

}  // namespace shimmy::engine
