// Task files of every form: what is asked, and what is said of a damaged one.
#include "eval/read_task.h"

#include "base/error.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cstring>

namespace shimmy::eval {
namespace {

class TaskOf : public ::testing::Test {
protected:
    fs::path file(const std::string & content) {
        write_file_atomic(dir_ / "task", content);
        return dir_ / "task";
    }
    Task read(const std::string & content, std::optional<Form> form = std::nullopt) {
        return read_task(file(content), form);
    }
    // Of the error, behind the file's name.
    std::string error(const std::string & content, std::optional<Form> form = std::nullopt) {
        try {
            read(content, form);
        } catch (const UsageError & error) {
            const std::string message = error.what();
            const std::string name = (dir_ / "task").string() + ": ";
            EXPECT_TRUE(message.starts_with(name)) << message;
            return message.substr(std::min(name.size(), message.size()));
        }
        return "read";
    }

    TempDir dir_;
};

const std::string HELLASWAG =
    R"({"activity_label": "Baking", "ctx_a": "A man [x] stands.", "ctx_b": "then HE", "endings": ["bakes.", "a [title] b"], "label": "1"})"
    "\n";
const std::string WINOGRANDE =
    R"({"sentence": "Ann met Bea because _ had called.", "option1": "Ann", "option2": "Bea", "answer": "2"})"
    "\n";
const std::string ARC =
    R"({"question": "What is wet?", "choices": {"text": ["fire", "rain", "sand"], "label": ["A", "B", "C"]}, "answerKey": "B"})"
    "\n";
const std::string MMLU =
    R"({"question": " 2 + 2? ", "subject": "abstract_algebra", "choices": ["3", "4", "5", "6"], "answer": 1})"
    "\n";
const std::string GSM8K = R"({"question": "How many?", "answer": "1 + 1 = 2\n#### 2"})"
                          "\n";

TEST_F(TaskOf, Hellaswag) {
    const Task task = read(HELLASWAG + "\n");
    EXPECT_EQ(task.form, Form::hellaswag);
    ASSERT_EQ(task.questions.size(), 1U);
    const Question & question = task.questions[0];
    ASSERT_EQ(question.choices.size(), 2U);
    EXPECT_EQ(question.choices[0].context, "Baking: A man stands. Then he");
    EXPECT_EQ(question.choices[0].continuation, " bakes.");
    EXPECT_EQ(question.choices[1].continuation, " a. b");
    EXPECT_EQ(question.choices[1].n_chars, 4U);
    EXPECT_EQ(question.right, (std::vector<size_t>{1}));
    EXPECT_EQ(metrics(task.form), (std::vector<std::string>{"acc", "acc_norm"}));
    EXPECT_EQ(read(R"({"ctx": "A", "endings": ["ü", "b"], "label": 0})").questions[0].choices[0].n_chars, 1U)
        << "characters, not bytes";
    EXPECT_EQ(read(R"({"ctx": "[header]  A", "endings": ["b", "c"], "label": 0})").questions[0].choices[0].context,
              " A")
        << "as lm-evaluation-harness has it, which trims first";
}

TEST_F(TaskOf, Winogrande) {
    const Task task = read(WINOGRANDE);
    EXPECT_EQ(task.form, Form::winogrande);
    const Question & question = task.questions[0];
    EXPECT_EQ(question.choices[0].context, "Ann met Bea because Ann");
    EXPECT_EQ(question.choices[1].context, "Ann met Bea because Bea");
    EXPECT_EQ(question.choices[1].continuation, " had called.");
    EXPECT_EQ(question.right, (std::vector<size_t>{1}));
    EXPECT_EQ(metrics(task.form), (std::vector<std::string>{"acc"}));
}

TEST_F(TaskOf, Arc) {
    const Task task = read(ARC);
    EXPECT_EQ(task.form, Form::arc);
    const Question & question = task.questions[0];
    EXPECT_EQ(question.choices[2].context, "Question: What is wet?\nAnswer:");
    EXPECT_EQ(question.choices[2].continuation, " sand");
    EXPECT_EQ(question.right, (std::vector<size_t>{1}));
    const Task original = read(
        R"({"question": {"stem": "What is wet?", "choices": [{"text": "rain", "label": "1"}, {"text": "fire", "label": "2"}]}, "answerKey": "1"})");
    EXPECT_EQ(original.questions[0].choices[0].continuation, " rain");
    EXPECT_EQ(original.questions[0].right, (std::vector<size_t>{0}));
}

TEST_F(TaskOf, Mmlu) {
    const Task task = read(MMLU);
    EXPECT_EQ(task.form, Form::mmlu);
    const Question & question = task.questions[0];
    EXPECT_EQ(question.choices[1].context, "2 + 2?\nA. 3\nB. 4\nC. 5\nD. 6\nAnswer:");
    EXPECT_EQ(question.choices[1].continuation, " B");
    EXPECT_EQ(question.right, (std::vector<size_t>{1}));
    EXPECT_EQ(examples_text(task, question),
              "The following are multiple choice questions (with answers) about abstract algebra.\n\n");
    EXPECT_EQ(read(R"({"question": "?", "choices": ["x", "y"], "answer": "B"})").questions[0].right,
              (std::vector<size_t>{1}));
    const Task by_text = read(MMLU, Form::arc);
    EXPECT_EQ(by_text.questions[0].choices[1].context, "Question:  2 + 2? \nAnswer:");
    EXPECT_EQ(by_text.questions[0].choices[1].continuation, " 4");
    EXPECT_EQ(by_text.questions[0].right, (std::vector<size_t>{1}));
}

TEST_F(TaskOf, Gsm8k) {
    const Task task = read("[" + GSM8K + "," + GSM8K + "]");
    EXPECT_EQ(task.form, Form::gsm8k);
    ASSERT_EQ(task.questions.size(), 2U) << "a list is read too";
    EXPECT_EQ(task.questions[1].number, 2U);
    EXPECT_EQ(task.questions[0].example_prompt, "Question: How many?\nAnswer:");
    EXPECT_EQ(task.questions[0].answer, "1 + 1 = 2\n#### 2");
    EXPECT_TRUE(task.questions[0].choices.empty());
}

TEST_F(TaskOf, DamagedJsonSaysWhereAndWhat) {
    EXPECT_EQ(error(ARC + "{\"question\": \"ha"), "line 2: is not JSON");
    EXPECT_EQ(error(ARC + "\n[1]\n"), "line 3: is not a JSON object (form arc)");
    EXPECT_EQ(error(ARC + R"({"question": "?", "answerKey": "A"})"), "line 2: \"choices\" is missing (form arc)");
    EXPECT_EQ(error(R"({"question": "?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "C"})"),
              "line 1: \"answerKey\" is C, which no choice has (form arc)");
    EXPECT_EQ(error(R"({"question": "?", "choices": {"text": ["a", "b"], "label": ["A"]}, "answerKey": "A"})"),
              "line 1: \"choices.label\" holds fewer than two choices (form arc)");
    EXPECT_EQ(error(R"({"question": "?", "choices": ["a", "b"], "answer": 2})"),
              "line 1: \"answer\" is 2, expected a number from 0 to 1 (form mmlu)");
    EXPECT_EQ(error(R"({"question": "?", "choices": ["a"], "answer": 0})"),
              "line 1: \"choices\" holds fewer than two choices (form mmlu)");
    EXPECT_EQ(error(R"({"sentence": "no blank", "option1": "a", "option2": "b", "answer": "1"})"),
              "line 1: \"sentence\" has no blank (_) (form winogrande)");
    EXPECT_EQ(error(R"({"sentence": "_ x", "option1": "a", "option2": "b", "answer": "0"})"),
              "line 1: \"answer\" is \"0\", expected a number from 1 to 2 (form winogrande)");
    EXPECT_EQ(error(R"({"ctx": "x", "endings": ["a", 3], "label": 0})"),
              "line 1: \"endings\" is not a text (form hellaswag)");
    EXPECT_EQ(error(R"({"ctx": "x", "endings": ["a", "b"], "label": ""})"),
              "line 1: \"label\" is \"\", expected a number from 0 to 1 (form hellaswag)")
        << "as in the data set's test file";
    EXPECT_EQ(error(R"({"ctx": "x", "endings": ["a", "b"], "label": "0001"})"),
              "line 1: \"label\" is \"0001\", expected a number from 0 to 1 (form hellaswag)");
    EXPECT_EQ(error(R"({"question": " ", "answer": "x"})"), "line 1: \"question\" is empty (form gsm8k)");
    EXPECT_NE(error(R"({"text": "x"})").find("none of these forms"), std::string::npos);
    EXPECT_NE(error("[{\"question\": 1").find("JSON list that is damaged"), std::string::npos);
    EXPECT_EQ(error("[]"), "holds no question");
    EXPECT_EQ(error(" \n"), "is empty");
    EXPECT_NE(error("PAR1....").find("Parquet"), std::string::npos);
    EXPECT_NE(error("Some text.\nOther text.\n").find("the form of no task"), std::string::npos);
    EXPECT_THROW(read_task(dir_ / "none"), Error);
}

const std::string LLAMA_HELLASWAG =
    "Baking: A man\n3\nbakes.\nsits.\nruns.\nis done.\n"
    "Running: A dog\n0\nruns.\nbakes.\nsings.\nreads.\n";

TEST_F(TaskOf, LlamaHellaswag) {
    const Task task = read(LLAMA_HELLASWAG);
    EXPECT_EQ(task.form, Form::llama_hellaswag);
    ASSERT_EQ(task.questions.size(), 2U);
    EXPECT_EQ(task.questions[1].choices[3].context, "Running: A dog");
    EXPECT_EQ(task.questions[1].choices[3].continuation, " reads.");
    EXPECT_EQ(task.questions[0].right, (std::vector<size_t>{3}));
    EXPECT_EQ(task.questions[1].right, (std::vector<size_t>{0}));
    EXPECT_NE(error(LLAMA_HELLASWAG + "more\n").find("it has 13 lines"), std::string::npos);
    EXPECT_EQ(error("a\n4\na\nb\nc\nd\n"), "line 2: '4' is not the index of the right ending (0 to 3)");
    EXPECT_EQ(error("a\n1\na\n\nc\nd\n"), "line 4: the ending is empty");
}

TEST_F(TaskOf, LlamaWinogrande) {
    const Task task = read("0,\"Ann, who knew Bea, met _ again.\",Ann,Bea,2\n1,_ ran.,Ann,Bea,1");
    EXPECT_EQ(task.form, Form::llama_winogrande);
    ASSERT_EQ(task.questions.size(), 2U) << "the last line counts, with or without an end";
    EXPECT_EQ(task.questions[0].choices[1].context, "Ann, who knew Bea, met Bea");
    EXPECT_EQ(task.questions[0].choices[1].continuation, " again.");
    EXPECT_EQ(task.questions[0].right, (std::vector<size_t>{1}));
    EXPECT_EQ(task.questions[1].right, (std::vector<size_t>{0}));
    EXPECT_NE(error("0,a _ b,Ann,Bea,1\n1,a _ b,Ann,Bea\n").find("line 2: has fewer than five columns"),
              std::string::npos);
    EXPECT_EQ(error("0,a _ b,Ann,Bea,3\n"), "line 1: the answer is '3', expected 1 or 2");
    EXPECT_EQ(error("0,a b,Ann,Bea,1\n"), "line 1: the sentence has no blank (_)");
    EXPECT_EQ(error("0,a _ b,Ann,Ann,1\n"), "line 1: both options are alike");
}

std::string number(uint32_t n) {
    std::string bytes(sizeof(n), '\0');
    std::memcpy(bytes.data(), &n, sizeof(n));
    return bytes;
}
std::string text(const std::string & text) {
    return number(static_cast<uint32_t>(text.size())) + text;
}
std::string answers(const std::vector<std::string> & texts, const std::vector<uint32_t> & labels) {
    std::string bytes = number(static_cast<uint32_t>(texts.size()));
    for (const std::string & one : texts)
        bytes += text(one);
    for (const uint32_t label : labels)
        bytes += number(label);
    return bytes;
}

TEST_F(TaskOf, LlamaMultipleChoice) {
    const std::string first = text("Fire is") + answers({"hot", "cold"}, {1, 0}) + answers({}, {});
    const std::string second = text("Ice is") + answers({"hot", "cold", "cool"}, {0, 1, 1}) + answers({"cold"}, {1});
    const std::string head = number(2) + number(12) + number(12 + static_cast<uint32_t>(first.size()));
    const Task task = read(head + first + second);
    EXPECT_EQ(task.form, Form::llama_multiple_choice);
    ASSERT_EQ(task.questions.size(), 2U);
    EXPECT_EQ(task.questions[0].choices[1].continuation, " cold");
    EXPECT_EQ(task.questions[1].right, (std::vector<size_t>{1, 2}));
    EXPECT_EQ(task.questions[1].number, 2U);
    EXPECT_EQ(error(head + first + second.substr(0, second.size() - 3)), "question 2 of 2: the file ends too early");
    EXPECT_EQ(error(head + first), "question 2 of 2: the file ends too early");
    EXPECT_EQ(error(number(1) + number(8) + text("?") + number(5000)),
              "question 1 of 1: it has 5000 answers, 100 at most");
    EXPECT_EQ(error(number(1) + number(8) + text("?") + answers({"a", "b"}, {0, 0}) + answers({}, {})),
              "question 1 of 1: none of its answers is right");
    EXPECT_EQ(error(number(1) + number(8) + text("") + answers({"a", "b"}, {0, 1}) + answers({}, {})),
              "question 1 of 1: its text is empty");
    EXPECT_EQ(error(number(0xFFFFFF)), "the file ends too early");
    EXPECT_EQ(error(number(0)), "holds no question");
}

TEST_F(TaskOf, AFormCanBeNamed) {
    for (const std::string & name : form_names())
        EXPECT_EQ(to_string(*form_named(name)), name);
    EXPECT_EQ(form_named("none"), std::nullopt);
    EXPECT_EQ(error(GSM8K, Form::arc), "line 1: \"choices\" is missing (form arc)");
    EXPECT_NE(error(GSM8K, Form::llama_winogrande).find("line 1: has fewer than five columns"), std::string::npos);
}

std::string gsm8k_lines(int n) {
    std::string lines;
    for (int i = 1; i <= n; ++i)
        lines += fmt::format("{{\"question\": \"Q{}\", \"answer\": \"A{}\"}}\n", i, i);
    return lines;
}

std::vector<size_t> numbers(const Task & task) {
    std::vector<size_t> result;
    for (const Question & question : task.questions)
        result.push_back(question.number);
    return result;
}

TEST_F(TaskOf, ExamplesAreTheFirstAndAreNotAsked) {
    Task task = read(gsm8k_lines(4));
    give_examples(task, 2, nullptr);
    EXPECT_EQ(numbers(task), (std::vector<size_t>{3, 4}));
    EXPECT_EQ(examples_text(task, task.questions[0]), "Question: Q1\nAnswer: A1\n\nQuestion: Q2\nAnswer: A2\n\n");
    Task same = read(gsm8k_lines(4));
    give_examples(same, 0, nullptr);
    EXPECT_EQ(examples_text(same, same.questions[0]), "");
    EXPECT_THROW(give_examples(same, 4, nullptr), UsageError) << "none is left";
}

TEST_F(TaskOf, ExamplesOfAnotherFile) {
    const Task examples = read(gsm8k_lines(1));
    Task task = read(gsm8k_lines(2));
    give_examples(task, 1, &examples);
    EXPECT_EQ(numbers(task), (std::vector<size_t>{1, 2}));
    EXPECT_EQ(examples_text(task, task.questions[1]), "Question: Q1\nAnswer: A1\n\n");
    Task again = read(gsm8k_lines(2));
    EXPECT_THROW(give_examples(again, 2, &examples), UsageError) << "it has one";
    const Task other = read(ARC);
    EXPECT_THROW(give_examples(again, 1, &other), UsageError);
}

TEST_F(TaskOf, ExamplesAreOfTheSameSubject) {
    const auto line = [](const std::string & subject, const std::string & question) {
        return fmt::format(R"({{"question": "{}", "subject": "{}", "choices": ["x", "y"], "answer": 1}})", question,
                           subject) +
               "\n";
    };
    Task task = read(line("a", "a1") + line("b", "b1") + line("b", "b2") + line("a", "a2"));
    give_examples(task, 1, nullptr);
    EXPECT_EQ(numbers(task), (std::vector<size_t>{3, 4}));
    EXPECT_EQ(examples_text(task, task.questions[1]),
              "The following are multiple choice questions (with answers) about a.\n\na1\nA. x\nB. y\nAnswer: B\n\n");
}

TEST_F(TaskOf, ALimitTakesTheFirst) {
    Task task = read(gsm8k_lines(5));
    limit(task, 0);
    EXPECT_EQ(task.questions.size(), 5U);
    limit(task, 9);
    EXPECT_EQ(task.questions.size(), 5U);
    limit(task, 2);
    EXPECT_EQ(numbers(task), (std::vector<size_t>{1, 2}));
}

}  // namespace
}  // namespace shimmy::eval
