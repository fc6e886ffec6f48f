#include "hub/api/model_files.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

#include <algorithm>
#include <cctype>
#include <regex>

namespace shimmy::hub {

namespace {

bool is_first_part(const std::string & name) {
    static const std::regex part(R"(-(\d{5})-of-\d{5}\.gguf$)", std::regex::icase);
    std::smatch match;
    return !std::regex_search(name, match, part) || match[1] == "00001";
}

bool is_language_model(const std::string & path) {
    const std::string name = upper(fs::path(path).filename().string());
    return name.ends_with(".GGUF") && name.find("MMPROJ") == std::string::npos &&
           name.find("IMATRIX") == std::string::npos && is_first_part(path);
}

// Of MXFP4_MOE, files say "MXFP4" too.
std::vector<std::string> spellings(const std::string & quantization) {
    if (upper(quantization) == "MXFP4_MOE") return {quantization, "MXFP4"};
    return {quantization};
}

const std::string * find_model(const std::vector<std::string> & models,
                               const std::vector<std::string> & quantizations) {
    for (const std::string & type : quantizations) {
        for (const std::string & file : models) {
            if (!type.empty() && names_quantization(file, type)) return &file;
        }
    }
    return nullptr;
}

}  // namespace

std::vector<std::string> models_among(const std::vector<std::string> & paths) {
    std::vector<std::string> models;
    std::copy_if(paths.begin(), paths.end(), std::back_inserter(models), is_language_model);
    return models;
}

bool names_quantization(const std::string & file, const std::string & quantization) {
    const std::string name = upper(file);
    const std::string wanted = upper(quantization);
    for (size_t at = name.find(wanted); at != std::string::npos; at = name.find(wanted, at + 1)) {
        const char before = at == 0 ? '-' : name[at - 1];
        const size_t end = at + wanted.size();
        const char after = end < name.size() ? name[end] : '-';
        const auto separates = [](char c) { return c == '-' || c == '.' || c == '/'; };
        if (separates(before) && separates(after)) return true;
    }
    return false;
}

std::string choose_model(const std::vector<std::string> & models, const std::string & quantization,
                         const std::string & repo) {
    std::vector<std::string> wanted = spellings(quantization);
    wanted.insert(wanted.end(), {"F16", "BF16", "F32"});
    if (const std::string * file = find_model(models, wanted)) return *file;
    if (models.size() == 1) return models.front();
    fail("{}: no file holds {} or could be quantized to it; there is: {}", repo,
         quantization.empty() ? "F16" : quantization, fmt::join(models, ", "));
}

std::string choose_exact_model(const std::vector<std::string> & models, const std::string & quantization,
                               const std::string & repo) {
    if (quantization.empty() && models.size() == 1) return models.front();
    if (quantization.empty())
        fail("{}: which one? Add its quantization, as in {}:Q4_K_M; there is: {}", repo, repo, fmt::join(models, ", "));
    if (const std::string * file = find_model(models, spellings(quantization))) return *file;
    fail("{}: no file holds {}; there is: {}", repo, quantization, fmt::join(models, ", "));
}

std::vector<std::string> parts_of(const std::string & first) {
    static const std::regex part(R"(-00001-of-(\d{5})\.gguf$)");
    std::smatch match;
    if (!std::regex_search(first, match, part)) return {first};
    std::vector<std::string> parts;
    const int n_parts = std::stoi(match[1]);
    for (int i = 1; i <= n_parts; ++i)
        parts.push_back(match.prefix().str() + fmt::format("-{:05}-of-{:05}.gguf", i, n_parts));
    return parts;
}

}  // namespace shimmy::hub
