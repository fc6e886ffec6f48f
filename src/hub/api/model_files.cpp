#include "hub/api/model_files.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <regex>

namespace shimmy::hub {

namespace {

bool is_first_part(const std::string & name) {
    static const std::regex part(R"(-(\d{5})-of-\d{5}\.gguf$)", std::regex::icase);
    std::smatch match;
    return !std::regex_search(name, match, part) || match[1] == "00001";
}

// Parts that see or hear, and importance matrices: no language models.
bool is_other_part(const std::string & path) {
    const std::string name = upper(fs::path(path).filename().string());
    return name.find("MMPROJ") != std::string::npos || name.find("IMATRIX") != std::string::npos;
}

// Small models that guess ahead for a large one, by the words that llama.cpp and their makers use, in the name or as
// folders.
bool is_drafter(const std::string & path) {
    constexpr std::array WORDS{"MTP",    "NEXTN", "EAGLE",   "EAGLE2",     "EAGLE3",    "MEDUSA",
                               "DFLASH", "DRAFT", "DRAFTER", "SPECULATOR", "ASSISTANT", "DSPARK"};
    std::string words = path;  // "mtp_Model" has the word as "mtp-Model" has it
    std::replace(words.begin(), words.end(), '_', '-');
    return std::any_of(WORDS.begin(), WORDS.end(), [&](const char * word) { return names_quantization(words, word); });
}

bool is_language_model(const std::string & path) {
    return lower(path).ends_with(".gguf") && is_first_part(path) && !is_other_part(path);
}

// Of MXFP4_MOE, files say "MXFP4" too.
std::vector<std::string> spellings(const std::string & quantization) {
    if (upper(quantization) == "MXFP4_MOE") return {quantization, "MXFP4"};
    return {quantization};
}

size_t depth_of(const std::string & path) {
    return static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
}

bool is_dynamic(const std::string & path) {
    return names_quantization(path, "UD");
}

// Those that name the quantization; the ones that lie least deep, and without a "UD" (Unsloth's own mixtures) that was
// not asked for.
std::vector<std::string> holders_of(const std::vector<std::string> & models, const std::string & quantization) {
    std::vector<std::string> found;
    std::copy_if(models.begin(), models.end(), std::back_inserter(found),
                 [&](const std::string & file) { return names_quantization(file, quantization); });
    const auto keep = [&](const auto & wanted) {
        if (std::any_of(found.begin(), found.end(), wanted))
            std::erase_if(found, [&](const std::string & file) { return !wanted(file); });
    };
    size_t least = SIZE_MAX;
    for (const std::string & file : found)
        least = std::min(least, depth_of(file));
    keep([&](const std::string & file) { return depth_of(file) == least; });
    keep([&](const std::string & file) { return !is_dynamic(file); });
    return found;
}

// Empty if there is none. Throws Error if there are several: one of them would be another model than was meant.
std::string find_model(const std::vector<std::string> & models, const std::vector<std::string> & quantizations,
                       const std::string & repo) {
    for (const std::string & type : quantizations) {
        if (type.empty()) continue;
        const std::vector<std::string> found = holders_of(models, type);
        if (found.size() > 1)
            fail("{}: several files hold {}: name the one that you want, as in {}:{}; there is: {}", repo, type, repo,
                 found.front(), fmt::join(found, ", "));
        if (!found.empty()) return found.front();
    }
    return "";
}

// A file's own path in place of a quantization.
bool is_file_name(const std::string & quantization) {
    return lower(quantization).ends_with(".gguf");
}

std::string named_model(const std::vector<std::string> & models, const std::string & file, const std::string & repo) {
    if (std::find(models.begin(), models.end(), file) != models.end()) return file;
    fail("{}: holds no model {}; there is: {}", repo, file, fmt::join(models, ", "));
}

}  // namespace

std::vector<std::string> models_among(const std::vector<std::string> & paths) {
    std::vector<std::string> models;
    std::copy_if(paths.begin(), paths.end(), std::back_inserter(models), is_language_model);
    // A repository of drafters alone is asked for those.
    if (!std::all_of(models.begin(), models.end(), is_drafter)) std::erase_if(models, is_drafter);
    return models;
}

bool names_quantization(const std::string & file, const std::string & quantization) {
    const std::string name = upper(file);
    const std::string wanted = upper(quantization);
    if (wanted.empty()) return false;
    for (size_t at = name.find(wanted); at != std::string::npos; at = name.find(wanted, at + 1)) {
        const char before = at == 0 ? '-' : name[at - 1];
        const size_t end = at + wanted.size();
        const char after = end < name.size() ? name[end] : '-';
        const auto separates = [](char c) { return c == '-' || c == '.' || c == '/' || c == ' '; };
        // Behind the quantization, '_' goes on with it: Q4_K is not Q4_K_M.
        if ((separates(before) || before == '_') && separates(after)) return true;
    }
    return false;
}

std::string choose_model(const std::vector<std::string> & models, const std::string & quantization,
                         const std::string & repo) {
    if (is_file_name(quantization)) return named_model(models, quantization, repo);
    std::vector<std::string> wanted = spellings(quantization);
    wanted.insert(wanted.end(), {"F16", "BF16", "F32"});
    const std::string file = find_model(models, wanted, repo);
    if (!file.empty()) return file;
    if (models.size() == 1) return models.front();
    fail("{}: no file holds {} or could be quantized to it; there is: {}", repo,
         quantization.empty() ? "F16" : quantization, fmt::join(models, ", "));
}

std::string choose_exact_model(const std::vector<std::string> & models, const std::string & quantization,
                               const std::string & repo) {
    if (is_file_name(quantization)) return named_model(models, quantization, repo);
    if (quantization.empty() && models.size() == 1) return models.front();
    if (quantization.empty())
        fail("{}: which one? Add its quantization, as in {}:Q4_K_M; there is: {}", repo, repo, fmt::join(models, ", "));
    const std::string file = find_model(models, spellings(quantization), repo);
    if (!file.empty()) return file;
    fail("{}: no file holds {}; there is: {}", repo, quantization, fmt::join(models, ", "));
}

std::vector<std::string> parts_of(const std::string & first) {
    static const std::regex part(R"(-00001-of-(\d{5})\.gguf$)");
    std::smatch match;
    if (!std::regex_search(first, match, part)) return {first};
    std::vector<std::string> parts;
    const int n_parts = std::stoi(match[1]);
    if (n_parts < 1) fail("{}: is part 1 of 0: no such model can be whole", first);
    for (int i = 1; i <= n_parts; ++i)
        parts.push_back(match.prefix().str() + fmt::format("-{:05}-of-{:05}.gguf", i, n_parts));
    return parts;
}

}  // namespace shimmy::hub
