// shimmy eval: standard tasks from a file, multiple choice and exact answers.
#include "base/error.h"
#include "base/files.h"
#include "base/host/cache_dir.h"
#include "base/json.h"
#include "base/process/progress.h"
#include "base/text/text.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/model_hash.h"
#include "cli/model_name.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "cli/print/eval_document.h"
#include "cli/print/load_progress.h"
#include "cli/print/memory_text.h"
#include "engine/device/device.h"
#include "engine/llama/version.h"
#include "engine/run/describe.h"
#include "eval/evaluate.h"
#include "eval/read_task.h"
#include "gguf/model_info.h"

#include <memory>

namespace shimmy::cli {

namespace {

struct EvalArguments {
    std::vector<std::string> models;
    std::string task;
    std::string form;
    std::string shots_file;
    size_t n_shots = 0;
    size_t limit = 0;
    eval::EvaluateOptions how;
    engine::LoadOptions load;
};

EvaluatedModel evaluate_model(const engine::LoadOptions & load, const eval::Task & task, const EvalArguments & options,
                              const Globals & globals) {
    engine::Model model = load_model(load, globals);
    print_placement(model.placement());
    warn_of_no_cache(globals, model);
    print_load_mode();
    if (options.how.chat && !model.has_chat_template()) fail("{}: has no chat template: leave --chat out", load.path);
    EvaluatedModel result{load.path,
                          "",
                          gguf::read_model_info(load.path).quantization,
                          engine::to_string(model.placement().placement),
                          {}};
    Progress progress(fs::path(load.path).filename().string(), globals.json);
    result.evaluation =
        eval::evaluate(model, task, options.how, [&](size_t done, size_t total) { progress.update(done, total); });
    return result;
}

Json document(const EvalArguments & options, const eval::Task & task, const std::vector<EvaluatedModel> & models) {
    Json entries = Json::array();
    for (const EvaluatedModel & model : models)
        entries.push_back(to_json(task, model));
    return {{"task",
             {{"file", options.task},
              {"sha256", sha256_file_hex(options.task)},
              {"form", eval::to_string(task.form)},
              {"n_questions", task.questions.size()},
              {"n_shots", options.n_shots},
              {"shots_file", options.shots_file.empty() ? Json(nullptr) : Json(options.shots_file)},
              {"chat", options.how.chat},
              {"max_tokens", eval::is_generated(task.form) ? Json(options.how.max_tokens) : Json(nullptr)},
              {"random_chance", eval::is_generated(task.form) ? Json(nullptr) : Json(eval::random_chance(task))}}},
            {"shimmy_version", shimmy_version()},
            {"llama_cpp_version", engine::llama_cpp_version()},
            {"device", engine::device_json(engine::find_device(options.load.device))},
            {"host", engine::host_json()},
            {"models", entries},
            {"comparisons", comparisons_json(task, models)}};
}

void print(const EvalArguments & options, const eval::Task & task, const std::vector<EvaluatedModel> & models) {
    std::string about = fmt::format("{}: {} questions of the form {}", printable(options.task, 200),
                                    task.questions.size(), eval::to_string(task.form));
    if (options.n_shots > 0) about += fmt::format(", {} examples before each", options.n_shots);
    if (!eval::is_generated(task.form))
        about += fmt::format("; guessing gets {:.1f}%", 100.0 * eval::random_chance(task));
    fmt::print("{}\n\n{}", about, eval_text(task, models));
}

int run_eval(EvalArguments options, const Globals & globals) {
    const eval::Task task = eval::load_task({options.task, eval::form_named(options.form), options.n_shots,
                                             options.shots_file, options.limit, options.how.chat});
    for (std::string & file : options.models) {
        file = model_file(file, globals).string();
        gguf::read_model_info(file);
    }
    options.load.placement = placement_option(globals, DefaultPlacement::automatic);
    options.load.vram_limit_bytes = vram_option(globals);
    options.load.n_sharing = eval::n_sharing(task);
    load_backends(globals, options.load.device);

    const fs::path cache = cache_dir();
    ModelHashes hashes(cache.empty() ? cache : cache / "quality", globals.json);
    std::vector<EvaluatedModel> models;
    bool stopped = false;
    for (const std::string & file : options.models) {
        options.load.path = file;
        const std::string sha256 = globals.json ? hashes.sha256(file) : "";
        EvaluatedModel model = evaluate_model(options.load, task, options, globals);
        model.sha256 = sha256;
        stopped = model.evaluation.stopped;
        if (!model.evaluation.asked.empty()) models.push_back(std::move(model));
        if (stopped) break;
    }
    if (models.empty()) throw Interrupted();
    if (globals.json) {
        fmt::print("{}\n", json_text(document(options, task, models)));
    } else {
        print(options, task, models);
    }
    if (!stopped) return 0;
    fmt::print(stderr, "shimmy: interrupted: the figures are those of the questions asked so far\n");
    return EXIT_CODE_INTERRUPTED;
}

}  // namespace

void add_eval(Commands & commands) {
    auto options = std::make_shared<EvalArguments>();
    CLI::App * command = commands.add("eval", "score models on a task file: multiple choice, or exact answers",
                                      [options, &commands] { return run_eval(*options, commands.globals()); });
    command->add_option("models,--model", options->models, "models to score; each is compared with the first")
        ->type_name("FILE|NAME")
        ->required();
    command
        ->add_option("--task", options->task,
                     "questions with answers: JSON lines of HellaSwag, Winogrande, ARC, MMLU or GSM8K, or a file of "
                     "llama-perplexity")
        ->type_name("FILE")
        ->required();
    command->add_option("--form", options->form, "form of the task file (default: found by its content)")
        ->check(CLI::IsMember(eval::form_names()));
    command->add_option("--shots", options->n_shots, "number of answered examples before each question")
        ->type_name("N")
        ->check(from_to(0, 1000))
        ->capture_default_str();
    command
        ->add_option("--shots-file", options->shots_file,
                     "file that the examples are the first of (default: the task file, whose first questions are then "
                     "not asked)")
        ->type_name("FILE");
    command->add_option("--limit", options->limit, "maximum number of questions; 0: all")
        ->type_name("N")
        ->check(at_least_zero())
        ->capture_default_str();
    command->add_option("--max-tokens,-n", options->how.max_tokens, "maximum number of tokens of an answer in words")
        ->type_name("N")
        ->check(above_zero())
        ->capture_default_str();
    command->add_flag("--chat", options->how.chat, "ask through the model's chat template (answers in words)");
    add_load_options(*command, options->load);
    add_model_dirs_option(*command, commands.globals());
    add_batch_options(*command, options->load);
    add_placement_options(*command, commands.globals(), DefaultPlacement::automatic);
    add_backend_options(*command, commands.globals());
    command->footer(
        "Choices are scored by log-likelihood, answers in words by greedy text; docs/QUALITY.md has the definitions. "
        "Several models are compared on the same questions: difference with its 95% interval, and McNemar's exact "
        "test. --json has every question. Ctrl-C prints the figures of what was asked so far. Exit codes: 0 scored; "
        "130 interrupted.");
}

}  // namespace shimmy::cli
