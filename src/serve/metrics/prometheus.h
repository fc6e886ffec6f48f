// Prometheus' text format, put together from several programs' lines.
#pragma once

#include <map>
#include <string>

namespace shimmy::serve {

// "text", with what the format wants escaped.
std::string label_value(const std::string & text);

// Lines of the text format, those of one name together as it wants them.
class Metrics {
public:
    void describe(const std::string & name, const std::string & type, const std::string & help);
    // `labels`: "model=\"a\",kind=\"b\"", or nothing.
    void add(const std::string & name, const std::string & labels, const std::string & value);
    // Another program's lines, with `labels` before their own.
    void add_text(const std::string & text, const std::string & labels);
    std::string text() const;

private:
    void add_line(const std::string & line, const std::string & labels);

    std::map<std::string, std::string> heads_;
    std::map<std::string, std::string> lines_;
};

}  // namespace shimmy::serve
