#include "report/documents/checklist.h"

#include "report/documents/licenses.h"
#include "report/documents/publication.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

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

std::vector<const Json *> all_cells(const Json & summary, const std::string & model) {
    std::vector<const Json *> cells;
    for (const Json & cell : summary["cells"]) {
        if (cell["model"] == model) cells.push_back(&cell);
    }
    return cells;
}

// Prompts that every cell of the model has answered with text.
std::set<std::string> answered_prompts(const Json & summary, const std::vector<const Json *> & cells) {
    std::set<std::string> answered;
    for (const Json & prompt : summary["settings"]["prompts"])
        answered.insert(prompt["id"].get<std::string>());
    for (const Json * cell : cells) {
        std::set<std::string> here;
        if (cell->contains("texts")) {
            for (const Json & text : (*cell)["texts"]) {
                const bool has_text = text_of(text, "text").find_first_not_of(" \n\t") != std::string::npos;
                if (has_text) here.insert(text["prompt_id"].get<std::string>());
            }
        }
        std::set<std::string> both;
        std::set_intersection(answered.begin(), answered.end(), here.begin(), here.end(),
                              std::inserter(both, both.end()));
        answered = both;
    }
    return cells.empty() ? std::set<std::string>() : answered;
}

void add_set_up(const Json & summary, const Json & model, const Commands & commands, List & list) {
    const std::string name = model["name"];
    list.heading("Set-up");
    for (const Json & variant : summary["variants"]) {
        if (variant["model"] != name) continue;
        const bool there = variant["model_sha256"].is_string();
        list.item(fmt::format("{}: the file is there and hashed", text_of(variant, "quantization")), there,
                  there ? fmt::format("sha256 `{}…`", text_of(variant, "model_sha256").substr(0, 12)) : "",
                  commands.run);
    }
    if (is_synthetic(summary, name)) return;  // never published
    const std::string obstacle = license_obstacle(model);
    list.item("license named, and it allows publishing", obstacle.empty(), markdown_text(text_or(model, "license", "")),
              obstacle);
}

void add_architecture(const Json & model, List & list) {
    list.heading("Architecture");
    const std::string arch = text_or(model, "arch", "");
    const std::string expected = text_or(model, "expected_architecture", "");
    const std::string path = text_or(model, "path", "MODEL.gguf");
    list.item("the architecture is the expected one", !expected.empty() && arch == expected, markdown_code(arch),
              expected.empty() ? "add expected_architecture = \"" + arch + "\" to the model in the campaign"
                               : "shimmy inspect " + path);
    list.item("it has experts to offload", number_of(model, "n_expert") > 0,
              fmt::format("{} experts, {} layers", number_of(model, "n_expert"), number_of(model, "n_layer")),
              "shimmy inspect " + path);
}

void add_prompts(const Json & summary, const std::string & name, const Commands & commands, List & list) {
    list.heading("Prompts");
    const auto cells = all_cells(summary, name);
    const auto answered = answered_prompts(summary, cells);
    for (const Json & prompt : summary["settings"]["prompts"]) {
        const std::string id = prompt["id"];
        list.item(fmt::format("`{}` answered in every quantization and placement", id), answered.contains(id),
                  fmt::format("`results/{}/*/*/*/{}-*.json`", name, id), commands.run);
    }
    list.item(fmt::format("{} prompts or more", N_PROMPTS), summary["settings"]["prompts"].size() >= N_PROMPTS,
              fmt::format("{} prompts", summary["settings"]["prompts"].size()),
              "add [[prompts]] to the campaign, or leave them all out for the five built-in ones");
}

void add_streaming(const Json & summary, const std::string & name, const Commands & commands, List & list) {
    list.heading("Streaming");
    size_t n_lines = 0;
    bool same = true;
    bool clean = true;
    for (const Json & line : summary["streaming"]) {
        if (line["model"] != name || line["total_percent"].is_null()) continue;
        ++n_lines;
        same = same && line["n_same_text"] == line["n_pairs"];
        clean = clean && line["sse"].value("n_defects", 0) == 0;
    }
    const std::string command =
        n_lines == 0 ? "add modes = [\"stream\", \"no-stream\"] to the campaign, then: " + commands.run : commands.run;
    const std::string evidence = fmt::format("`results/{}/*/*/stream/`", name);
    list.item("streamed answers are the text of answers sent whole", n_lines > 0 && same, evidence, command);
    list.item("event streams are whole: every event parses, no token is split, `[DONE]` comes last",
              n_lines > 0 && clean, evidence, command);
}

