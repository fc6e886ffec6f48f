#include "report/documents/answers.h"

#include "base/text/text.h"
#include "check/degeneration.h"
#include "report/figures/axes.h"
#include "report/figures/selection.h"
#include "report/text/table.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

namespace {

// An answer that several cells gave.
struct SampleAnswer {
    std::string text;
    std::vector<std::string> cells;
    size_t n_distinct = 1;  // the most texts of one cell among its repeats
};

std::string cell_label(const lab::Summary & summary, const lab::Cell & cell) {
    const std::string settings = settings_text(summary, cell);
    return fmt::format("{}, {}{}", engine::to_string(cell.placement), mode_name(cell.mode),
                       settings.empty() ? "" : ", " + settings);
}

std::vector<SampleAnswer> answers_of(const lab::Summary & summary, const lab::MeasuredFile & file,
                                     const std::string & prompt_id) {
    std::vector<SampleAnswer> answers;
    for (const lab::Cell & cell : summary.cells) {
        if (cell.model != file.model || cell.quantization != file.quantization) continue;
        for (const lab::AnswerText & text : cell.texts) {
            if (text.prompt_id != prompt_id) continue;
            const auto same = std::find_if(answers.begin(), answers.end(),
                                           [&](const SampleAnswer & one) { return one.text == text.text; });
            if (same == answers.end()) {
                answers.push_back({text.text, {cell_label(summary, cell)}, text.n_distinct});
            } else {
                same->cells.push_back(cell_label(summary, cell));
                same->n_distinct = std::max(same->n_distinct, text.n_distinct);
            }
        }
    }
    return answers;
}

// Line by line, as a cell of a table shows it.
std::string shown(const std::string & text) {
    std::string out;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        out += (begin == 0 ? "" : "\n") + markdown_text(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return out;
}

std::string checks_of(const lab::Prompt & prompt, const SampleAnswer & answer) {
    std::string text;
    const auto add = [&](const std::string & line) { text += (text.empty() ? "" : "\n") + line; };
    if (!prompt.expect.empty()) {
        const bool holds = lower(answer.text).find(lower(prompt.expect)) != std::string::npos;
        add(fmt::format("{}: {}", holds ? "as expected" : "NOT as expected", markdown_text(prompt.expect)));
    }
    for (const std::string & defect : check::degenerations(prompt.text, answer.text))
        add("BROKEN: " + markdown_text(defect));
    if (answer.n_distinct > 1) add(fmt::format("differs between repeats ({} texts)", answer.n_distinct));
    return text.empty() ? "no defect found" : text;
}

Table answers_table(const lab::Summary & summary, const std::string & model, const lab::Prompt & prompt) {
    Table table;
    table.columns = {{"type", Table::Align::left},
                     {"answer", Table::Align::left},
                     {"checks", Table::Align::left},
                     {"given by", Table::Align::left}};
    for (const lab::MeasuredFile * file : variants_of(summary, model)) {
        for (const SampleAnswer & answer : answers_of(summary, *file, prompt.id)) {
            std::string cells;
            for (const std::string & cell : answer.cells)
                cells += (cells.empty() ? "" : "\n") + cell;
            table.rows.push_back({file->quantization, shown(answer.text), checks_of(prompt, answer), cells});
        }
    }
    return table;
}

}  // namespace

std::string answers_document(const lab::Summary & summary) {
    std::string out;
    for (const lab::CampaignModel & model : summary.campaign.models) {
        for (const lab::Prompt & prompt : summary.campaign.prompts) {
            const Table table = answers_table(summary, model.name, prompt);
            if (table.rows.empty()) continue;
            const std::string why = prompt.why.empty() ? "Why it was chosen is not said." : markdown_text(prompt.why);
            out += fmt::format("\n## {}: {}\n\n{}\n\n{}\n\n{}", model.name, markdown_code(prompt.id),
                               markdown_text(prompt.text), why, table.markdown());
        }
    }
    if (out.empty()) return "";
    return "# Sample answers\n\nThe warm answer of the first repeat, at most " +
           fmt::format("{} tokens, temperature {}.\n", summary.campaign.max_tokens, summary.campaign.temperature) + out;
}

}  // namespace shimmy::report
