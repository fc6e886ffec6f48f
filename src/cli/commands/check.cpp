// shimmy check: does a model still do its work. Tasks with criteria that a program decides.
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/process/progress.h"
#include "base/text/text.h"
#include "check/grade.h"
#include "cli/command.h"
#include "cli/model_name.h"
#include "cli/placement_options.h"
#include "cli/print/load_progress.h"
#include "cli/print/memory_text.h"
#include "engine/load/load_options.h"
#include "engine/run/model.h"
#include "engine/run/sampling_options.h"
#include "gguf/model_info.h"

#include <memory>

namespace shimmy::cli {

namespace {

struct CheckArguments {
    std::vector<std::string> models;
    std::string tasks;
    bool show = false;
    bool unsafe = false;
    engine::LoadOptions load;
};

struct Checked {
    const check::Task * task = nullptr;
    check::Answer answer;
    std::vector<std::string> defects;
};

check::Answer ask(engine::Model & model, const check::Task & task) {
    // A base model without a template gets the text itself.
    const std::string prompt =
        model.has_chat_template() ? model.apply_chat_template({{"user", task.prompt}}) : task.prompt + "\n\n";
    engine::SamplingOptions greedy;
    greedy.temperature = 0.0F;
    const engine::GenerateResult result = model.generate(prompt, task.max_tokens, greedy);
    if (result.stop_reason == engine::StopReason::stopped) throw Interrupted();
    return {result.text, result.stop_reason == engine::StopReason::end_of_text, result.n_output_tokens};
}

std::vector<Checked> check_model(const engine::LoadOptions & load, const std::vector<check::Task> & tasks,
                                 const check::Grader & grader, const Globals & globals) {
    engine::Model model = load_model(load, globals);
    print_placement(model.placement());
    warn_of_no_cache(globals, model);
    print_load_mode();
    Progress progress(load.path, globals.json);
    std::vector<Checked> checked;
    for (const check::Task & task : tasks) {
        progress.update(checked.size(), tasks.size());
        const check::Answer answer = ask(model, task);
        checked.push_back({&task, answer, grader.defects(task, answer)});
    }
    return checked;
}

size_t n_passed(const std::vector<Checked> & checked) {
    return static_cast<size_t>(
        std::count_if(checked.begin(), checked.end(), [](const Checked & one) { return one.defects.empty(); }));
}

Json to_json(const std::string & file, const std::vector<Checked> & checked) {
    Json list = Json::array();
    for (const Checked & one : checked) {
        list.push_back({{"id", one.task->id},
                        {"kind", check::to_string(one.task->kind)},
                        {"passed", one.defects.empty()},
                        {"defects", one.defects},
                        {"n_output_tokens", one.answer.n_tokens},
                        {"text", one.answer.text}});
    }
    return {{"file", file},
            {"quant", gguf::read_model_info(file).quantization},
            {"n_passed", n_passed(checked)},
            {"n_checks", checked.size()},
            {"checks", list}};
}

void print(const std::string & file, const std::vector<Checked> & checked, bool show) {
    fmt::print("{}: {} of {} passed\n", file, n_passed(checked), checked.size());
    for (const Checked & one : checked) {
        fmt::print("  {}  {} ({})\n", one.defects.empty() ? "pass" : "FAIL", one.task->id,
                   check::to_string(one.task->kind));
        for (const std::string & defect : one.defects)
            fmt::print("        it {}\n", defect);
        if (show) fmt::print("{}\n\n", printable_lines(one.answer.text));
    }
}

int run_check(CheckArguments options, const Globals & globals) {
    const std::vector<check::Task> tasks =
        check::read_tasks(options.tasks.empty() ? check::builtin_tasks() : fs::path(options.tasks));
    for (std::string & file : options.models) {
        file = model_file(file, globals).string();
        gguf::read_model_info(file);
    }
    const check::Grader grader(tasks, options.unsafe);
    options.load.placement = placement_option(globals, DefaultPlacement::automatic);
    options.load.vram_limit_bytes = vram_option(globals);
    load_backends(globals, options.load.device);
    Json models = Json::array();
    bool all_passed = true;
    for (const std::string & file : options.models) {
        options.load.path = file;
        const std::vector<Checked> checked = check_model(options.load, tasks, grader, globals);
        all_passed = all_passed && n_passed(checked) == checked.size();
        if (globals.json) {
            models.push_back(to_json(file, checked));
        } else {
            print(file, checked, options.show);
        }
    }
    if (globals.json) {
        const Json document{{"passed", all_passed}, {"models", models}};
        fmt::print("{}\n", json_text(document));
    }
    return all_passed ? 0 : EXIT_CODE_FAILED;
}

}  // namespace

void add_check(Commands & commands) {
    auto options = std::make_shared<CheckArguments>();
    CLI::App * command = commands.add("check", "run pass/fail tasks that a program grades",
                                      [options, &commands] { return run_check(*options, commands.globals()); });
    command->add_option("models,--model", options->models, "models to check, one after the other")
        ->type_name("FILE|NAME")
        ->required();
    command
        ->add_option(
            "--tasks", options->tasks,
            "TOML file with tasks and criteria (default: those that come with the program, checks/builtin.toml)")
        ->type_name("FILE");
    command->add_flag("--show", options->show, "print the answers too");
    command->add_flag("--unsafe-no-sandbox", options->unsafe,
                      "run code even where the kernel cannot keep it from reading files");
    add_load_options(*command, options->load);
    add_model_dirs_option(*command, commands.globals());
    add_placement_options(*command, commands.globals(), DefaultPlacement::automatic);
    add_backend_options(*command, commands.globals());
    command->footer(
        "Answers are greedy. Code written by a model runs in a sandbox: no network, no files but Python's own, no "
        "other processes, limited time and memory. Exit codes: 0 every model passed every task; 1 one did not.");
}

}  // namespace shimmy::cli
