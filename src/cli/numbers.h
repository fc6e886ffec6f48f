// Checks of numbers on the command line. "nan" and "inf" are none, though CLI11 reads them and every range of its own
// takes nan. Their descriptions stand in --help and on the reference page.
#pragma once

#include <CLI/CLI.hpp>

namespace shimmy::cli {

CLI::Validator at_least_zero();
CLI::Validator above_zero();
CLI::Validator from_to(double least, double most);

}  // namespace shimmy::cli
