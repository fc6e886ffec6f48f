// The languages that documents are written in: the same values serve a page and a Markdown file.
#pragma once

#include "report/text/table.h"

#include <string>

namespace shimmy::report {

enum class Markup { markdown, html };

// A text that people or programs wrote, on one line and shown as it is: nothing in it becomes an element, a link or
// emphasis.
std::string text_in(Markup markup, const std::string & text);
std::string code_in(Markup markup, const std::string & text);

// Several lines, as they are, in a fixed width; "" of nothing. In Markdown an indented block, which no line can end.
std::string block_in(Markup markup, const std::string & text);

// Without a line break at its end: a template has its own. "" without rows. In HTML, the lines of a <table>; of a cell
// of several lines, the first is its figure.
std::string table_in(Markup markup, const Table & table);

}  // namespace shimmy::report
