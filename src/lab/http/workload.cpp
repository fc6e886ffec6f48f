#include "lab/http/workload.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text/text.h"
#include "base/text/text_file.h"

#include <algorithm>
#include <array>
#include <functional>
#include <random>
#include <string_view>

namespace shimmy::lab {

namespace {

constexpr size_t WORDS_PER_BLOCK = 512;  // Mooncake's blocks of tokens
constexpr size_t MAX_INPUT_LENGTH = size_t{1} << 20;
constexpr int MAX_OUTPUT_LENGTH = 1 << 20;
// Short and common: a token each in most vocabularies.
constexpr std::array<const char *, 32> WORDS{"the", "of",   "and",  "to",  "in",  "is",   "it",   "for",
                                             "on",  "with", "as",   "at",  "by",  "from", "or",   "an",
                                             "be",  "this", "that", "are", "was", "but",  "not",  "have",
                                             "one", "all",  "can",  "out", "up",  "new",  "time", "day"};

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Calls `take` with every line that is not blank, and where it stands.
void for_each_line(std::string_view content, const std::function<void(std::string_view, const std::string &)> & take) {
    for (size_t number = 1; !content.empty(); ++number) {
        const std::string_view line = content.substr(0, content.find('\n'));
        content.remove_prefix(std::min(content.size(), line.size() + 1));
        if (!is_blank(line)) take(line, fmt::format("line {}", number));
    }
}

std::string text_member(const Json & object, const char * key) {
    const bool there = object.is_object() && object.contains(key) && object[key].is_string();
    return there ? object[key].get<std::string>() : "";
}

// Turns of the person, of a list of {from, value} or of {role, content}.
std::vector<std::string> turns_of(const Json & list, const char * who, const char * what) {
    if (!list.is_array()) fail_usage("the conversation is not a list");
    std::vector<std::string> turns;
    for (const Json & message : list) {
        const std::string from = text_member(message, who);
        if (from == "human" || from == "user") turns.push_back(text_member(message, what));
    }
    std::erase_if(turns, [](const std::string & turn) { return is_blank(turn); });
    return turns;
}

// Empty: nobody asks anything, as in some conversations of ShareGPT.
Talk talk_of(const Json & item, size_t n_turns) {
    Talk talk;
    if (item.contains("conversations")) {
        talk.turns = turns_of(item["conversations"], "from", "value");
    } else if (item.contains("messages")) {
        talk.turns = turns_of(item["messages"], "role", "content");
    } else if (!text_member(item, "prompt").empty()) {
        talk.turns = {text_member(item, "prompt")};
    } else {
        fail_usage("has none of \"conversations\", \"messages\" and \"prompt\"");
    }
    if (n_turns > 0 && talk.turns.size() > n_turns) talk.turns.resize(n_turns);
    return talk;
}

// Runs `read` on every object of a JSON list, or of lines of JSON; says where one is wrong.
void for_each_object(const std::string & content, const std::function<void(const Json &)> & read) {
    const auto take = [&](const Json & item, const std::string & where) {
        if (!item.is_object()) fail_usage("{}: is not a JSON object", where);
        try {
            read(item);
        } catch (const UsageError & error) {
            fail_usage("{}: {}", where, error.what());
        }
    };
    if (content[content.find_first_not_of(" \t\r\n")] == '[') {
        const JsonLimits large{.n_bytes = size_t{1} << 30, .n_values = size_t{1} << 25};  // ShareGPT has 650 MB
        const Json list = parse_json(content, large);
        if (!list.is_array()) fail_usage("is damaged JSON, or larger than 1 GiB");
        for (size_t i = 0; i < list.size(); ++i)
            take(list[i], fmt::format("entry {}", i + 1));
    } else {
        for_each_line(content,
                      [&](std::string_view line, const std::string & where) { take(parse_json(line), where); });
    }
}

template <typename Read>
std::vector<Talk> read_file_of_talks(const fs::path & file, const Read & read) {
    const std::string content = read_text_file(file.string());
    std::vector<Talk> talks;
    try {
        if (is_blank(content)) fail_usage("is empty");
        talks = read(content);
        if (talks.empty()) fail_usage("holds no prompt");
    } catch (const UsageError & error) {
        fail_usage("{}: {}", printable(file.string(), 200), error.what());
    }
    return talks;
}

void add_words(std::string & text, uint64_t seed, size_t n) {
    std::mt19937_64 random(seed);
    for (size_t i = 0; i < n; ++i) {
        if (!text.empty()) text += ' ';
        text += WORDS[random() % WORDS.size()];
    }
}

size_t count_at(const Json & item, const char * key, size_t most) {
    const Json value = item.value(key, Json());
    if (!value.is_number_unsigned() || value.get<uint64_t>() > most)
        fail_usage("\"{}\" is {}, expected a number up to {}", key, printable(value.dump(), 40), most);
    return value.get<size_t>();
}

// Only lengths and what is shared are known.
std::string made_up_prompt(const Json & item, uint64_t seed) {
    const size_t n_words = count_at(item, "input_length", MAX_INPUT_LENGTH);
    const Json ids = item.value("hash_ids", Json::array());
    if (!ids.is_array()) fail_usage("\"hash_ids\" is not a list");
    std::string text;
    size_t n_left = n_words;
    for (const Json & id : ids) {
        if (!id.is_number_unsigned()) fail_usage("\"hash_ids\" holds {}", printable(id.dump(), 40));
        const size_t n = std::min(n_left, WORDS_PER_BLOCK);
        add_words(text, id.get<uint64_t>(), n);
        n_left -= n;
    }
    add_words(text, ~seed, n_left);
    return text;
}

Talk traced(const Json & item, size_t index) {
    const Json at = item.value("timestamp", Json());
    if (!at.is_number() || at.get<double>() < 0.0) fail_usage("\"timestamp\" is missing, or not a time in ms");
    Talk talk;
    if (item.contains("input_length")) {
        talk.turns = {made_up_prompt(item, index)};
    } else {
        talk = talk_of(item, 0);
    }
    if (talk.turns.empty() || is_blank(talk.turns.front())) fail_usage("asks nothing");
    talk.at_ms = at.get<double>();
    for (const char * key : {"output_length", "max_tokens"}) {
        if (item.contains(key)) talk.max_tokens = static_cast<int>(count_at(item, key, MAX_OUTPUT_LENGTH));
    }
    return talk;
}

}  // namespace

std::vector<Talk> read_prompts(const fs::path & file, size_t n_turns) {
    return read_file_of_talks(file, [&](const std::string & content) {
        std::vector<Talk> talks;
        const char first = content[content.find_first_not_of(" \t\r\n")];
        if (first == '[' || first == '{') {
            for_each_object(content, [&](const Json & item) {
                Talk talk = talk_of(item, n_turns);
                if (!talk.turns.empty()) talks.push_back(std::move(talk));
            });
        } else {
            for_each_line(content, [&](std::string_view line, const std::string &) {
                if (line.ends_with('\r')) line.remove_suffix(1);
                talks.push_back({{std::string(line)}});
            });
        }
        return talks;
    });
}

std::vector<Talk> read_trace(const fs::path & file, double speed) {
    return read_file_of_talks(file, [&](const std::string & content) {
        std::vector<Talk> talks;
        for_each_object(content, [&](const Json & item) { talks.push_back(traced(item, talks.size())); });
        std::stable_sort(talks.begin(), talks.end(), [](const Talk & a, const Talk & b) { return a.at_ms < b.at_ms; });
        const double first_ms = talks.empty() ? 0.0 : talks.front().at_ms;
        for (Talk & talk : talks)
            talk.at_ms = (talk.at_ms - first_ms) / speed;
        return talks;
    });
}

Session session_of(const Talk & talk, const AskAs & as) {
    Session session;
    for (const std::string & turn : talk.turns) {
        Request request = make_request(as.chat, turn, talk.max_tokens > 0 ? talk.max_tokens : as.max_tokens,
                                       as.sampling, /*stream=*/true);
        Json & body = request.body;
        if (as.standard) {
            for (const char * key : {"top_k", "min_p", "repeat_penalty", "cache_prompt"})
                body.erase(key);
        } else {
            body["cache_prompt"] = as.cache_prompt;
        }
        if (as.ignore_eos) body["ignore_eos"] = true;
        if (!as.served_model.empty()) body["model"] = as.served_model;
        if (session.empty() && !as.system.empty()) {
            if (as.chat) {
                body["messages"].insert(body["messages"].begin(), Json{{"role", "system"}, {"content", as.system}});
            } else {
                body["prompt"] = as.system + "\n" + turn;
            }
        }
        session.push_back(std::move(request));
    }
    return session;
}

}  // namespace shimmy::lab
