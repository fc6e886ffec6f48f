#include "library/names.h"

#include "base/error.h"
#include "base/text/text.h"

#include <algorithm>
#include <cctype>
#include <regex>

namespace shimmy::library {

namespace {

constexpr int MAX_PARTS = 99999;  // five digits in the file name

bool has_gguf_extension(const fs::path & file) {
    return lower(file.extension().string()) == ".gguf";
}

}  // namespace

std::string normalized_name(const std::string & stem) {
    std::string name = stem;
    for (char & c : name) {
        c = c == '_' || c == ' ' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return name;
}

std::optional<SplitPart> split_part(const std::string & file_name) {
    static const std::regex pattern("(.+)-([0-9]{5})-of-([0-9]{5})\\.gguf", std::regex::icase);
    std::smatch match;
    if (!std::regex_match(file_name, match, pattern)) return std::nullopt;
    const SplitPart part{match[1], std::stoi(match[2]), std::stoi(match[3])};
    if (part.part < 1 || part.part > part.parts || part.parts > MAX_PARTS) return std::nullopt;
    return part;
}

std::string split_file_name(const SplitPart & part) {
    return fmt::format("{}-{:05}-of-{:05}.gguf", part.stem, part.part, part.parts);
}

std::string name_stem(const fs::path & file) {
    if (const auto part = split_part(file.filename().string())) return part->stem;
    return has_gguf_extension(file) ? file.stem().string() : file.filename().string();
}

std::vector<fs::path> model_files(const fs::path & first) {
    auto part = split_part(first.filename().string());
    if (!part || part->parts == 1) return {first};
    std::vector<fs::path> files;
    for (part->part = 1; part->part <= part->parts; ++part->part) {
        fs::path file = first.parent_path() / split_file_name(*part);
        if (!fs::exists(file)) fail("{}: part {} of {} is missing", file.string(), part->part, part->parts);
        files.push_back(std::move(file));
    }
    return files;
}

// Optimal string alignment: Damerau-Levenshtein in which no substring is edited twice. Three rows of the table.
size_t edit_distance(const std::string & a, const std::string & b) {
    std::vector<size_t> before_previous(b.size() + 1);
    std::vector<size_t> previous(b.size() + 1);
    std::vector<size_t> current(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j)
        previous[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        current[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                current[j] = std::min(current[j], before_previous[j - 2] + 1);
            }
        }
        std::swap(before_previous, previous);
        std::swap(previous, current);
    }
    return previous[b.size()];
}

}  // namespace shimmy::library
