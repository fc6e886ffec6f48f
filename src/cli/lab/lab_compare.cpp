// shimmy lab compare: two measurements of the same campaign, of another machine or another version.
#include "base/json.h"
#include "base/text/units.h"
#include "cli/lab/lab_commands.h"
#include "lab/compare/comparison.h"
#include "report/figures/axes.h"
#include "report/text/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

namespace shimmy::cli {

namespace {

struct CompareArguments {
    std::string a;
    std::string b;
};

// "12.3 -> 14.1 GiB" only where it is no rounding.
std::string vram_text(const lab::CellChange & cell) {
    if (!cell.vram_changed()) return "same";
    return fmt::format("{}\n-> {}", format_bytes(cell.vram_bytes_a), format_bytes(cell.vram_bytes_b));
}

std::string answers_text(const lab::CellChange & cell) {
    if (cell.n_prompts == 0) return "-";
    return cell.n_other_answers == 0 ? "same" : fmt::format("{} of {} differ", cell.n_other_answers, cell.n_prompts);
}

report::Table cells_table(const std::vector<lab::CellChange> & cells) {
    using Align = report::Table::Align;
    report::Table table;
    table.columns = {{"cell", Align::left}, {"decode rate"}, {"prefill rate"}, {"TTFT"}, {"VRAM"},
                     {"answers"},           {"pairs"}};
    for (const lab::CellChange & cell : cells) {
        if (!cell.changed()) continue;
        table.rows.push_back({cell.key.text() + (cell.same_file ? "" : "\nanother model file"),
                              report::change_text(cell.decode), report::change_text(cell.prefill),
                              report::change_text(cell.ttft), vram_text(cell), answers_text(cell),
                              fmt::format("{}", cell.n_pairs())});
    }
    return table;
}

report::Table load_table(const std::vector<lab::LoadChange> & load) {
    using Align = report::Table::Align;
    report::Table table;
    table.columns = {{"load test", Align::left}, {"tok/s, all\nA"}, {"tok/s, all\nB"}, {"change"}};
    const auto rate = [](const lab::MeasuredLoad & one) {
        return fmt::format("{:.1f} ± {:.1f}", one.mean, one.half_width);
    };
    for (const lab::LoadChange & one : load) {
        if (one.changed())
            table.rows.push_back({one.key.text(), rate(one.a), rate(one.b), fmt::format("{:+.1f}%", one.percent())});
    }
    return table;
}

std::string points(double share) {
    return fmt::format("{:+.1f}", 100.0 * share);
}

report::Table tasks_table(const std::vector<lab::TaskChange> & tasks) {
    using Align = report::Table::Align;
    report::Table table;
    table.columns = {{"task", Align::left}, {"score\nA"}, {"score\nB"}, {"points\n95% interval"}, {"McNemar's test"}};
    for (const lab::TaskChange & task : tasks) {
        if (!task.changed()) continue;
        table.rows.push_back({task.key.text() + (task.same_file ? "" : "\nanother model file"),
                              fmt::format("{} {:.1f}%", task.metric, 100.0 * task.share_a),
                              fmt::format("{:.1f}%", 100.0 * task.share_b),
                              fmt::format("{}\n[{}, {}]", points(task.paired.difference()), points(task.ci95().low),
                                          points(task.ci95().high)),
                              fmt::format("p = {:.2g}", task.p())});
    }
    return table;
}

void print_environment(const lab::Comparison & comparison) {
    if (comparison.environment.empty()) fmt::print("Same environment and settings.\n");
    for (const lab::FactChange & fact : comparison.environment)
        fmt::print("  {}: {} -> {}\n", fact.name, fact.a, fact.b);
    for (const std::string & id : comparison.other_prompts)
        fmt::print("  prompt '{}': another text, so its runs are not compared\n", id);
    for (const std::string & id : comparison.other_tasks)
        fmt::print("  task '{}': other questions or settings, so its scores are not compared\n", id);
}

void print_unchanged(const lab::Comparison & comparison) {
    size_t n_same = 0;
    size_t n_one_pair = 0;
    size_t n_no_pair = 0;
    size_t n_answers = 0;
    for (const lab::CellChange & cell : comparison.cells) {
        if (cell.changed()) continue;
        ++(cell.n_pairs() >= 2 ? n_same : cell.n_pairs() == 1 ? n_one_pair : n_no_pair);
        n_answers += cell.n_other_answers;
    }
    if (n_same > 0) fmt::print("No clear change: {} cell(s)\n", n_same);
    if (n_one_pair > 0)
        fmt::print("One pair of runs, which tells no change from noise: {} cell(s); raise repeats\n", n_one_pair);
    if (n_no_pair > 0) fmt::print("No pair of runs with the same prompt and repeat: {} cell(s)\n", n_no_pair);
    if (n_answers > 0) fmt::print("Other answers in these: {}\n", n_answers);
    const auto n_load = std::count_if(comparison.load.begin(), comparison.load.end(),
                                      [](const lab::LoadChange & one) { return !one.changed(); });
    if (n_load > 0) fmt::print("No clear change: {} load test(s)\n", n_load);
    size_t n_scores = 0;
    size_t n_unpaired = 0;
    for (const lab::TaskChange & task : comparison.tasks)
        if (!task.changed()) ++(task.paired.n > 0 ? n_scores : n_unpaired);
    if (n_scores > 0) fmt::print("No clear change: {} task score(s)\n", n_scores);
    if (n_unpaired > 0) fmt::print("Without the answers to each question (results/): {} task score(s)\n", n_unpaired);
}

void print_only(const char * where, const std::vector<lab::MeasuredKey> & keys) {
    if (keys.empty()) return;
    fmt::print("Only in {}: {}\n", where, keys.size());
    for (const lab::MeasuredKey & key : keys)
        fmt::print("  {}\n", key.text());
}

void print_comparison(const lab::Comparison & comparison, const lab::MeasuredCampaign & a,
                      const lab::MeasuredCampaign & b) {
    fmt::print("A: {} ({}, {})\nB: {} ({}, {})\n\nFrom A to B:\n", a.folder.string(), a.name, a.version,
               b.folder.string(), b.name, b.version);
    print_environment(comparison);
    const report::Table cells = cells_table(comparison.cells);
    const report::Table load = load_table(comparison.load);
    fmt::print("\n{} of {} changed beyond noise\n\n", comparison.n_changed(),
               comparison.cells.size() + comparison.load.size() + comparison.tasks.size());
    if (!cells.rows.empty()) fmt::print("{}\n", cells.text());
    if (!load.rows.empty()) fmt::print("{}\n", load.text());
    const report::Table tasks = tasks_table(comparison.tasks);
    if (!tasks.rows.empty()) fmt::print("{}\n", tasks.text());
    print_unchanged(comparison);
    print_only("A", comparison.only_in_a);
    print_only("B", comparison.only_in_b);
}

int run_compare(const CompareArguments & options, const Globals & globals) {
    const lab::MeasuredCampaign a = lab::read_measured(options.a);
    const lab::MeasuredCampaign b = lab::read_measured(options.b);
    const lab::Comparison comparison = lab::compare_campaigns(a, b);
    if (globals.json) {
        fmt::print("{}\n", json_text(lab::to_json(comparison, a, b)));
    } else {
        print_comparison(comparison, a, b);
    }
    return 0;
}

}  // namespace

void add_lab_compare(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<CompareArguments>();
    CLI::App * command = commands.add(
        "compare", "what changed between two measurements, of another machine or another version",
        [options, &commands] { return run_compare(*options, commands.globals()); }, lab);
    command->add_option("a", options->a, "output folder of a campaign, or a bundle")->type_name("FOLDER_A")->required();
    command->add_option("b", options->b, "what it is compared with")->type_name("FOLDER_B")->required();
    command->footer(
        "Runs of the same model name, quantization, placement, mode, settings, prompt and repeat are compared pair by "
        "pair, and scores of the same task question by question: a change is named if its 95% interval does not hold 0, and "
        "VRAM if it differs by more than rounding. "
        "What the two machines, versions and settings differ in comes first.");
}

}  // namespace shimmy::cli
