// What the charts of model cards share: gnuplot, colours, units.
#pragma once

#include "lab/measure/summary.h"

#include <array>
#include <string>
#include <vector>

namespace shimmy::report {

enum class Picture { svg, png };

// The whole file that a script draws. Throws Error with gnuplot's reason, or that it is not installed.
std::string gnuplot(const std::string & script, Picture picture = Picture::svg);

// Okabe and Ito's colours, which people with a colour vision deficiency can tell apart.
inline constexpr std::array COLORS{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"};

// Of an axis: GiB or MiB, by the largest value.
struct Unit {
    double bytes;
    const char * name;

    double of(uint64_t n_bytes) const { return static_cast<double>(n_bytes) / bytes; }
};
Unit unit_of(double most_bytes);
Unit unit_of(const std::vector<const lab::Cell *> & cells);  // of their VRAM

std::string short_placement(engine::Placement placement);  // "N=12" for "n_cpu_moe=12"

}  // namespace shimmy::report
