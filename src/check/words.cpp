#include "check/words.h"

#include <algorithm>
#include <cctype>
#include <sstream>

namespace shimmy::check {

std::vector<std::string> words(std::string_view text) {
    std::istringstream stream{std::string(text)};
    std::vector<std::string> result;
    for (std::string word; stream >> word;)
        result.push_back(word);
    return result;
}

std::vector<std::string> lines(std::string_view text) {
    std::istringstream stream{std::string(text)};
    std::vector<std::string> result;
    for (std::string line; std::getline(stream, line);) {
        const size_t begin = line.find_first_not_of(" \t\r");
        const size_t end = line.find_last_not_of(" \t\r");
        result.push_back(begin == std::string::npos ? "" : line.substr(begin, end - begin + 1));
    }
    return result;
}

}  // namespace shimmy::check
