#include "report/charts/gnuplot.h"

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "report/charts/gnuplot_script.h"

#include <unistd.h>

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

}  // namespace

std::string gnuplot(const std::string & script, Picture picture) {
    std::string name = (temporary_dir() / "shimmy-plot-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    if (fd < 0) fail("{}: cannot be made", name);
    ::close(fd);
    const char * terminal = picture == Picture::png ? PNG : picture == Picture::wide_svg ? WIDE_SVG : SVG;
    write_file_atomic(name, std::string(ENCODING) + terminal + STYLE + script);
    ProcessResult result;
    try {
        result = run_process({"gnuplot", name}, std::chrono::seconds(30));
    } catch (const Error &) {
        fs::remove(name);
        fail("gnuplot is needed for the charts: apt-get install gnuplot-nox");
    }
    fs::remove(name);
    const bool drawn =
        picture == Picture::png ? result.out.starts_with("\x89PNG") : result.out.find("</svg>") != std::string::npos;
    if (!result.ok() || !drawn) fail("gnuplot could not draw a chart: {}", result.err);
    return result.out;
}

std::string drawn(const Chart & chart, Picture picture) {
    return gnuplot(gnuplot_script(chart), chart.is_wide && picture == Picture::svg ? Picture::wide_svg : picture);
}

}  // namespace shimmy::report
