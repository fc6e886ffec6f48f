// What an answer in words comes down to, and whether it is the right one: GSM8K's rules in lm-evaluation-harness.
#pragma once

#include <optional>
#include <string>

namespace shimmy::eval {

// "exact_match": where the right answer ends in "#### 42", the number behind the first "####" of the answer given; else
// its first line. nullopt: there is none.
std::optional<std::string> strict_answer(const std::string & given, const std::string & right);

// "flexible_match": where the right answer is a number, the last number of the answer given; else as above.
std::optional<std::string> flexible_answer(const std::string & given, const std::string & right);

// Whether the two are the same but for letter case, "$", commas, a last full stop, and what stands before "#### ".
bool same_answer(const std::string & a, const std::string & b);

// The right answer itself, without the way to it.
std::string final_answer(const std::string & right);

}  // namespace shimmy::eval
