#include "eval/evaluate.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "eval/answer.h"

#include <algorithm>
#include <array>

namespace shimmy::eval {

namespace {

// A model that goes on with a question of its own has answered.
constexpr std::array<const char *, 2> ENDS{"Question:", "\n\n\n"};
constexpr size_t MAX_SHARING = 16;

Asked choose(engine::Model & model, const Task & task, const Question & question) {
    Asked asked{&question, {}};
    asked.scores = score_choices(model, task, question);
    const auto take = [&](const std::vector<double> & scores) {
        asked.chosen.push_back(best_choice(task.form, scores));
        asked.right.push_back(std::find(question.right.begin(), question.right.end(), asked.chosen.back()) !=
                              question.right.end());
    };
    const bool by_length = task.form == Form::llama_winogrande;  // its only figure is the mean
    take(by_length ? asked.scores.normalized : asked.scores.log_likelihoods);
    if (metrics(task.form).size() > 1) take(asked.scores.normalized);
    return asked;
}

std::string generate(engine::Model & model, const Task & task, const Question & question,
                     const EvaluateOptions & options) {
    engine::SamplingOptions greedy;
    greedy.temperature = 0.0F;
    const auto require_room = [&](const std::string & prompt) {
        const size_t n_tokens = model.tokenize(prompt, /*parse_special=*/true).size();
        if (n_tokens >= model.n_ctx()) fail("{}", too_long(model, question, n_tokens));
    };
    if (options.chat) {
        std::vector<engine::Message> messages;
        for (const size_t i : question.examples) {
            messages.push_back({"user", task.examples[i].example_prompt});
            messages.push_back({"assistant", task.examples[i].example_answer});
        }
        messages.push_back({"user", question.example_prompt});
        require_room(model.apply_chat_template(messages));
        const engine::Reply reply = model.reply(messages, options.max_tokens, greedy, /*thinks=*/false);
        check_interrupted();
        return reply.message.content;
    }
    std::string text;
    size_t end = std::string::npos;
    const std::string prompt = examples_text(task, question) + question.example_prompt;
    require_room(prompt);
    model.generate_on(prompt, options.max_tokens, greedy, [&](std::string_view piece) {
        text += piece;
        for (const char * mark : ENDS)
            end = std::min(end, text.find(mark));
        return end == std::string::npos;
    });
    check_interrupted();
    return text.substr(0, end);
}

Asked answer(engine::Model & model, const Task & task, const Question & question, const EvaluateOptions & options) {
    Asked asked{&question, {}};
    try {
        asked.text = generate(model, task, question, options);
    } catch (const Interrupted &) {
        throw;
    } catch (const Error & error) {
        fail("question {}: {}", question.number, error.what());
    }
    for (const auto & found :
         {strict_answer(asked.text, question.answer), flexible_answer(asked.text, question.answer)}) {
        asked.found.push_back(found.value_or(""));
        asked.right.push_back(found && same_answer(*found, question.answer));
    }
    return asked;
}

}  // namespace

std::vector<bool> Evaluation::right(size_t metric) const {
    std::vector<bool> result;
    for (const Asked & one : asked)
        result.push_back(one.right[metric]);
    return result;
}

size_t Evaluation::n_right(size_t metric) const {
    return static_cast<size_t>(
        std::count_if(asked.begin(), asked.end(), [&](const Asked & one) { return one.right[metric]; }));
}

uint32_t n_sharing(const Task & task) {
    size_t n = 1;
    for (const Question & question : task.questions)
        n = std::max(n, question.choices.size());
    return static_cast<uint32_t>(std::min(n, MAX_SHARING));
}

double random_chance(const Task & task) {
    if (is_generated(task.form)) return 0.0;
    double sum = 0.0;
    for (const Question & question : task.questions)
        sum += static_cast<double>(question.right.size()) / static_cast<double>(question.choices.size());
    return sum / static_cast<double>(task.questions.size());
}

Evaluation evaluate(engine::Model & model, const Task & task, const EvaluateOptions & options,
                    const std::function<void(size_t done, size_t total)> & on_question) {
    Evaluation evaluation;
    try {
        for (const Question & question : task.questions) {
            on_question(evaluation.asked.size(), task.questions.size());
            check_interrupted();
            evaluation.asked.push_back(is_generated(task.form) ? answer(model, task, question, options)
                                                               : choose(model, task, question));
        }
        on_question(evaluation.asked.size(), task.questions.size());
    } catch (const Interrupted &) {
        evaluation.stopped = evaluation.asked.size() < task.questions.size();
    }
    return evaluation;
}

}  // namespace shimmy::eval
