#include "eval/llama_forms.h"

#include "base/error.h"
#include "base/text/text.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <random>

namespace shimmy::eval {

namespace {

constexpr size_t LINES_PER_QUESTION = 6;
constexpr uint32_t MAX_ANSWERS = 100;  // llama-perplexity's

std::vector<std::string> lines_of(std::string_view content) {
    std::vector<std::string> lines;
    while (!content.empty()) {
        const size_t end = content.find('\n');
        std::string line(content.substr(0, end));
        content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
        if (line.ends_with('\r')) line.pop_back();
        lines.push_back(std::move(line));
    }
    while (!lines.empty() && lines.back().empty())
        lines.pop_back();
    return lines;
}

bool is_digits(std::string_view text) {
    return !text.empty() && text.size() < 9 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

struct Row {
    std::string number;
    std::string sentence;
    std::array<std::string, 2> options;
    std::string answer;
};

// nullopt: fewer than five columns. A comma within quotation marks separates nothing.
std::optional<Row> columns_of(const std::string & line) {
    std::vector<size_t> commas;
    bool quoted = false;
    for (size_t i = 0; i < line.size() && commas.size() < 4; ++i) {
        if (line[i] == '"') quoted = !quoted;
        if (line[i] == ',' && !quoted) commas.push_back(i);
    }
    if (commas.size() != 4) return std::nullopt;
    const auto column = [&](size_t i) {
        const size_t begin = i == 0 ? 0 : commas[i - 1] + 1;
        return line.substr(begin, i == 4 ? std::string::npos : commas[i] - begin);
    };
    std::string sentence = column(1);
    if (sentence.size() >= 2 && sentence.front() == '"') sentence = sentence.substr(1, sentence.size() - 2);
    return Row{column(0), sentence, {column(2), column(3)}, column(4)};
}

bool is_answer(const Row & row) {
    return row.answer == "1" || row.answer == "2";
}

// Reads what is in this machine's byte order, as llama-perplexity does.
class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}

    uint32_t number() {
        uint32_t value = 0;
        std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));
        return value;
    }
    std::string text() { return std::string(take(number())); }
    std::string_view take(size_t n) {
        if (n > bytes_.size()) fail_usage("the file ends too early");
        const std::string_view part = bytes_.substr(0, n);
        bytes_.remove_prefix(n);
        return part;
    }

private:
    std::string_view bytes_;
};

struct Answers {
    std::vector<std::string> texts;
    std::vector<size_t> right;
};

Answers read_answers(Reader & reader) {
    const uint32_t n = reader.number();
    if (n > MAX_ANSWERS) fail_usage("it has {} answers, {} at most", n, MAX_ANSWERS);
    Answers answers;
    for (uint32_t i = 0; i < n; ++i)
        answers.texts.push_back(reader.text());
    for (uint32_t i = 0; i < n; ++i) {
        if (reader.number() == 1) answers.right.push_back(i);
    }
    return answers;
}

Question read_binary_question(Reader & reader) {
    const std::string context = reader.text();
    const Answers answers = read_answers(reader);
    (void)read_answers(reader);  // with several right answers: llama-perplexity does not use them either
    if (context.empty()) fail_usage("its text is empty");
    if (answers.texts.size() < 2) fail_usage("it has fewer than two answers");
    if (answers.right.empty()) fail_usage("none of its answers is right");
    Question question;
    for (const std::string & answer : answers.texts) {
        if (answer.empty()) fail_usage("an answer is empty");
        question.choices.push_back({context, " " + answer});
    }
    question.right = answers.right;
    question.example_prompt = context;
    question.example_answer = answers.texts[answers.right.front()];
    return question;
}

}  // namespace

