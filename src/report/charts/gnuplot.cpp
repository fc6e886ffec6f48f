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
    write_file_atomic(name, std::string(ENCODING) + (picture == Picture::svg ? SVG : PNG) + STYLE + script);
    ProcessResult result;
    try {
        result = run_process({"gnuplot", name}, std::chrono::seconds(30));
    } catch (const Error &) {
        fs::remove(name);
        fail("gnuplot is needed for the charts: apt-get install gnuplot-nox");
    }
    fs::remove(name);
    const bool drawn =
        picture == Picture::svg ? result.out.find("</svg>") != std::string::npos : result.out.starts_with("\x89PNG");
    if (!result.ok() || !drawn) fail("gnuplot could not draw a chart: {}", result.err);
    return result.out;
}

std::string drawn(const Chart & chart, Picture picture) {
    return gnuplot(gnuplot_script(chart), picture);
}

}  // namespace shimmy::report
