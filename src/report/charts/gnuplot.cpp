#include "report/charts/gnuplot.h"

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "report/charts/gnuplot_script.h"

#include <fmt/format.h>
#include <stdlib.h>

namespace shimmy::report {

namespace {

// A white ground: the Hub shows pictures on dark pages as they are.
constexpr const char * ENCODING = "set encoding utf8\n";
constexpr const char * SVG =
    "set terminal svg size 760,400 font \"Helvetica,13\" noenhanced background rgb \"white\"\n";
constexpr const char * WIDE_SVG =
    "set terminal svg size 1280,600 font \"Helvetica,13\" noenhanced background rgb \"white\"\n";
// Twice as large, for screens of today; Cairo's letters are the better ones.
constexpr const char * PNG = R"(if (strstrt(GPVAL_TERMINALS, "pngcairo")) {
  set terminal pngcairo size 1520,800 fontscale 1.9 linewidth 2 pointscale 2 noenhanced background rgb "white"
} else {
  set terminal png size 1520,800 medium noenhanced background "#ffffff"
}
)";
constexpr const char * STYLE = R"(set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
)";

// A folder for gnuplot's script and pictures, gone with the object.
class Workshop {
public:
    Workshop() : path_((temporary_dir() / "shimmy-plot-XXXXXX").string()) {
        if (::mkdtemp(path_.data()) == nullptr) fail("{}: cannot be made", path_);
    }
    ~Workshop() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    Workshop(const Workshop &) = delete;
    Workshop & operator=(const Workshop &) = delete;

    std::string script() const { return path_ + "/script"; }
    std::string picture(size_t i) const { return fmt::format("{}/{}", path_, i); }

private:
    std::string path_;
};

const char * terminal_of(Picture picture) {
    return picture == Picture::png ? PNG : picture == Picture::wide_svg ? WIDE_SVG : SVG;
}

bool is_whole(const std::string & file, Picture picture) {
    return picture == Picture::png ? file.starts_with("\x89PNG") : file.find("</svg>") != std::string::npos;
}

// What it writes.
std::string run_gnuplot(const std::string & script, const Workshop & workshop, std::chrono::seconds patience) {
    write_file_atomic(workshop.script(), script);
    ProcessResult result;
    try {
        result = run_process({"gnuplot", workshop.script()}, patience);
    } catch (const Interrupted &) {
        throw;
    } catch (const Error &) {
        fail("gnuplot is needed for the charts: apt-get install gnuplot-nox");
    }
    if (!result.ok()) fail("gnuplot could not draw a chart: {}", result.err);
    return result.out;
}

}  // namespace

std::vector<std::string> gnuplot(const std::vector<Drawing> & drawings) {
    constexpr std::chrono::seconds PATIENCE{30};  // with one drawing
    const Workshop workshop;
    std::vector<std::string> files(drawings.size());
    std::string pngs;
    for (size_t i = 0; i < drawings.size(); ++i) {
        const std::string head = std::string(ENCODING) + terminal_of(drawings[i].picture) + STYLE;
        if (drawings[i].picture == Picture::png) {
            pngs += fmt::format("reset session\n{}set output '{}'\n{}\nunset output\n", head, workshop.picture(i),
                                drawings[i].script);
        } else {  // alone: an SVG begins with a colour and a hint that the one before it left
            files[i] = run_gnuplot(head + drawings[i].script, workshop, PATIENCE);
        }
    }
    if (!pngs.empty()) run_gnuplot(pngs, workshop, PATIENCE * drawings.size());
    for (size_t i = 0; i < drawings.size(); ++i) {
        if (drawings[i].picture == Picture::png && fs::exists(workshop.picture(i)))
            files[i] = read_file(workshop.picture(i));
        if (!is_whole(files[i], drawings[i].picture)) fail("gnuplot drew no picture");
    }
    return files;
}

Drawing drawing_of(const Chart & chart, Picture picture) {
    return {gnuplot_script(chart), chart.is_wide && picture == Picture::svg ? Picture::wide_svg : picture};
}

std::string drawn(const Chart & chart) {
    return gnuplot({drawing_of(chart)}).front();
}

}  // namespace shimmy::report
