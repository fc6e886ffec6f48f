#include "report/documents/documents.h"

#include "base/error.h"
#include "base/json.h"
#include "lab/measure/summary_json.h"
#include "report/charts/gnuplot.h"
#include "report/charts/model_charts.h"
#include "report/documents/answers.h"
#include "report/documents/card.h"
#include "report/documents/checklist.h"
#include "report/documents/html.h"
#include "report/documents/publication.h"
#include "report/figures/quality.h"
#include "report/figures/tables.h"
#include "report/values/values.h"

#include <set>

namespace shimmy::report {

namespace {

class Writer {
public:
    explicit Writer(const fs::path & out_dir) : out_dir_(out_dir) {}

    void write(const fs::path & name, const std::string & content) {
        const fs::path file = out_dir_ / name;
        make_folders(file.parent_path());
        write_file_atomic(file, content);
        documents.written.push_back(file);
    }

    // A document of an earlier time must not pass for one of these figures.
    void refuse(const fs::path & name, const std::string & reason) {
        fs::remove_all(out_dir_ / name);
        documents.refused.push_back(fmt::format("{} not written: {}", name.string(), reason));
    }

    Documents documents;

private:
    fs::path out_dir_;
};

void write_cards(const Sources & sources, const std::string & rerun_command, const Templates & templates,
                 Writer & writer) {
    for (const CardRepo & repo : card_repos(sources.summary)) {
        const fs::path folder = fs::path("cards") / repo.name;
        const std::vector<std::string> obstacles =
            card_obstacles(sources.summary, sources.quality, repo, rerun_command);
        if (!obstacles.empty()) {
            writer.refuse(folder / "README.md", fmt::format("{}", fmt::join(obstacles, "; ")));
            continue;
        }
        for (const auto & [name, content] : card_files(sources, repo, templates))
            writer.write(folder / name, content);
    }
}

// Charts of an earlier time that the campaign has no more.
void remove_other_charts(const fs::path & folder, const std::set<std::string> & files) {
    if (!fs::is_directory(folder)) return;
    std::vector<fs::path> there;
    for (const fs::directory_entry & entry : fs::directory_iterator(folder))
        there.push_back(entry.path());
    for (const fs::path & path : there) {
        const bool is_chart = path.extension() == ".svg" || path.extension() == ".png";
        if (is_chart && !files.contains(path.stem().string())) fs::remove(path);
    }
}

// Each as SVG and as PNG; files without their endings.
void write_pictures(const std::vector<FileChart> & charts, const std::vector<std::string> & files, Writer & writer) {
    std::vector<Drawing> drawings;
    for (const FileChart & chart : charts)
        for (const Picture picture : {Picture::svg, Picture::png})
            drawings.push_back(drawing_of(chart.chart, picture));
    const std::vector<std::string> pictures = gnuplot(drawings);
    for (size_t i = 0; i < charts.size(); ++i) {
        writer.write(files[i] + ".svg", pictures[2 * i]);
        writer.write(files[i] + ".png", pictures[2 * i + 1]);
    }
}

// Returns the charts of each model for templates. Without gnuplot, the documents have none.
Json write_charts(const lab::Summary & summary, const Quality & quality, const fs::path & out_dir, Writer & writer) {
    Json all = Json::object();
    for (const lab::CampaignModel & model : summary.campaign.models) {
        all[model.name] = Json::array();
        const std::vector<FileChart> charts = file_charts(summary, model.name, quality);
        std::set<std::string> names;
        std::vector<std::string> files;
        for (const FileChart & chart : charts) {
            names.insert(chart.file);
            files.push_back(fmt::format("charts/{}/{}", model.name, chart.file));
        }
        try {
            write_pictures(charts, files, writer);
        } catch (const Interrupted &) {
            throw;
        } catch (const Error & error) {
            writer.refuse("charts", error.what());
            return Json::object();
        }
        for (size_t i = 0; i < charts.size(); ++i) {
            const FileChart & chart = charts[i];
            all[model.name].push_back({{"title", chart.title},
                                       {"file", files[i] + ".svg"},
                                       {"place", chart.place},
                                       {"source", chart.source},
                                       {"shows_quality", chart.chart.shows_quality}});
        }
        remove_other_charts(out_dir / "charts" / model.name, names);
    }
    return all;
}

}  // namespace

Documents write_documents(const lab::Summary & summary, const fs::path & out_dir, const std::string & campaign_file,
                          const std::string & rerun_command, const Templates & templates) {
    const Quality quality(summary, out_dir);
    const Commands commands{rerun_command,
                            fmt::format("shimmy lab run {} --moe-backend on --out {}", campaign_file,
                                        (out_dir.parent_path() / (out_dir.filename().string() + "-experts")).string()),
                            fmt::format("shimmy publish {} --repo USER/NAME", campaign_file)};
    Writer writer(out_dir);
    writer.write("summary.json", json_text(lab::to_json(summary)) + "\n");
    writer.write("results.csv", results_csv(summary));
    const Sources sources{summary, quality, commands, lab::read_imported(out_dir),
                          read_predicted_cards(summary, out_dir)};
    Json values = document_values(sources, templates);
    const Publication publication(summary, out_dir);
    for (Json & model : values["models"])
        model["checks"] = checklist_values(summary, quality, publication, model["name"]);
    const Json charts = write_charts(summary, quality, out_dir, writer);
    for (Json & model : values["models"])
        model["charts"] = charts.value(model["name"].get<std::string>(), Json::array());
    writer.write("report.md", templates.render("report.md.jinja", values));
    writer.write("report.html", html_report(sources, templates));
    writer.write("checklist.md", templates.render("checklist.md.jinja", values));
    const std::string answers = answers_document(summary);
    if (!answers.empty()) writer.write("answers.md", answers);
    values["has_answers"] = !answers.empty();
    if (summary.has_figures()) {
        writer.write("whitepaper.md", templates.render("whitepaper.md.jinja", values));
    } else {
        writer.refuse("whitepaper.md", "no run has figures: " + rerun_command);
    }
    write_cards(sources, rerun_command, templates, writer);
    return writer.documents;
}

std::string describe(const Documents & documents, const fs::path & out_dir) {
    std::string out = fmt::format("Documents in {}:\n", out_dir.string());
    for (const fs::path & file : documents.written) {
        if (file.extension() != ".svg" && file.extension() != ".png")
            out += fmt::format("  {}\n", fs::relative(file, out_dir).string());
    }
    for (const std::string & reason : documents.refused)
        out += fmt::format("  {}\n", reason);
    return out;
}

}  // namespace shimmy::report