std::vector<Question> read_llama_hellaswag(std::string_view content) {
    const std::vector<std::string> lines = lines_of(content);
    if (lines.size() % LINES_PER_QUESTION != 0)
        fail_usage(
            "it has {} lines, which is not six for each question (context, index of the right ending, four "
            "endings)",
            lines.size());
    std::vector<Question> questions;
    for (size_t at = 0; at < lines.size(); at += LINES_PER_QUESTION) {
        const std::string & label = lines[at + 1];
        if (label.size() != 1 || label[0] < '0' || label[0] > '3')
            fail_usage("line {}: '{}' is not the index of the right ending (0 to 3)", at + 2, printable(label, 40));
        Question question;
        question.number = at / LINES_PER_QUESTION + 1;
        for (size_t i = 0; i < 4; ++i) {
            const std::string & ending = lines[at + 2 + i];
            if (ending.empty()) fail_usage("line {}: the ending is empty", at + 3 + i);
            question.choices.push_back({lines[at], " " + ending});
        }
        question.right = {static_cast<size_t>(label[0] - '0')};
        question.example_prompt = lines[at];
        question.example_answer = lines[at + 2 + question.right.front()];
        questions.push_back(std::move(question));
    }
    return questions;
}

std::vector<Question> read_llama_winogrande(std::string_view content) {
    std::vector<Question> questions;
    const std::vector<std::string> lines = lines_of(content);
    for (size_t i = 0; i < lines.size(); ++i) {
        const auto row = columns_of(lines[i]);
        if (!row) fail_usage("line {}: has fewer than five columns (number,sentence,option,option,answer)", i + 1);
        const size_t blank = row->sentence.find('_');
        if (blank == std::string::npos) fail_usage("line {}: the sentence has no blank (_)", i + 1);
        if (!is_answer(*row))
            fail_usage("line {}: the answer is '{}', expected 1 or 2", i + 1, printable(row->answer, 40));
        if (row->options[0] == row->options[1]) fail_usage("line {}: both options are alike", i + 1);
        Question question;
        question.number = i + 1;
        for (const std::string & option : row->options)
            question.choices.push_back({row->sentence.substr(0, blank) + option, row->sentence.substr(blank + 1)});
        question.right = {row->answer == "1" ? 0U : 1U};
        const Choice & right = question.choices[question.right.front()];
        question.example_prompt = right.context;
        question.example_answer = right.continuation;
        questions.push_back(std::move(question));
    }
    return questions;
}

std::vector<Question> read_llama_multiple_choice(std::string_view content) {
    Reader reader(content);
    const uint32_t n = reader.number();
    (void)reader.take(size_t{n} * sizeof(uint32_t));  // where each begins: they follow one another
    std::vector<Question> questions;
    for (uint32_t i = 0; i < n; ++i) {
        try {
            questions.push_back(read_binary_question(reader));
        } catch (const UsageError & error) {
            fail_usage("question {} of {}: {}", i + 1, n, error.what());
        }
        questions.back().number = i + 1;
    }
    return questions;
}

std::optional<Form> llama_form_of(std::string_view content) {
    // A count below 2^24 has a zero byte, which no text has.
    if (content.size() >= 4 && content.substr(0, 4).find('\0') != std::string_view::npos)
        return Form::llama_multiple_choice;
    const std::vector<std::string> lines = lines_of(content.substr(0, size_t{1} << 20));
    if (lines.empty()) return std::nullopt;
    const auto row = columns_of(lines[0]);
    if (row && is_digits(row->number) && (is_answer(*row) || row->sentence.find('_') != std::string::npos))
        return Form::llama_winogrande;
    if (lines.size() >= LINES_PER_QUESTION && lines[1].size() == 1 && is_digits(lines[1])) return Form::llama_hellaswag;
    return std::nullopt;
}

std::vector<size_t> picked_by_llama(Form form, size_t n, size_t n_picked) {
    std::vector<size_t> left(n);
    std::iota(left.begin(), left.end(), 0);
    if (form != Form::llama_hellaswag && n_picked >= n) return left;
    std::mt19937 random(1);
    const float scale = 1.0F / (1.0F + static_cast<float>(std::mt19937::max()));
    std::vector<size_t> picked;
    while (picked.size() < std::min(n, n_picked)) {
        if (form == Form::llama_hellaswag) {
            const size_t at = std::uniform_int_distribution<size_t>(0, left.size() - 1)(random);
            picked.push_back(left[at]);
            left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
        } else {
            const float share = scale * static_cast<float>(random());  // rounded, it may be 1
            const size_t at = std::min(static_cast<size_t>(share * static_cast<float>(left.size())), left.size() - 1);
            picked.push_back(left[at]);
            left[at] = left.back();
            left.pop_back();
        }
    }
    return picked;
}

}  // namespace shimmy::eval
