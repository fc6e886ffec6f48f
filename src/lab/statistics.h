// Summary of a sample: what a table cell and its spread are made from.
#pragma once

#include <cstddef>
#include <vector>

namespace shimmy::lab {

// All figures are in the unit of the samples. `stddev` is the sample standard deviation (n - 1 in the denominator),
// 0 for one sample.
struct Statistics {
    size_t n = 0;
    double min = 0.0;
    double q1 = 0.0;  // first quartile
    double median = 0.0;
    double q3 = 0.0;  // third quartile
    double max = 0.0;
    double mean = 0.0;
    double stddev = 0.0;
};

// Value below which the share `p` (0..1) of `sorted` lies, by linear interpolation between neighbours: Hyndman and
// Fan's type 7, which R and NumPy use by default. `sorted` is ascending and not empty.
double quantile(const std::vector<double> & sorted, double p);

// Throws Error for an empty sample or one that holds a value that is not finite: there is nothing to summarize.
Statistics summarize(std::vector<double> samples);

}  // namespace shimmy::lab
