#include "cli/model_name.h"

#include "base/process/progress.h"
#include "library/resolve.h"

#include <algorithm>
#include <charconv>
#include <regex>
#include <string_view>

namespace shimmy::cli {

namespace {

constexpr std::string_view HUB_HOSTS[] = {"hf.co/", "huggingface.co/", "www.huggingface.co/"};

// "a%20b" is "a b" in an address.
std::string without_escapes(const std::string & text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        const char * digits = text.data() + i + 1;
        const bool escaped =
            text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2;
        plain += escaped ? static_cast<char>(value) : text[i];
        if (escaped) i += 2;
    }
    return plain;
}

// A model is named by its first part, whichever was pasted.
std::string first_part(const std::string & file) {
    static const std::regex part(R"(-\d{5}(-of-\d{5}\.gguf)$)");
    return std::regex_replace(file, part, "-00001$1");
}

}  // namespace

hub::PulledModel pull_with_progress(const std::string & name, bool quiet) {
    const hub::ModelName model = hub::parse_model_name(name);
    Progress progress("downloading " + model.repo, quiet, /*bytes=*/true);
    return hub::checking_answers([&] {
        return hub::pull_model(
            hub::read_environment(), model, [&](const std::string & line) { progress.note(line); },
            [&](uint64_t done, uint64_t total) { progress.update(done, total); });
    });
}

std::string canonical_model_name(const std::string & text) {
    std::string rest = text;
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (rest.starts_with(scheme)) rest.erase(0, scheme.size());
    }
    const auto host = std::find_if(std::begin(HUB_HOSTS), std::end(HUB_HOSTS),
                                   [&](std::string_view name) { return rest.starts_with(name); });
    if (host == std::end(HUB_HOSTS)) return text;
    rest.erase(0, host->size());
    // USER/NAME, USER/NAME/tree/REVISION, or USER/NAME/blob/REVISION/FILE?download=true.
    static const std::regex address(
        "([^/?#]+/[^/?#]+)(?:/(?:blob|resolve)/([^/?#]+)/([^?#]*)|/tree/([^/?#]+)[^?#]*)?/?(?:[?#].*)?");
    std::smatch match;
    if (!std::regex_match(rest, match, address)) return text;
    const std::string revision = without_escapes(match[2].matched ? match[2].str() : match[4].str());
    std::string name = "hf:" + match[1].str();
    if (!revision.empty() && revision != "main") name += "@" + revision;
    if (!match[3].str().empty()) name += ":" + first_part(without_escapes(match[3].str()));
    return name;
}

std::optional<fs::path> file_here(const std::string & text, const Globals & globals) {
    const std::string file_or_name = canonical_model_name(text);
    if (!hub::is_hub_name(file_or_name)) return library::resolve(file_or_name, globals.model_dirs);
    // Ollama's own name of what it fetched from the Hub: "hf.co/USER/NAME:QUANT".
    return file_or_name == text ? std::nullopt : library::find_named(text, globals.model_dirs);
}

fs::path model_file(const std::string & text, const Globals & globals) {
    if (const auto here = file_here(text, globals)) return *here;
    return pull_with_progress(canonical_model_name(text), globals.json).files.front();
}

}  // namespace shimmy::cli
