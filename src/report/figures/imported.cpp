#include "report/figures/imported.h"

#include "report/figures/axes.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

namespace {

using Align = Table::Align;

Table empty_table() {
    Table table;
    table.columns = {{"measured by", Align::left},
                     {"on", Align::left},
                     {"file", Align::left},
                     {"placement", Align::left},
                     {"threads"},
                     {"ubatch"},
                     {"KV cache", Align::left},
                     {"test", Align::left},
                     {"tok/s"},
                     {"n"}};
    return table;
}

std::string place_of(const lab::ImportedTest & test) {
    return test.gpu.empty() || test.n_gpu_layers == 0 ? test.cpu : test.gpu;
}

std::string rate_text(const lab::ImportedTest & test) {
    if (!test.tps.empty()) return mean_and_interval(lab::summarize(test.tps));
    return fmt::format("{} (standard deviation {})", figure(test.mean_tps), figure(test.stddev_tps));
}

std::string cache_text(const std::string & type_k, const std::string & type_v) {
    return type_k == type_v ? type_k : type_k + "/" + type_v;
}

void add_imported(Table & table, const lab::ImportedFile & imported) {
    for (const lab::ImportedTest & test : imported.tests) {
        table.rows.push_back({"llama-bench " + test.build, place_of(test), test.model_file, test.placement(),
                              fmt::format("{}", test.n_threads), fmt::format("{}", test.n_ubatch),
                              cache_text(test.cache_type_k, test.cache_type_v), test.name(), rate_text(test),
                              test.tps.empty() ? "-" : fmt::format("{}", test.tps.size())});
    }
}

bool is_imported(const std::vector<lab::ImportedFile> & imported, const std::string & name) {
    return std::any_of(imported.begin(), imported.end(), [&](const lab::ImportedFile & file) {
        return std::any_of(file.tests.begin(), file.tests.end(),
                           [&](const lab::ImportedTest & test) { return test.model_file == name; });
    });
}

void add_own(Table & table, const lab::Summary & summary, const lab::Cell & cell, const std::string & name) {
    const auto setting = [&](const char * key, const std::string & fallback) {
        const std::string * value = lab::value_of(cell.point, key);
        return value == nullptr ? fallback : *value;
    };
    const lab::Conditions & conditions = summary.conditions;
    const std::string type_k = setting("cache_type_k", setting("cache_type", "f16"));
    const std::string type_v = setting("cache_type_v", setting("cache_type", "f16"));
    const auto add = [&](const char * test, const lab::Statistics & rate) {
        table.rows.push_back({"shimmy " + conditions.shimmy_version, conditions.device.description, name,
                              engine::to_string(cell.placement),
                              setting("threads", fmt::format("{}", conditions.n_threads)), setting("ubatch", "512"),
                              cache_text(type_k, type_v), test, mean_and_interval(rate), fmt::format("{}", rate.n)});
    };
    add("prefill of the prompts", cell.figures->prefill_tps);
    add("decode of the answers", cell.figures->decode_tps);
}

}  // namespace

Table imported_table(const lab::Summary & summary, const std::vector<lab::ImportedFile> & imported) {
    Table table = empty_table();
    for (const lab::MeasuredFile & file : summary.variants) {
        const std::string name = fs::path(file.file).filename().string();
        if (!is_imported(imported, name)) continue;
        for (const lab::Cell * cell : cells_of(summary, file.model)) {
            if (cell->quantization == file.quantization) add_own(table, summary, *cell, name);
        }
    }
    for (const lab::ImportedFile & file : imported)
        add_imported(table, file);
    return table;
}

Table imported_table(const lab::ImportedFile & imported) {
    Table table = empty_table();
    add_imported(table, imported);
    return table;
}

}  // namespace shimmy::report
