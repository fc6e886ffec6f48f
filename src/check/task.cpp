#include "check/task.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/data_dir.h"
#include "base/text/toml_reader.h"
#include "base/text/units.h"

#include <algorithm>
#include <limits>

namespace shimmy::check {

namespace {

constexpr int MAX_TOKENS = 1 << 16;
constexpr int MAX_TIME_MS = 600'000;
constexpr const char * DEFAULT_MEMORY = "512MiB";
constexpr int DEFAULT_WORDS_PER_LINE = 14;  // a pentameter has ten syllables; prose lines run on

Json to_json(const TomlReader & reader, const toml::node & node) {
    if (const auto * value = node.as_boolean()) return value->get();
    if (const auto * value = node.as_integer()) return value->get();
    if (const auto * value = node.as_floating_point()) return value->get();
    if (const auto * value = node.as_string()) return value->get();
    if (const toml::array * array = node.as_array()) {
        Json list = Json::array();
        for (const toml::node & element : *array)
            list.push_back(to_json(reader, element));
        return list;
    }
    reader.fail_at(node, "a value of a case must be true or false, a number, a text, or a list of such");
}

std::vector<Concept> read_concepts(TomlReader & table) {
    std::vector<Concept> concepts;
    const toml::array * list = table.list("concepts");
    if (list == nullptr) return concepts;
    for (const toml::node & node : *list) {
        Concept & concept_words = concepts.emplace_back();
        if (const toml::array * words = node.as_array()) {
            for (const toml::node & word : *words)
                concept_words.words.push_back(table.element_string(word, "concepts"));
        } else {
            concept_words.words.push_back(table.element_string(node, "concepts"));
        }
        if (concept_words.words.empty()) table.fail_at(node, "a concept needs a word");
    }
    return concepts;
}

void read_code(TomlReader & table, const toml::node & node, const std::string & file, Task & task) {
    task.function = table.string("function", "");
    task.time = std::chrono::milliseconds(table.integer("time_ms", task.time.count(), 1, MAX_TIME_MS));
    task.memory_bytes = parse_bytes(table.string("memory", DEFAULT_MEMORY), file + ": memory");
    const toml::array * cases = table.list("cases");
    if (cases == nullptr) table.fail_at(node, "a code task needs 'cases'");
    for (const toml::node & element : *cases) {
        TomlReader reader(table.element_table(element, "cases"), file, "case");
        const toml::array * arguments = reader.list("arguments");
        const toml::node * returns = reader.any("returns");
        reader.finish();
        if (arguments == nullptr || returns == nullptr)
            table.fail_at(element, "a case needs 'arguments' (a list) and 'returns'");
        task.cases.push_back({to_json(table, *arguments), to_json(table, *returns)});
    }
}

void read_verse(TomlReader & table, Task & task) {
    constexpr int MAX = std::numeric_limits<int>::max();
    task.min_lines = static_cast<int>(table.integer("min_lines", 4, 1, MAX));
    task.min_stanzas = static_cast<int>(table.integer("min_stanzas", 1, 1, MAX));
    task.lines_per_stanza = static_cast<int>(table.integer("lines_per_stanza", 0, 1, MAX));
    task.max_words_per_line = static_cast<int>(table.integer("max_words_per_line", DEFAULT_WORDS_PER_LINE, 1, MAX));
}

Kind parse_kind(TomlReader & table) {
    const std::string text = table.required_string("kind");
    for (const Kind kind : {Kind::code, Kind::arithmetic, Kind::verse, Kind::explanation}) {
        if (text == to_string(kind)) return kind;
    }
    table.fail_at("kind", fmt::format("unknown kind '{}': code, arithmetic, verse or explanation", text));
}

Task read_task(const toml::table & node, const std::string & file) {
    TomlReader table(node, file, "task");
    Task task;
    task.id = table.required_string("id");
    task.kind = parse_kind(table);
    task.prompt = table.required_string("prompt");
    task.max_tokens = static_cast<int>(table.integer("max_tokens", task.max_tokens, 1, MAX_TOKENS));
    task.concepts = read_concepts(table);
    switch (task.kind) {
        case Kind::code:
            read_code(table, node, file, task);
            break;
        case Kind::arithmetic:
            if (node.get("result") == nullptr) table.fail_at(node, "an arithmetic task needs 'result'");
            task.result = table.number("result", 0.0, -1e300, 1e300);
            break;
        case Kind::verse:
            read_verse(table, task);
            break;
        case Kind::explanation:
            if (task.concepts.empty()) table.fail_at(node, "an explanation task needs 'concepts'");
            break;
    }
    table.finish();
    return task;
}

}  // namespace

const char * to_string(Kind kind) {
    switch (kind) {
        case Kind::code:
            return "code";
        case Kind::arithmetic:
            return "arithmetic";
        case Kind::verse:
            return "verse";
        case Kind::explanation:
            return "explanation";
    }
    return "";  // there is no other
}

std::vector<Task> read_tasks(const std::filesystem::path & path) {
    const std::string file = path.string();
    const toml::table root = parse_toml(read_file(path), file);
    TomlReader reader(root, file, "task file");
    const toml::array * list = reader.list("tasks");
    if (list == nullptr) fail_usage("{}:1: the file has no [[tasks]]", file);
    std::vector<Task> tasks;
    for (const toml::node & node : *list) {
        tasks.push_back(read_task(reader.element_table(node, "tasks"), file));
        const auto same_id = [&](const Task & task) { return task.id == tasks.back().id; };
        if (std::count_if(tasks.begin(), tasks.end(), same_id) > 1)
            reader.fail_at(node, fmt::format("task '{}' is listed twice", tasks.back().id));
    }
    reader.finish();
    return tasks;
}

std::filesystem::path builtin_tasks() {
    return data_dir("checks", SHIMMY_CHECKS_DIR) / "builtin.toml";
}

}  // namespace shimmy::check
