#include "lab/campaign/tasks.h"

#include "base/error.h"
#include "eval/read_task.h"

#include <algorithm>

namespace shimmy::lab {

namespace {

eval::TaskSource source_of(const CampaignTask & task) {
    return {task.file, eval::form_named(task.form), task.n_shots, task.shots_file, task.limit, task.chat};
}

void require_file(const CampaignTask & task, const fs::path & file) {
    if (!fs::exists(file)) fail("{}: the file of task '{}' is not there", file.string(), task.id);
}

// The prompt alone of an answer in words; of choices all that is scored.
size_t n_chars_of(const eval::Task & task) {
    size_t n = 0;
    for (const eval::Question & question : task.questions) {
        const size_t n_examples = eval::examples_text(task, question).size();
        if (question.choices.empty()) n += n_examples + question.example_prompt.size();
        for (const eval::Choice & choice : question.choices)
            n += n_examples + choice.context.size() + choice.continuation.size();
    }
    return n;
}

void look_at(CampaignTask & task) {
    require_file(task, task.file);
    if (!task.shots_file.empty()) require_file(task, task.shots_file);
    const eval::Task questions = eval::load_task(source_of(task));
    task.form = eval::to_string(questions.form);
    task.n_questions = questions.questions.size();
    task.n_chars = n_chars_of(questions);
    task.sha256 = sha256_file_hex(task.file);
    task.shots_sha256 = task.shots_file.empty() ? "" : sha256_file_hex(task.shots_file);
}

bool is_count(const Json & value) {
    return value.is_number_integer() && value >= 0;
}

Json value_at(const Json & document, const char * pointer) {
    const Json::json_pointer where(pointer);
    return document.contains(where) ? document.at(where) : Json();
}

// Of one model: every question says for each metric whether it was answered rightly, and the sums are those of the
// metrics.
std::string scores_defect(const Json & model, const std::string & form, size_t n_questions) {
    const Json metrics = model.value("metrics", Json());
    const Json questions = model.value("questions", Json());
    if (!metrics.is_object() || !questions.is_array()) return "lacks scores";
    if (questions.size() != n_questions || n_questions == 0 || model.value("n_asked", Json()) != n_questions)
        return fmt::format("has {} of {} questions", questions.size(), n_questions);
    for (const std::string & name : eval::metrics(*eval::form_named(form))) {
        const Json metric = metrics.value(name, Json());
        size_t n_right = 0;
        for (const Json & question : questions) {
            const Json number = question.is_object() ? question.value("question", Json()) : Json();
            const Json right = question.is_object() ? question.value("right", Json()) : Json();
            if (!is_count(number) || !right.is_object() || !right.value(name, Json()).is_boolean())
                return fmt::format("has a question without {}", name);
            n_right += right.at(name) ? 1 : 0;
        }
        const Json counted = metric.is_object() ? metric.value("n_right", Json()) : Json();
        if (counted != n_right)
            return fmt::format("counts {} right answers in {}, and its questions {}", json_text(counted, -1), name,
                               n_right);
    }
    return "";
}

}  // namespace

void look_at_tasks(Campaign & campaign) {
    for (CampaignTask & task : campaign.tasks)
        look_at(task);
}

std::vector<std::string> task_arguments(const Campaign & campaign, const CampaignTask & task, const fs::path & model,
                                        const TaskBackends & backends) {
    std::vector<std::string> arguments{"eval",
                                       "--model",
                                       model.string(),
                                       "--task",
                                       task.file.string(),
                                       "--cpu-moe",
                                       "--gpu-backend",
                                       backends.gpu,
                                       "--moe-backend",
                                       backends.moe,
                                       "--moe-cache",
                                       "off",
                                       "--threads",
                                       std::to_string(campaign.n_threads)};
    const auto add = [&](const char * option, const std::string & value) {
        arguments.insert(arguments.end(), {option, value});
    };
    // "gpu" may be a software device, which takes many times as long as the CPU.
    if (campaign.device != "gpu") add("--device", campaign.device);
    add("--form", task.form);
    if (task.n_shots > 0) add("--shots", std::to_string(task.n_shots));
    if (!task.shots_file.empty()) add("--shots-file", task.shots_file.string());
    if (task.limit > 0) add("--limit", std::to_string(task.limit));
    if (task.n_ctx > 0) add("--ctx", std::to_string(task.n_ctx));
    add("--max-tokens", std::to_string(task.max_tokens));
    if (task.chat) arguments.emplace_back("--chat");
    arguments.emplace_back("--json");
    return arguments;
}

Json task_settings(const CampaignTask & task) {
    return {{"task", task.id},
            {"task_sha256", task.sha256},
            {"form", task.form},
            {"n_shots", task.n_shots},
            {"shots_sha256", task.shots_sha256},
            {"limit", task.limit},
            {"n_questions", task.n_questions},
            {"max_tokens", task.max_tokens},
            {"chat", task.chat},
            {"n_ctx", task.n_ctx}};
}

std::string task_defect(const Json & document, const Json & settings) {
    for (const char * text : {"/shimmy_version", "/llama_cpp_version", "/device/description", "/host/cpu",
                              "/task/sha256", "/task/form", "/models/0/sha256", "/models/0/placement"}) {
        if (!value_at(document, text).is_string()) return fmt::format("lacks {}", text + 1);
    }
    for (const auto & [pointer, setting] : {std::pair{"/task/sha256", "task_sha256"},
                                            {"/task/form", "form"},
                                            {"/task/n_shots", "n_shots"},
                                            {"/task/n_questions", "n_questions"},
                                            {"/task/chat", "chat"},
                                            {"/models/0/sha256", "model_sha256"}}) {
        if (value_at(document, pointer) != settings.value(setting, Json()))
            return fmt::format("was made with {} {}, not {}", pointer + 1,
                               json_text(value_at(document, pointer), -1).substr(0, 80),
                               json_text(settings.value(setting, Json()), -1));
    }
    const Json chance = value_at(document, "/task/random_chance");
    if (!chance.is_null() && !chance.is_number()) return "has no chance of guessing";
    const Json & models = document.at("models");
    if (!models.is_array() || models.size() != 1) return "is not of one model";
    return scores_defect(models[0], settings.at("form"), settings.at("n_questions"));
}

}  // namespace shimmy::lab
