#include "report/figures/selection.h"

#include <map>

namespace shimmy::report {

namespace {

template <typename T, typename Fits>
std::vector<const T *> chosen(const std::vector<T> & items, const Fits & fits) {
    std::vector<const T *> found;
    for (const T & item : items) {
        if (fits(item)) found.push_back(&item);
    }
    return found;
}

}  // namespace

std::vector<const lab::Cell *> cells_of(const lab::Summary & summary, const std::string & model) {
    return chosen(summary.cells, [&, mode = summary.table_mode()](const lab::Cell & cell) {
        return cell.model == model && cell.mode == mode && cell.figures && cell.at_base;
    });
}

std::vector<const lab::Row *> rows_of(const lab::Summary & summary, const std::string & model) {
    return chosen(summary.rows, [&](const lab::Row & row) { return row.model == model && row.at_base; });
}

std::vector<const lab::MeasuredFile *> variants_of(const lab::Summary & summary, const std::string & model) {
    return chosen(summary.variants, [&](const lab::MeasuredFile & file) { return file.model == model; });
}

double spread_of(const lab::Cell & cell, double lab::Sample::*figure) {
    std::map<std::string, std::vector<double>> by_prompt;
    for (const lab::Sample & sample : cell.samples)
        by_prompt[sample.prompt_id].push_back(sample.*figure);
    std::vector<double> relative;
    for (auto & [prompt, values] : by_prompt) {
        const double median = lab::summarize(values).median;
        for (const double value : values)
            if (median > 0.0) relative.push_back(value / median);
    }
    if (relative.size() < 2) return 0.0;
    const lab::Statistics statistics = lab::summarize(relative);
    return statistics.mean > 0.0 ? statistics.stddev / statistics.mean : 0.0;
}

}  // namespace shimmy::report
