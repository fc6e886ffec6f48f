#include "report/text/table.h"

#include <algorithm>
#include <sstream>

namespace shimmy::report {

namespace {

std::vector<std::string> lines_of(const std::string & cell) {
    std::vector<std::string> lines;
    std::istringstream stream(cell);
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    if (lines.empty()) lines.emplace_back();
    return lines;
}

// Code points: bytes that do not continue a UTF-8 sequence.
size_t width_of(const std::string & line) {
    return static_cast<size_t>(std::count_if(line.begin(), line.end(),
                                             [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string pad(const std::string & line, size_t width, Table::Align align) {
    const std::string space(width - width_of(line), ' ');
    return align == Table::Align::left ? line + space : space + line;
}

std::string without_trailing_spaces(std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
}

void append_row(std::string & out, const std::vector<std::string> & cells, const std::vector<Table::Column> & columns,
                const std::vector<size_t> & widths) {
    std::vector<std::vector<std::string>> lines;
    size_t height = 0;
    for (const std::string & cell : cells) {
        lines.push_back(lines_of(cell));
        height = std::max(height, lines.back().size());
    }
    for (size_t y = 0; y < height; ++y) {
        std::string line;
        for (size_t x = 0; x < columns.size(); ++x) {
            const std::string piece = y < lines[x].size() ? lines[x][y] : "";
            line += (x == 0 ? "" : "  ") + pad(piece, widths[x], columns[x].align);
        }
        out += without_trailing_spaces(line) + "\n";
    }
}

std::string markdown_cell(const std::string & cell) {
    std::string out;
    for (const char c : cell) {
        if (c == '\n')
            out += "<br>";
        else if (c == '|')
            out += "\\|";
        else
            out += c;
    }
    return out;
}

}  // namespace

std::string Table::text() const {
    std::vector<std::string> titles;
    std::vector<size_t> widths;
    for (size_t x = 0; x < columns.size(); ++x) {
        titles.push_back(columns[x].title);
        size_t width = 0;
        for (const std::string & line : lines_of(columns[x].title))
            width = std::max(width, width_of(line));
        for (const auto & row : rows) {
            for (const std::string & line : lines_of(row[x]))
                width = std::max(width, width_of(line));
        }
        widths.push_back(width);
    }
    std::string out;
    append_row(out, titles, columns, widths);
    size_t total = columns.empty() ? 0 : 2 * (columns.size() - 1);
    for (const size_t width : widths)
        total += width;
    out += std::string(total, '-') + "\n";
    for (const auto & row : rows)
        append_row(out, row, columns, widths);
    return out;
}

std::string Table::markdown() const {
    std::string titles = "|";
    std::string rule = "|";
    for (const Column & column : columns) {
        titles += " " + markdown_cell(column.title) + " |";
        rule += column.align == Align::left ? " --- |" : " ---: |";
    }
    std::string out = titles + "\n" + rule + "\n";
    for (const auto & row : rows) {
        out += "|";
        for (const std::string & cell : row)
            out += " " + markdown_cell(cell) + " |";
        out += "\n";
    }
    return out;
}

}  // namespace shimmy::report
