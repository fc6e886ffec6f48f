#include "report/figures/sources.h"

#include "base/files.h"
#include "report/figures/axes.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

namespace {

Source source_of(const lab::Summary & summary, const lab::Cell & cell) {
    Source source{fmt::format("{}, {}", cell_name(summary, cell), mode_name(cell.mode)), {}};
    for (const lab::Sample & sample : cell.samples)
        source.files.push_back(sample.file);
    return source;
}

template <typename Wanted>
std::vector<Source> sources_where(const lab::Summary & summary, const std::string & model, const Wanted & wanted) {
    std::vector<Source> sources;
    for (const lab::Cell & cell : summary.cells) {
        if (cell.model == model && !cell.samples.empty() && wanted(cell)) sources.push_back(source_of(summary, cell));
    }
    return sources;
}

}  // namespace

std::vector<Source> base_sources(const lab::Summary & summary, const std::string & model) {
    const auto cells = cells_of(summary, model);
    return sources_where(summary, model, [&](const lab::Cell & cell) {
        return std::find(cells.begin(), cells.end(), &cell) != cells.end();
    });
}

std::vector<Source> cell_sources(const lab::Summary & summary, const std::string & model) {
    return sources_where(summary, model, [](const lab::Cell &) { return true; });
}

std::vector<Source> streaming_sources(const lab::Summary & summary, const std::string & model) {
    return sources_where(summary, model, [](const lab::Cell & cell) { return cell.mode != lab::Mode::generate; });
}

std::vector<Source> load_sources(const lab::Summary & summary, const std::string & model) {
    std::vector<Source> sources;
    for (const lab::LoadFigures & load : summary.load) {
        if (load.model != model) continue;
        const std::string name = cell_name(summary, load);
        if (!sources.empty() && sources.back().name == name) continue;
        const fs::path folder = lab::result_folder(summary.campaign, load.model, load.quantization, load.placement,
                                                   lab::Mode::load, load.point);
        sources.push_back({name, {folder.lexically_relative(summary.campaign.out_dir).generic_string() + "/"}});
    }
    return sources;
}

std::vector<Source> task_sources(const lab::Summary & summary, const std::string & model) {
    std::vector<Source> sources;
    for (const lab::TaskFigures & task : summary.tasks) {
        if (task.model == model) sources.push_back({task.quantization + ", " + task.task, {task.file}});
    }
    return sources;
}

std::string file_list(const std::vector<Source> & sources) {
    std::string list;
    for (const Source & source : sources) {
        list += fmt::format("{}- {}:", list.empty() ? "" : "\n", markdown_text(source.name));
        for (const std::string & file : source.files) {
            const fs::path path(file);
            list += fmt::format(" [{}]({})", path.has_filename() ? path.stem().string() : "folder", file);
        }
    }
    return list;
}

std::string n_files_text(const std::vector<Source> & sources) {
    size_t n_files = 0;
    bool folders = false;
    for (const Source & source : sources) {
        n_files += source.files.size();
        folders = folders || (!source.files.empty() && source.files.front().ends_with('/'));
    }
    const char * what = folders ? "folder" : "result file";
    return fmt::format("{} {}{}", n_files, what, n_files == 1 ? "" : "s");
}

}  // namespace shimmy::report
