#include "report/svg_charts.h"

#include "base/error.h"
#include "base/subprocess.h"
#include "base/units.h"
#include "report/text.h"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace shimmy::report {

namespace {

// A white ground: the Hub shows pictures on dark pages as they are.
constexpr const char * PREAMBLE = R"(set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
)";

std::string gnuplot(const std::string & script) {
    std::string name = (fs::temp_directory_path() / "shimmy-plot-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    if (fd < 0) fail("{}: cannot be made", name);
    ::close(fd);
    write_file_atomic(name, PREAMBLE + script);
    ProcessResult result;
    try {
        result = run_process({"gnuplot", name}, std::chrono::seconds(30));
    } catch (const Error &) {
        fs::remove(name);
        fail("gnuplot is needed for the charts of model cards: apt-get install gnuplot-nox");
    }
    fs::remove(name);
    if (!result.ok() || result.out.find("</svg>") == std::string::npos)
        fail("gnuplot could not draw a chart: {}", result.err);
    return result.out;
}

struct Unit {
    double bytes;
    const char * name;
};

Unit unit_of(const std::vector<const Json *> & cells) {
    uint64_t most = 0;
    for (const Json * cell : cells)
        most = std::max(most, bytes_of(*cell, "vram_bytes"));
    return most >= GIB ? Unit{static_cast<double>(GIB), "GiB"} : Unit{static_cast<double>(MIB), "MiB"};
}

std::string short_placement(const std::string & placement) {
    return placement.starts_with("n_cpu_moe=") ? "N=" + placement.substr(10) : placement;
}

}  // namespace

std::string vram_svg(const Json & summary, const std::string & model) {
    const auto cells = cells_of(summary, model);
    const Unit unit = unit_of(cells);
    std::string data;
    for (const Json * cell : cells) {
        const Json & vram = (*cell)["vram"];
        data +=
            fmt::format("\"{}\\n{}\" {:.4f} {:.4f} {:.4f}\n", text_of(*cell, "quantization"),
                        short_placement(text_of(*cell, "placement")), number_of(vram, "model_bytes") / unit.bytes,
                        number_of(vram, "context_bytes") / unit.bytes, number_of(vram, "compute_bytes") / unit.bytes);
    }
    return gnuplot(fmt::format(
        "$data << EOD\n{}EOD\nset style data histograms\nset style histogram rowstacked\n"
        "set boxwidth 0.7\nset yrange [0:*]\nset ylabel \"VRAM, {}\"\nset key outside top center horizontal\n"
        "set xtics font \",10\"\n"
        "plot $data using 2:xtic(1) title \"model\" lc rgb \"#0072b2\", "
        "'' using 3 title \"KV cache\" lc rgb \"#e69f00\", "
        "'' using 4 title \"compute\" lc rgb \"#009e73\"\n",
        data, unit.name));
}

std::string speed_svg(const Json & summary, const std::string & model) {
    static constexpr std::array COLORS{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"};
    const auto cells = cells_of(summary, model);
    const Unit unit = unit_of(cells);
    std::string blocks;
    std::string plots;
    const Json & placements = summary["settings"]["placements"];
    for (size_t i = 0; i < placements.size(); ++i) {
        std::string data;
        for (const Json * cell : cells) {
            if ((*cell)["placement"] != placements[i]) continue;
            const Json & rate = (*cell)["decode_tps"];
            data += fmt::format("{:.4f} {:.4f} {:.4f} {:.4f} \"{}\"\n", number_of(*cell, "vram_bytes") / unit.bytes,
                                number_of(rate, "median"), number_of(rate, "min"), number_of(rate, "max"),
                                text_of(*cell, "quantization"));
        }
        if (data.empty()) continue;
        blocks += fmt::format("$data{} << EOD\n{}EOD\n", i, data);
        plots += fmt::format(
            "{}$data{} using 1:2:3:4 with yerrorbars pt {} ps 1.2 lw 1.5 lc rgb \"{}\" title \"{}\", "
            "$data{} using 1:2:5 with labels offset 0.8,0.6 left font \",10\" notitle",
            plots.empty() ? "" : ", ", i, 5 + 2 * (i % 4), COLORS[i % COLORS.size()], short_placement(placements[i]),
            i);
    }
    return gnuplot(
        fmt::format("{}set xrange [0:*]\nset yrange [0:*]\nset offsets graph 0, graph 0.08, graph 0.05, 0\n"
                    "set xlabel \"VRAM, {}\"\n"
                    "set ylabel \"decode, tokens/s{}\"\nset key outside top center horizontal\nplot {}\n",
                    blocks, unit.name, is_software(summary) ? " (software device)" : "", plots));
}

std::string quality_svg(const Json & summary, const std::string & model, const Quality & quality) {
    std::vector<std::pair<double, std::string>> lines;
    for (const Json & variant : summary["variants"]) {
        if (variant["model"] != model) continue;
        const Json * entry = quality.of(model, variant["quantization"]);
        if (entry == nullptr) continue;
        const double bits = number_of(*entry, "bits_per_weight");
        lines.emplace_back(bits, fmt::format("{:.4f} {:.6f} {:.6f} \"{}\"\n", bits, number_of(*entry, "mean_kld"),
                                             number_of(*entry, "mean_kld_error"), text_of(variant, "quantization")));
    }
    std::sort(lines.begin(), lines.end());
    std::string data;
    for (const auto & [bits, line] : lines)
        data += line;
    return gnuplot(fmt::format(
        "$data << EOD\n{}EOD\nset offsets graph 0.04, graph 0.1, graph 0.1, 0\n"
        "set yrange [0:*]\nset xlabel \"bits per weight\"\nset ylabel \"mean KL divergence from the base\"\n"
        "plot $data using 1:2:3 with yerrorbars pt 7 ps 1.2 lc rgb \"#0072b2\" notitle, "
        "$data using 1:2 with lines lc rgb \"#0072b2\" notitle, "
        "$data using 1:2:4 with labels offset 0.8,0.6 left font \",10\" notitle\n",
        data));
}

}  // namespace shimmy::report
