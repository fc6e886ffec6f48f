// libFuzzer entry: any bytes as a task file, in the form that they have and in every other, and as a file of prompts
// and a trace. They must be taken, or refused in one line that names the file; what is taken can be asked.
#include "base/error.h"
#include "complain.h"
#include "eval/answer.h"
#include "eval/read_task.h"
#include "lab/http/workload.h"

#include <sys/mman.h>
#include <unistd.h>
#include <functional>
#include <string>
#include <vector>

namespace {

void expect_one_line(const std::string & file, const std::function<void()> & read) {
    try {
        read();
    } catch (const shimmy::Error & error) {
        const std::string message = error.what();
        if (message.find('\n') != std::string::npos) shimmy::fuzz::complain("an error of several lines", message);
        if (message.find(file) == std::string::npos) shimmy::fuzz::complain("an error without the file", message);
    }
}

// As choices.cpp and evaluate.cpp do it, without a model.
void ask(const shimmy::eval::Task & task) {
    using namespace shimmy::eval;
    for (const Question & question : task.questions) {
        (void)examples_text(task, question);
        for (const size_t right : question.right) {
            if (right >= question.choices.size()) shimmy::fuzz::complain("the right choice", "is none");
        }
        if (is_generated(task.form) != question.choices.empty()) shimmy::fuzz::complain("choices", "of the wrong form");
        if (!is_generated(task.form)) continue;
        const auto found = flexible_answer(question.answer, question.answer);
        if (found) (void)same_answer(*found, question.answer);
        (void)strict_answer(question.answer, question.answer);
        (void)final_answer(question.answer);
    }
}

void read_as(const std::string & path, std::optional<shimmy::eval::Form> form) {
    using namespace shimmy::eval;
    expect_one_line(path, [&] {
        Task task = read_task(path, form);
        if (task.questions.empty()) shimmy::fuzz::complain("a task", "without questions");
        ask(task);
        const size_t n_questions = task.questions.size();
        try {
            give_examples(task, 1, nullptr);
        } catch (const shimmy::UsageError &) {  // of --shots
            return;
        }
        limit(task, 2);
        if (task.questions.size() > std::min<size_t>(2, n_questions)) shimmy::fuzz::complain("a limit", "of two");
        ask(task);
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    const int fd = memfd_create("task", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, n_bytes) != static_cast<ssize_t>(n_bytes)) shimmy::fuzz::complain("memfd", "full");
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    read_as(path, std::nullopt);
    // One of the others, by the last byte: errors are slow under the sanitizers.
    const std::vector<std::string> names = shimmy::eval::form_names();
    const size_t last = n_bytes == 0 ? 0 : data[n_bytes - 1];
    read_as(path, shimmy::eval::form_named(names[last % names.size()]));
    if (last % 2 == 0)
        expect_one_line(path, [&] { (void)shimmy::lab::read_prompts(path, last % 3); });
    else
        expect_one_line(path, [&] { (void)shimmy::lab::read_trace(path, 2.0); });
    close(fd);
    return 0;
}
