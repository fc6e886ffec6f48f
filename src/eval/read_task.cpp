#include "eval/read_task.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text/text.h"
#include "base/text/text_file.h"
#include "eval/json_forms.h"
#include "eval/llama_forms.h"

#include <algorithm>
#include <string_view>

namespace shimmy::eval {

namespace {

std::string_view first_line(std::string_view content) {
    return content.substr(0, content.find('\n'));
}

// Questions of a whole JSON list, or of one object per line.
std::vector<Question> read_json_questions(const std::string & content, std::optional<Form> & form) {
    std::vector<Question> questions;
    const auto add = [&](const Json & item, const std::string & where) {
        if (item.is_discarded()) fail_usage("{}: is not JSON", where);
        if (!form) form = form_of(item);
        if (!form)
            fail_usage(
                "{}: its fields are those of none of these forms: hellaswag (endings), winogrande (sentence, "
                "option1), arc (question, choices, answerKey), mmlu (question, choices, answer), gsm8k "
                "(question, answer)",
                where);
        try {
            questions.push_back(read_question(item, *form));
        } catch (const UsageError & error) {
            fail_usage("{}: {} (form {})", where, error.what(), to_string(*form));
        }
        questions.back().number = questions.size();
    };
    if (content[content.find_first_not_of(" \t\r\n")] == '[') {
        const Json list = parse_json(content);
        if (list.is_discarded()) fail_usage("is a JSON list that is damaged, or beyond 64 MiB: write JSON lines");
        for (size_t i = 0; i < list.size(); ++i)
            add(list[i], fmt::format("entry {}", i + 1));
        return questions;
    }
    size_t number = 0;
    for (std::string_view rest = content; !rest.empty();) {
        const std::string_view line = first_line(rest);
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        ++number;
        if (line.find_first_not_of(" \t\r") != std::string_view::npos)
            add(parse_json(line), fmt::format("line {}", number));
    }
    return questions;
}

std::vector<Question> read_llama_questions(const std::string & content, Form form) {
    if (form == Form::llama_hellaswag) return read_llama_hellaswag(content);
    if (form == Form::llama_winogrande) return read_llama_winogrande(content);
    return read_llama_multiple_choice(content);
}

std::vector<Question> read_questions(const std::string & content, std::optional<Form> & form) {
    const size_t begin = content.find_first_not_of(" \t\r\n");
    if (begin == std::string::npos) fail_usage("is empty");
    if (content.starts_with("PAR1")) fail_usage("is a Parquet file: convert it to JSON lines");
    const bool json = content[begin] == '{' || content[begin] == '[';
    if (!form && !json) form = llama_form_of(content);
    if (!form && !json)
        fail_usage(
            "has the form of no task: neither JSON lines (hellaswag, winogrande, arc, mmlu, gsm8k) nor a file "
            "of llama-perplexity; name the form with --form for a clearer message");
    if (form && is_llamas(*form)) return read_llama_questions(content, *form);
    return read_json_questions(content, form);
}

}  // namespace

Task read_task(const fs::path & file, std::optional<Form> form) {
    Task task;
    const std::string content = read_text_file(file.string());
    try {
        task.questions = read_questions(content, form);
        if (task.questions.empty()) fail_usage("holds no question");
    } catch (const UsageError & error) {
        fail_usage("{}: {}", printable(file.string(), 200), error.what());
    }
    task.form = *form;
    return task;
}

Task load_task(const TaskSource & source) {
    Task task = read_task(source.file, source.form);
    if (source.chat && !is_generated(task.form))
        fail_usage("--chat is for tasks that are answered in words; {} has choices (form {})", source.file.string(),
                   to_string(task.form));
    if (!source.shots_file.empty() && source.n_shots == 0) fail_usage("--shots-file: how many of them? Add --shots N");
    if (source.shots_file.empty()) {
        give_examples(task, source.n_shots, nullptr);
    } else {
        const Task examples = read_task(source.shots_file, task.form);
        give_examples(task, source.n_shots, &examples);
    }
    limit(task, source.limit);
    return task;
}

void limit(Task & task, size_t n) {
    const size_t n_all = task.questions.size();
    const size_t n_picked = n == 0 ? n_all : std::min(n, n_all);
    if (!is_llamas(task.form)) {
        task.questions.resize(n_picked);
        return;
    }
    std::vector<Question> picked;
    for (const size_t i : picked_by_llama(task.form, n_all, n_picked))
        picked.push_back(std::move(task.questions[i]));
    task.questions = std::move(picked);
}

}  // namespace shimmy::eval
