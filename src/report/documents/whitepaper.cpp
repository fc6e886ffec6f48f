#include "report/documents/whitepaper.h"

#include "report/documents/markdown_report.h"
#include "report/figures/findings.h"
#include "report/figures/hardware.h"
#include "report/figures/tables.h"
#include "report/text/table.h"
#include "report/text/text.h"

#include <fmt/format.h>

namespace shimmy::report {

namespace {

std::string or_else(const std::string & text, const char * otherwise) {
    return text.empty() ? otherwise : text;
}

std::string models_table(const lab::Summary & summary) {
    using Align = Table::Align;
    Table table;
    table.columns = {{"model", Align::left},        {"base model", Align::left}, {"license", Align::left},
                     {"architecture", Align::left}, {"layers", Align::right},    {"experts", Align::right}};
    bool synthetic = false;
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const lab::InputInfo & info = summary.input(model.name);
        synthetic = synthetic || model.is_synthetic();
        table.rows.push_back(
            {model.name,
             markdown_text(model.is_synthetic() ? "synthetic, of the shape " + fs::path(model.shape).filename().string()
                                                : or_else(model.base_model, "not named in the campaign")),
             markdown_text(or_else(model.license, "not named in the campaign")), markdown_text(or_else(info.arch, "-")),
             fmt::format("{}", info.n_layer), fmt::format("{}", info.n_expert)});
    }
    return table.markdown() +
           (synthetic
                ? "\nA synthetic model has a real model's shape and random weights: its memory and speed are those of "
                  "the real one, its text means nothing.\n"
                : "");
}

std::string method_section(const lab::Summary & summary) {
    std::string out =
        "Every figure is measured by the same program that users run. Each run is a process of its own, so that "
        "nothing of one run is left for the next; the repeats are the outermost loop, so that a slow drift of the "
        "machine touches every cell alike, and the placements the innermost, so that what is compared is measured back "
        "to back. Sampling is fixed by temperature and seed. Where a model cannot be held in a placement, the run is "
        "recorded as failed and stays out of the tables.\n\n";
    if (summary.campaign.prompts.size() > 1) {
        out +=
            "The prompts differ in what they ask for, so that one kind of text does not decide the figures: prompt "
            "length moves the time to first token, and what is written decides which experts are chosen.\n\n";
    }
    return out + definitions_section();
}

std::string hardware_or_not(const lab::Summary & summary, const std::string & model) {
    const Table table = hardware_table(summary, model);
    return table.rows.empty() ? "No cell of this model has figures yet.\n" : table.markdown();
}

std::string limits_section(const lab::Summary & summary) {
    std::string out;
    if (summary.conditions.device.software) {
        out +=
            "- The device is a software one: memory and placement are as on a GPU of this backend, speeds are not, and "
            "no conclusion about a GPU's speed can be drawn from them.\n";
    }
    const int repeats = summary.campaign.repeats;
    if (repeats < 3)
        out +=
            fmt::format("- {} repeat(s): intervals over so few runs are wide, and slow drifts go unseen.\n", repeats);
    out += fmt::format(
        "- One machine, one context length ({} tokens), answers of at most {} tokens: longer ones read more of the KV "
        "cache.\n"
        "- VRAM is what llama.cpp allocates. The driver's context comes on top, some hundred MiB on most cards.\n"
        "- Experts in RAM are read from the page cache: with less free RAM than they take, speed falls to that of the "
        "disk.\n"
        "- The prompts are few; other text chooses other experts.\n",
        summary.campaign.n_ctx, summary.campaign.max_tokens);
    return out;
}

}  // namespace

std::string whitepaper(const lab::Summary & summary, const Quality & quality, const Commands & commands) {
    std::string out = fmt::format("# Experts on the CPU: measurements of campaign {}\n\n", summary.campaign.name);
    const std::string & creator = summary.campaign.creator;
    if (!creator.empty()) out += fmt::format("By {}. ", markdown_text(creator));
    out += fmt::format("Measured with shimmy {} over llama.cpp {}.\n\n", summary.conditions.shimmy_version,
                       summary.conditions.llama_cpp_version);
    out += "## What was found\n\n" + findings_section(summary, quality);
    out += "\n## Models\n\n" + models_table(summary);
    out += "\n## Environment\n\n" + environment_section(summary);
    out += "\n## Method\n\n" + method_section(summary);
    out += "\n## Results\n";
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const std::string & name = model.name;
        out += fmt::format("\n### {}\n\n", name) + results_section(summary, name, 4);
    }
    out += "\n## Quality\n";
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const std::string & name = model.name;
        out += fmt::format("\n### Quality of {}\n\n", name) + quality_section(summary, name, quality);
    }
    out +=
        "\n## Hardware guide\n\nPer card size the fastest measured placement of each quantization whose VRAM is below "
        "it. `shimmy plan --hardware` predicts placements that were not measured.\n";
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const std::string & name = model.name;
        out += fmt::format("\n### Cards for {}\n\n", name) + hardware_or_not(summary, name);
    }
    out += "\n## Limits\n\n" + limits_section(summary);
    const std::string missing = missing_section(summary, commands);
    if (!missing.empty()) out += "\n## Missing\n\n" + missing;
    out += "\n## Files\n";
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const Table files = file_table(summary, model.name);
        if (!files.rows.empty()) out += fmt::format("\n### Files of {}\n\n", model.name) + files.markdown();
    }
    return out;
}

}  // namespace shimmy::report
