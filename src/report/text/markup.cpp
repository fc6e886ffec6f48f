#include "report/text/markup.h"

#include "base/text/text.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace shimmy::report {

namespace {

constexpr size_t LONG_LINE = 34;  // bytes; a column of longer ones may be broken between words

std::string html_text(const std::string & text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

// Of a cell, as HTML; the marks that cells have for Markdown are left out.
std::vector<std::string> html_lines(std::string cell) {
    for (const std::string mark : {"**", "`"}) {
        for (size_t at = cell.find(mark); at != std::string::npos; at = cell.find(mark, at))
            cell.erase(at, mark.size());
    }
    std::vector<std::string> lines;
    std::istringstream stream(cell);
    for (std::string line; std::getline(stream, line);)
        lines.push_back(html_text(line));
    if (lines.empty()) lines.emplace_back();
    return lines;
}

std::string joined(const std::vector<std::string> & lines, size_t first) {
    std::string text;
    for (size_t i = first; i < lines.size(); ++i)
        text += (i == first ? "" : "<br>") + lines[i];
    return text;
}

std::string html_cell(const std::string & cell, Table::Align align) {
    const std::vector<std::string> lines = html_lines(cell);
    const bool left = align == Table::Align::left;
    const bool is_long = left && std::any_of(lines.begin(), lines.end(),
                                             [](const std::string & line) { return line.size() > LONG_LINE; });
    std::string text = lines.front();
    if (lines.size() > 1) text += left ? "<br>" + joined(lines, 1) : "<small>" + joined(lines, 1) + "</small>";
    return fmt::format("<td class=\"{}{}\">{}</td>", left ? "left" : "right", is_long ? " long" : "", text);
}

std::string html_table(const Table & table) {
    std::string out = "<tr>";
    for (const Table::Column & column : table.columns)
        out += fmt::format("<th class=\"{}\">{}</th>", column.align == Table::Align::left ? "left" : "right",
                           joined(html_lines(column.title), 0));
    out += "</tr>";
    for (const std::vector<std::string> & row : table.rows) {
        out += "\n<tr>";
        for (size_t i = 0; i < row.size(); ++i)
            out += html_cell(row[i], table.columns[i].align);
        out += "</tr>";
    }
    return out;
}

}  // namespace

std::string text_in(Markup markup, const std::string & text) {
    return markup == Markup::html ? html_text(one_line(text)) : markdown_text(text);
}

std::string code_in(Markup markup, const std::string & text) {
    return markup == Markup::html ? "<code>" + html_text(one_line(text)) + "</code>" : markdown_code(text);
}

std::string block_in(Markup markup, const std::string & text) {
    if (text.empty()) return "";
    const std::string shown = printable_lines(text);
    if (markup == Markup::html) return "<pre>" + html_text(shown) + "</pre>";
    std::istringstream stream(shown);
    std::string block;
    for (std::string line; std::getline(stream, line);)
        block += (block.empty() ? "    " : "\n    ") + line;
    return block;
}

std::string table_in(Markup markup, const Table & table) {
    if (table.rows.empty()) return "";
    if (markup == Markup::html) return html_table(table);
    std::string text = table.markdown();
    text.pop_back();  // its line break
    return text;
}

}  // namespace shimmy::report
