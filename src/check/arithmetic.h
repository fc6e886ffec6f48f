// Arithmetic in prose: is every written step right, and what does the text end on.
#pragma once

#include <string>
#include <vector>

namespace shimmy::check {

// Steps of the form "60 * 2 = 120" (+ - * x × · / ÷ ^, parentheses, chains of =, words for units between numbers,
// thousands separators) whose two sides differ by more than the digits shown explain, as they are written: empty if
// every step is right. A side that holds a variable, or no operator, is no step.
std::vector<std::string> wrong_steps(const std::string & text);

// The numbers of the last sentence that has any.
std::vector<double> final_numbers(const std::string & text);

}  // namespace shimmy::check
