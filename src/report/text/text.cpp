#include "report/text/text.h"

#include "base/error.h"
#include "base/units.h"
#include "lab/measure/statistics.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>

namespace shimmy::report {

namespace {

const Json & field(const Json & object, const char * key) {
    if (!object.is_object() || !object.contains(key) || object[key].is_null())
        fail("the summary lacks '{}': run the campaign again with this version of shimmy", key);
    return object[key];
}

}  // namespace

std::string text_of(const Json & object, const char * key) {
    const Json & value = field(object, key);
    if (!value.is_string()) fail("the summary's '{}' is not text", key);
    return value;
}

double number_of(const Json & object, const char * key) {
    const Json & value = field(object, key);
    if (!value.is_number()) fail("the summary's '{}' is not a number", key);
    return value;
}

uint64_t bytes_of(const Json & object, const char * key) {
    return static_cast<uint64_t>(std::max(0.0, number_of(object, key)));
}

std::string text_or(const Json & object, const char * key, const std::string & fallback) {
    const bool there = object.is_object() && object.contains(key) && object[key].is_string();
    return there ? object[key].get<std::string>() : fallback;
}

std::string figure(double value) {
    if (value < 9.995) return fmt::format("{:.2f}", value);
    if (value < 99.95) return fmt::format("{:.1f}", value);
    return fmt::format("{:.0f}", value);
}

std::string size(const Json & object, const char * key) {
    return format_bytes(bytes_of(object, key));
}

std::string median_and_range(const Json & statistics) {
    return fmt::format("{}\n{}–{}", figure(number_of(statistics, "median")), figure(number_of(statistics, "min")),
                       figure(number_of(statistics, "max")));
}

std::string mean_and_interval(const Json & statistics) {
    const double mean = number_of(statistics, "mean");
    if (statistics["ci95_high"].is_null()) return figure(mean);
    return fmt::format("{} ± {}", figure(mean), figure(number_of(statistics, "ci95_high") - mean));
}

std::string plus_minus(double value, double error, int decimals) {
    return fmt::format("{:.{}f} ± {:.{}f}", value, decimals, error, decimals);
}

std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return text;
}

std::string markdown_text(const std::string & text) {
    static const std::map<char, std::string> entities{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}};
    const std::string line = one_line(text);
    const auto is_word = [&](size_t at) {
        return at < line.size() && std::isalnum(static_cast<unsigned char>(line[at])) != 0;
    };
    std::string out;
    for (size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        const bool in_a_word = c == '_' && i > 0 && is_word(i - 1) && is_word(i + 1);  // "Q4_K_M" is no emphasis
        const auto entity = entities.find(c);
        if (entity != entities.end())
            out += entity->second;
        else if (!in_a_word && std::strchr("\\`*_[]~!", c) != nullptr)
            out += std::string("\\") + c;
        else
            out += c;
    }
    return out;
}

std::string markdown_code(const std::string & text) {
    std::string line = one_line(text);
    std::erase(line, '`');
    return "`" + line + "`";
}

bool is_software(const Json & summary) {
    return summary.contains("device") && summary["device"].value("software", false);
}

bool is_synthetic(const Json & summary, const std::string & model) {
    const Json & models = field(summary, "models");
    return std::any_of(models.begin(), models.end(),
                       [&](const Json & other) { return other["name"] == model && other["shape"].is_string(); });
}

std::string device_line(const Json & summary) {
    const Json & device = field(summary, "device");
    return fmt::format("{}: {} ({}, {}){}", text_of(device, "name"), text_of(device, "description"),
                       text_of(device, "backend"), text_of(device, "kind"),
                       is_software(summary) ? " — software device: speeds are not a GPU's" : "");
}

std::string host_line(const Json & summary) {
    const Json & host = field(summary, "host");
    return fmt::format("{}, {} cores, {} RAM, {}", text_of(host, "cpu"), number_of(host, "n_cores"),
                       size(host, "ram_bytes"), text_of(host, "os"));
}

std::string mode_name(const std::string & mode) {
    if (mode == "stream") return "HTTP, streaming";
    if (mode == "no-stream") return "HTTP, not streaming";
    return "in process";
}

std::string table_mode(const Json & summary) {
    const Json & modes = field(field(summary, "settings"), "modes");
    if (std::find(modes.begin(), modes.end(), "generate") != modes.end() || modes.empty()) return "generate";
    return modes.front();
}

std::vector<const Json *> cells_of(const Json & summary, const std::string & model) {
    const std::string mode = table_mode(summary);
    std::vector<const Json *> cells;
    for (const Json & cell : field(summary, "cells")) {
        const bool wanted = (model.empty() || cell["model"] == model) && cell["mode"] == mode;
        if (wanted && cell.contains("decode_tps")) cells.push_back(&cell);
    }
    return cells;
}

std::vector<const Json *> rows_of(const Json & summary, const std::string & model) {
    std::vector<const Json *> rows;
    for (const Json & row : field(summary, "rows")) {
        if (model.empty() || row["model"] == model) rows.push_back(&row);
    }
    return rows;
}

std::string cell_name(const Json & cell) {
    return fmt::format("{} {}", text_of(cell, "quantization"), text_of(cell, "placement"));
}

double spread_of(const Json & cell, const char * name) {
    std::map<std::string, std::vector<double>> by_prompt;
    for (const Json & sample : cell["samples"])
        by_prompt[sample["prompt_id"]].push_back(number_of(sample, name));
    std::vector<double> relative;
    bool repeated = false;
    for (auto & [prompt, values] : by_prompt) {
        repeated = repeated || values.size() > 1;
        const double median = lab::summarize(values).median;
        for (const double value : values)
            if (median > 0.0) relative.push_back(value / median);
    }
    if (!repeated || relative.size() < 2) return 0.0;
    const lab::Statistics statistics = lab::summarize(relative);
    return statistics.mean > 0.0 ? statistics.stddev / statistics.mean : 0.0;
}

}  // namespace shimmy::report
