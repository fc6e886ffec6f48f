// Summary of a sample: what a table cell and its spread are made from.
#pragma once

#include <cstddef>
#include <optional>
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
    size_t n_outliers = 0;  // set by those who know the samples' groups

    // Half the width of the 95% interval of the mean (Student's t with n - 1 degrees of freedom); nullopt for one
    // sample, of which nothing is known.
    std::optional<double> ci95_half_width() const;
};

// Value below which the share `p` (0..1) of `sorted` lies, by linear interpolation between neighbours: Hyndman and
// Fan's type 7, which R and NumPy use by default. `sorted` is ascending and not empty.
double quantile(const std::vector<double> & sorted, double p);

// The t that 95% of Student's distribution lie within (two-sided), for n - 1 = `degrees` >= 1.
double student_t95(size_t degrees);

// Which samples lie beyond Tukey's fences: 1.5 interquartile ranges outside the quartiles. Fewer than four give none.
std::vector<bool> tukey_outliers(const std::vector<double> & samples);

// Throws Error for an empty sample or one that holds a value that is not finite: there is nothing to summarize.
Statistics summarize(std::vector<double> samples);

}  // namespace shimmy::lab
