#include "eval/json_forms.h"

#include "base/error.h"
#include "base/text/text.h"
#include "eval/trim.h"

#include <algorithm>

namespace shimmy::eval {

namespace {

size_t n_chars(const std::string & text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(),
                                             [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

void replace_all(std::string & text, const std::string & from, const std::string & to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
}

const Json & member(const Json & line, const char * key) {
    if (!line.contains(key)) fail_usage("\"{}\" is missing", key);
    return line.at(key);
}

std::string string_of(const Json & value, const char * key) {
    if (!value.is_string()) fail_usage("\"{}\" is not a text", key);
    return value.get<std::string>();
}

std::string text(const Json & line, const char * key) {
    std::string value = string_of(member(line, key), key);
    if (trimmed(value).empty()) fail_usage("\"{}\" is empty", key);
    return value;
}

std::vector<std::string> texts(const Json & list, const char * key) {
    if (!list.is_array()) fail_usage("\"{}\" is not a list", key);
    std::vector<std::string> result;
    for (const Json & item : list) {
        result.push_back(string_of(item, key));
        if (trimmed(result.back()).empty()) fail_usage("\"{}\" holds an empty text", key);
    }
    if (result.size() < 2) fail_usage("\"{}\" holds fewer than two choices", key);
    return result;
}

// A number, also as text: data sets have both.
size_t index(const Json & line, const char * key, size_t first, size_t n) {
    const Json & value = member(line, key);
    std::string digits = value.is_string() ? value.get<std::string>() : value.is_number_integer() ? value.dump() : "";
    const bool number = !digits.empty() && digits.size() < 4 &&
                        std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!number || std::stoul(digits) < first || std::stoul(digits) >= first + n)
        fail_usage("\"{}\" is {}, expected a number from {} to {}", key, printable(value.dump(), 40), first,
                   first + n - 1);
    return std::stoul(digits) - first;
}

// Every choice after the same context.
Question with_choices(const std::string & context, const std::vector<std::string> & choices, size_t right) {
    Question question;
    for (const std::string & choice : choices)
        question.choices.push_back({context, " " + choice, n_chars(choice)});
    question.right = {right};
    question.example_prompt = context;
    question.example_answer = choices[right];
    return question;
}

void remove_brackets(std::string & text) {
    for (size_t at = 0; (at = text.find('[', at)) != std::string::npos;) {
        const size_t end = text.find_first_of("]\n", at);
        if (end == std::string::npos || text[end] == '\n') {
            ++at;
        } else {
            text.erase(at, end - at + 1);
        }
    }
}

// Marks of WikiHow, which the data set left in.
std::string without_marks(std::string text) {
    text = trimmed(text);
    replace_all(text, " [title]", ". ");
    remove_brackets(text);
    replace_all(text, "  ", " ");
    return text;
}

// The first letter large, all others small: Python's str.capitalize() for ASCII.
std::string capitalized(const std::string & text) {
    return text.empty() ? "" : upper(text.substr(0, 1)) + lower(text.substr(1));
}

Question hellaswag(const Json & line) {
    std::string context;
    if (line.contains("ctx_a") && line.contains("ctx_b")) {
        context = string_of(line["ctx_a"], "ctx_a") + " " + capitalized(string_of(line["ctx_b"], "ctx_b"));
    } else {
        context = text(line, "ctx");
    }
    if (line.contains("activity_label")) context = text(line, "activity_label") + ": " + context;
    std::vector<std::string> endings = texts(member(line, "endings"), "endings");
    for (std::string & ending : endings)
        ending = without_marks(ending);
    return with_choices(without_marks(context), endings, index(line, "label", 0, endings.size()));
}

// The two sentences differ before the blank; what stands after it is judged.
Question winogrande(const Json & line) {
    const std::string sentence = text(line, "sentence");
    const size_t blank = sentence.find('_');
    if (blank == std::string::npos) fail_usage("\"sentence\" has no blank (_)");
    const std::string rest = trimmed(sentence.substr(blank + 1));
    if (rest.empty()) fail_usage("\"sentence\" ends at its blank (_): nothing is left to judge the options by");
    Question question;
    for (const char * key : {"option1", "option2"})
        question.choices.push_back({sentence.substr(0, blank) + text(line, key), " " + rest, 1});
    question.right = {index(line, "answer", 1, 2)};
    question.example_prompt = question.choices[question.right.front()].context;
    question.example_answer = rest;
    return question;
}

struct Labelled {
    std::vector<std::string> texts;
    std::vector<std::string> labels;
};

// {"text": […], "label": […]}, or [{"text", "label"}, …] of the original files.
Labelled labelled(const Json & choices) {
    Labelled result;
    if (choices.is_object()) {
        result.texts = texts(member(choices, "text"), "choices.text");
        result.labels = texts(member(choices, "label"), "choices.label");
    } else if (choices.is_array()) {
        Json text_list = Json::array();
        Json label_list = Json::array();
        for (const Json & choice : choices) {
            if (!choice.is_object()) fail_usage("\"choices\" is a list of other things than {{\"text\", \"label\"}}");
            text_list.push_back(member(choice, "text"));
            label_list.push_back(member(choice, "label"));
        }
        result.texts = texts(text_list, "text");
        result.labels = texts(label_list, "label");
    } else {
        fail_usage("\"choices\" is not a list");
    }
    if (result.texts.size() != result.labels.size())
        fail_usage("\"choices\" has {} texts and {} labels", result.texts.size(), result.labels.size());
    return result;
}

Question arc(const Json & line) {
    const Json & asked = member(line, "question");
    const std::string stem = asked.is_object() ? text(asked, "stem") : text(line, "question");
    const Json & where = asked.is_object() ? asked : line;
    std::vector<std::string> choices;
    size_t right = 0;
    if (const Json & list = member(where, "choices"); list.is_array() && !list.empty() && list[0].is_string()) {
        choices = texts(list, "choices");  // MMLU's, scored by their texts
        right = index(line, "answer", 0, choices.size());
    } else {
        const Labelled both = labelled(list);
        const std::string key = text(line, "answerKey");
        choices = both.texts;
        const auto found = std::find(both.labels.begin(), both.labels.end(), key);
        if (found == both.labels.end()) fail_usage("\"answerKey\" is {}, which no choice has", printable(key, 20));
        right = static_cast<size_t>(found - both.labels.begin());
    }
    return with_choices(fmt::format("Question: {}\nAnswer:", stem), choices, right);
}

Question mmlu(const Json & line) {
    const std::vector<std::string> choices = texts(member(line, "choices"), "choices");
    if (choices.size() > 26) fail_usage("\"choices\" holds {} texts, more than there are letters", choices.size());
    std::vector<std::string> letters;
    std::string prompt = trimmed(text(line, "question"));
    for (size_t i = 0; i < choices.size(); ++i) {
        letters.emplace_back(1, static_cast<char>('A' + i));
        prompt += fmt::format("\n{}. {}", letters.back(), choices[i]);
    }
    const Json & answer = member(line, "answer");
    const auto letter = std::find(letters.begin(), letters.end(), answer.is_string() ? answer.get<std::string>() : "");
    const size_t right = letter != letters.end() ? static_cast<size_t>(letter - letters.begin())
                                                 : index(line, "answer", 0, choices.size());
    Question question = with_choices(prompt + "\nAnswer:", letters, right);
    if (!line.contains("subject")) return question;
    question.subject = string_of(line["subject"], "subject");
    std::string words = question.subject;
    std::replace(words.begin(), words.end(), '_', ' ');
    question.before = fmt::format("The following are multiple choice questions (with answers) about {}.\n\n", words);
    return question;
}

Question gsm8k(const Json & line) {
    Question question;
    question.example_prompt = fmt::format("Question: {}\nAnswer:", text(line, "question"));
    question.answer = question.example_answer = text(line, "answer");
    return question;
}

}  // namespace

std::optional<Form> form_of(const Json & line) {
    if (!line.is_object()) return std::nullopt;
    if (line.contains("endings")) return Form::hellaswag;
    if (line.contains("sentence") && line.contains("option1")) return Form::winogrande;
    if (!line.contains("question")) return std::nullopt;
    if (line.contains("answerKey")) return Form::arc;
    if (line.contains("choices")) return Form::mmlu;
    if (line.contains("answer")) return Form::gsm8k;
    return std::nullopt;
}

Question read_question(const Json & line, Form form) {
    if (!line.is_object()) fail_usage("is not a JSON object");
    switch (form) {
        case Form::hellaswag:
            return hellaswag(line);
        case Form::winogrande:
            return winogrande(line);
        case Form::arc:
            return arc(line);
        case Form::mmlu:
            return mmlu(line);
        case Form::gsm8k:
            return gsm8k(line);
        default:
            fail_usage("is JSON, which is not the form {}", to_string(form));
    }
}

}  // namespace shimmy::eval
