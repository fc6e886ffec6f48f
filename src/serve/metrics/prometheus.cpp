#include "serve/metrics/prometheus.h"

#include <fmt/format.h>

namespace shimmy::serve {

std::string label_value(const std::string & text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c == '\n' ? ' ' : c;
    }
    return result + "\"";
}

void Metrics::describe(const std::string & name, const std::string & type, const std::string & help) {
    heads_.try_emplace(name, fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type));
}

void Metrics::add(const std::string & name, const std::string & labels, const std::string & value) {
    lines_[name] += fmt::format("{}{{{}}} {}\n", name, labels, value);
}

void Metrics::add_text(const std::string & text, const std::string & labels) {
    for (size_t start = 0, end = 0; (end = text.find('\n', start)) != std::string::npos; start = end + 1)
        add_line(text.substr(start, end - start), labels);
}

std::string Metrics::text() const {
    std::string result;
    for (const auto & [name, lines] : lines_)
        result += (heads_.contains(name) ? heads_.at(name) : "") + lines;
    return result;
}

void Metrics::add_line(const std::string & line, const std::string & labels) {
    if (line.starts_with("# ")) {
        const size_t name = line.find(' ', 2) + 1;
        const std::string word = line.substr(name, line.find(' ', name) - name);
        if (!lines_.contains(word)) heads_[word] += line + "\n";
        return;
    }
    const size_t name_end = line.find_first_of("{ ");
    if (name_end == std::string::npos) return;
    const std::string name = line.substr(0, name_end);
    if (line[name_end] == ' ') return add(name, labels, line.substr(name_end + 1));
    const size_t end = line.rfind("} ");  // a label's value may hold one, too; what follows the last is a number
    if (end == std::string::npos) return;
    const std::string own = line.substr(name_end + 1, end - name_end - 1);
    const char * comma = labels.empty() || own.empty() ? "" : ",";
    add(name, labels + comma + own, line.substr(end + 2));
}

}  // namespace shimmy::serve
