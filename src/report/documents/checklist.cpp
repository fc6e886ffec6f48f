#include "report/documents/checklist.h"

#include "report/documents/licenses.h"
#include "report/documents/publication.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

namespace {

constexpr size_t N_PROMPTS = 4;

class List {
public:
    void heading(const std::string & text) { out += fmt::format("\n### {}\n\n", text); }

    // `evidence`: which result files show it; `command`: what closes it.
    void item(const std::string & what, bool done, const std::string & evidence, const std::string & command) {
        out += done ? fmt::format("- [x] {}{}{}\n", what, evidence.empty() ? "" : " — ", evidence)
                    : fmt::format("- [ ] {} — open: `{}`\n", what, command);
    }

    std::string out;
};

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

void add_set_up(const lab::Summary & summary, const lab::CampaignModel & model, const Commands & commands,
                List & list) {
    list.heading("Set-up");
    for (const lab::MeasuredFile * variant : variants_of(summary, model.name)) {
        const bool there = !variant->sha256.empty();
        list.item(fmt::format("{}: the file is there and hashed", variant->quantization), there,
                  there ? fmt::format("sha256 `{}…`", variant->sha256.substr(0, 12)) : "", commands.run);
    }
    if (model.is_synthetic()) return;  // never published
    const std::string obstacle = license_obstacle(model);
    list.item("license named, and it allows publishing", obstacle.empty(), markdown_text(model.license), obstacle);
}

void add_architecture(const lab::CampaignModel & model, const lab::InputInfo & info, List & list) {
    list.heading("Architecture");
    const std::string & arch = info.arch;
    const std::string & expected = model.expected_architecture;
    const std::string path = model.path.empty() ? "MODEL.gguf" : model.path.string();
    list.item("the architecture is the expected one", !expected.empty() && arch == expected, markdown_code(arch),
              expected.empty() ? "add expected_architecture = \"" + arch + "\" to the model in the campaign"
                               : "shimmy inspect " + path);
    list.item("it has experts to offload", info.n_expert > 0,
              fmt::format("{} experts, {} layers", info.n_expert, info.n_layer), "shimmy inspect " + path);
}

void add_prompts(const lab::Summary & summary, const std::string & name, const Commands & commands, List & list) {
    list.heading("Prompts");
    for (const lab::Prompt & prompt : summary.campaign.prompts) {
        list.item(fmt::format("`{}` answered in every quantization and placement", prompt.id),
                  is_answered(summary, name, prompt.id), fmt::format("`results/{}/*/*/*/{}-*.json`", name, prompt.id),
                  commands.run);
    }
    list.item(fmt::format("{} prompts or more", N_PROMPTS), summary.campaign.prompts.size() >= N_PROMPTS,
              fmt::format("{} prompts", summary.campaign.prompts.size()),
              "add [[prompts]] to the campaign, or leave them all out for the five built-in ones");
}

void add_streaming(const lab::Summary & summary, const std::string & name, const Commands & commands, List & list) {
    list.heading("Streaming");
    size_t n_lines = 0;
    bool same = true;
    bool clean = true;
    for (const lab::StreamingComparison & line : summary.streaming) {
        if (line.model != name) continue;
        ++n_lines;
        same = same && line.n_same_text == line.total_percent.n;
        clean = clean && line.n_sse_defects == 0;
    }
    const std::string command =
        n_lines == 0 ? "add modes = [\"stream\", \"no-stream\"] to the campaign, then: " + commands.run : commands.run;
    const std::string evidence = fmt::format("`results/{}/*/*/stream/`", name);
    list.item("streamed answers are the text of answers sent whole", n_lines > 0 && same, evidence, command);
    list.item("event streams are whole: every event parses, no token is split, `[DONE]` comes last",
              n_lines > 0 && clean, evidence, command);
}

void add_memory(const lab::Summary & summary, const std::string & name, const Commands & commands, List & list) {
    list.heading("Memory");
    const size_t n_expected = variants_of(summary, name).size() * (summary.campaign.placements.size() - 1);
    const auto rows = rows_of(summary, name);
    list.item("VRAM measured for baseline and offload of every quantization",
              n_expected > 0 && rows.size() == n_expected, fmt::format("`results/{}/*/{{baseline,offload}}/`", name),
              commands.run);
    const bool saves = !rows.empty() && std::all_of(rows.begin(), rows.end(),
                                                    [](const lab::Row * row) { return row->saved_bytes() > 0; });
    list.item("offloading saves VRAM in every quantization", saves, "`summary.json`, rows", commands.run);
}

void add_quality(const lab::Summary & summary, const std::string & name, const Quality & quality,
                 const Commands & commands, List & list) {
    list.item("quality measured", quality.of(name) != nullptr, fmt::format("`quality/{}.json`", name),
              quality.command(name));
    const auto files = variants_of(summary, name);
    const bool sound = !files.empty() && std::all_of(files.begin(), files.end(), [&](const lab::MeasuredFile * file) {
        const OffloadFigures * offload = quality.offload_of(name, file->quantization);
        return offload != nullptr && offload->within_bound;
    });
    list.item("every file predicts the same with its experts on the CPU", sound,
              fmt::format("`quality/{}.json`, offload", name),
              "add check_offload = true under [quality] in the campaign, then: " + commands.run);
}

void add_summary(const lab::Summary & summary, const std::string & name, const Quality & quality,
                 const Commands & commands, List & list) {
    list.heading("Summary");
    const bool complete = std::none_of(summary.missing.begin(), summary.missing.end(),
                                       [&](const lab::MissingRun & run) { return run.model == name; });
    list.item("every run of the model has figures", complete, "`summary.json`, missing", commands.run);
    if (!summary.model(name).is_synthetic()) add_quality(summary, name, quality, commands, list);
    const lab::DeviceFacts & device = summary.conditions.device;
    list.item("figures are of a hardware device", summary.has_figures() && !device.software,
              markdown_text(device.description), "run the campaign on a machine with a GPU");
}

// `user/name`, with the branch or pull request if it is not on main.
std::string place_of(const PublishedRepository & repository) {
    const std::string & revision = repository.revision;
    const std::string repo = fmt::format("`{}`", repository.repo);
    return revision.empty() || revision == "main" ? repo : fmt::format("{} at `{}`", repo, revision);
}

void add_publishing(const lab::CampaignModel & model, const Publication & publication, const Commands & commands,
                    List & list) {
    if (model.is_synthetic()) return;  // random weights
    list.heading("Publishing");
    const auto repositories = publication.of(model.name);
    if (repositories.empty()) list.item("on the Hub", false, "", commands.publish);
    for (const PublishedRepository * repository : repositories) {
        list.item(place_of(*repository) + " is on the Hub", true,
                  fmt::format("commit `{}`", repository->commit.substr(0, 12)), "");
        for (const PublishedRepository::Check & check : repository->checks)
            list.item(fmt::format("{}: {}", place_of(*repository), check.what), check.passed, "`publish.json`",
                      commands.publish);
    }
}

}  // namespace

std::string checklist(const lab::Summary & summary, const Quality & quality, const Publication & publication,
                      const Commands & commands) {
    std::string out = fmt::format("# Validation checklist of campaign {}\n", summary.campaign.name);
    for (const lab::CampaignModel & model : summary.campaign.models) {
        List list;
        const std::string & name = model.name;
        add_set_up(summary, model, commands, list);
        add_architecture(model, summary.input(name), list);
        add_prompts(summary, name, commands, list);
        add_streaming(summary, name, commands, list);
        add_memory(summary, name, commands, list);
        add_summary(summary, name, quality, commands, list);
        add_publishing(model, publication, commands, list);
        out += fmt::format("\n## {}\n", name) + list.out;
    }
    return out;
}

}  // namespace shimmy::report