void add_memory(const Json & summary, const std::string & name, const Commands & commands, List & list) {
    list.heading("Memory");
    size_t n_expected = 0;
    for (const Json & variant : summary["variants"])
        n_expected += variant["model"] == name ? summary["settings"]["placements"].size() - 1 : 0;
    const auto rows = rows_of(summary, name);
    list.item("VRAM measured for baseline and offload of every quantization",
              n_expected > 0 && rows.size() == n_expected, fmt::format("`results/{}/*/{{baseline,offload}}/`", name),
              commands.run);
    const bool saves = !rows.empty() && std::all_of(rows.begin(), rows.end(), [](const Json * row) {
        return number_of(*row, "saved_bytes") > 0.0;
    });
    list.item("offloading saves VRAM in every quantization", saves, "`summary.json`, rows", commands.run);
}

void add_quality(const Json & summary, const std::string & name, const Quality & quality, const Commands & commands,
                 List & list) {
    list.item("quality measured", quality.document(name) != nullptr, fmt::format("`quality/{}.json`", name),
              quality.command(name));
    size_t n_files = 0;
    size_t n_sound = 0;
    for (const Json & variant : summary["variants"]) {
        if (variant["model"] != name) continue;
        const Json * offload = quality.offload_of(name, variant["quantization"]);
        ++n_files;
        n_sound += offload != nullptr && offload->value("within_bound", false) ? 1 : 0;
    }
    list.item("every file predicts the same with its experts on the CPU", n_files > 0 && n_sound == n_files,
              fmt::format("`quality/{}.json`, offload", name),
              "add check_offload = true under [quality] in the campaign, then: " + commands.run);
}

void add_summary(const Json & summary, const std::string & name, const Quality & quality, const Commands & commands,
                 List & list) {
    list.heading("Summary");
    const Json & missing = summary["missing"];
    const bool complete =
        std::none_of(missing.begin(), missing.end(), [&](const Json & run) { return run["model"] == name; });
    list.item("every run of the model has figures", complete, "`summary.json`, missing", commands.run);
    if (!is_synthetic(summary, name)) add_quality(summary, name, quality, commands, list);
    const Json device = summary.value("device", Json());  // of the first run that has figures
    list.item("figures are of a hardware device", device.is_object() && !is_software(summary),
              markdown_text(text_or(device, "description", "")), "run the campaign on a machine with a GPU");
}

// `user/name`, with the branch or pull request if it is not on main.
std::string place_of(const Json & repository) {
    const std::string revision = text_or(repository, "revision", "");
    const std::string repo = fmt::format("`{}`", text_of(repository, "repo"));
    return revision.empty() || revision == "main" ? repo : fmt::format("{} at `{}`", repo, revision);
}

void add_publishing(const Json & model, const Publication & publication, const Commands & commands, List & list) {
    if (!text_or(model, "shape", "").empty()) return;  // random weights
    list.heading("Publishing");
    const auto repositories = publication.of(model["name"]);
    if (repositories.empty()) list.item("on the Hub", false, "", commands.publish);
    for (const Json * repository : repositories) {
        list.item(place_of(*repository) + " is on the Hub", true,
                  fmt::format("commit `{}`", text_of(*repository, "commit").substr(0, 12)), "");
        for (const Json & check : (*repository)["checks"]) {
            const bool passed = check.value("passed", false);
            list.item(fmt::format("{}: {}", place_of(*repository), text_of(check, "what")), passed, "`publish.json`",
                      commands.publish);
        }
    }
}

}  // namespace

std::string checklist(const Json & summary, const Quality & quality, const Publication & publication,
                      const Commands & commands) {
    std::string out = fmt::format("# Validation checklist of campaign {}\n", text_of(summary, "campaign"));
    for (const Json & model : summary["models"]) {
        List list;
        const std::string name = model["name"];
        add_set_up(summary, model, commands, list);
        add_architecture(model, list);
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
