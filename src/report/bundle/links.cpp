#include "report/bundle/links.h"

#include <algorithm>

namespace shimmy::report {

namespace {

// What stands in "](…)".
std::vector<std::string> targets_of(const std::string & markdown) {
    std::vector<std::string> targets;
    for (size_t at = markdown.find("]("); at != std::string::npos; at = markdown.find("](", at + 2)) {
        if (at > 0 && markdown[at - 1] == '\\') continue;  // text of someone's, not a link
        const size_t end = markdown.find_first_of(") \n", at + 2);
        if (end != std::string::npos && markdown[end] == ')') targets.push_back(markdown.substr(at + 2, end - at - 2));
    }
    return targets;
}

bool is_inside(const fs::path & path) {
    const fs::path normal = path.lexically_normal();
    return normal.is_relative() && (normal.empty() || *normal.begin() != "..");
}

}  // namespace

std::vector<std::string> broken_links(const fs::path & dir) {
    std::vector<std::string> broken;
    std::vector<fs::path> documents;
    for (const fs::directory_entry & entry : fs::directory_iterator(dir)) {
        if (entry.is_regular_file() && entry.path().extension() == ".md") documents.push_back(entry.path());
    }
    std::sort(documents.begin(), documents.end());
    for (const fs::path & document : documents) {
        for (const std::string & target : targets_of(read_file(document))) {
            const bool elsewhere = target.find("://") != std::string::npos || target.starts_with('#') || target.empty();
            if (elsewhere || (is_inside(target) && fs::exists(dir / target))) continue;
            broken.push_back(document.filename().string() + ": " + target);
        }
    }
    return broken;
}

}  // namespace shimmy::report
