// Tables for a terminal and for Markdown, from the same cells.
#pragma once

#include <string>
#include <vector>

namespace shimmy::report {

struct Table {
    enum class Align { left, right };
    struct Column {
        std::string title;  // may hold line breaks, as may cells
        Align align = Align::right;
    };

    std::vector<Column> columns;
    std::vector<std::vector<std::string>> rows;  // each as long as `columns`

    // Columns as wide as their widest line, two spaces apart, a rule under the titles. Text is UTF-8, one column per
    // code point.
    std::string text() const;

    // A GitHub table; line breaks become <br>.
    std::string markdown() const;
};

}  // namespace shimmy::report
