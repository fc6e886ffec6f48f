#include "cli/model_name.h"

#include "base/process/progress.h"
#include "library/resolve.h"

#include <algorithm>
#include <regex>
#include <string_view>

namespace shimmy::cli {

namespace {

constexpr std::string_view HUB_HOSTS[] = {"hf.co/", "huggingface.co/", "www.huggingface.co/"};

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
    // USER/NAME, or USER/NAME/blob/main/FILE?download=true, of which the file's name says the quantization.
    static const std::regex address(
        "([^/?#]+/[^/?#]+)(?:/(?:blob|resolve)/([^/?#]+)/([^?#]*))?(?:/(?:tree/[^?#]*)?)?(?:[?#].*)?");
    std::smatch match;
    if (!std::regex_match(rest, match, address)) return text;
    const std::string revision = match[2].matched && match[2] != "main" ? "@" + match[2].str() : "";
    static const std::regex quantization(
        R"([-.]((?:UD-)?(?:I?Q\d\w*|MXFP4\w*|BF16|F16|F32))(?:-\d{5}-of-\d{5})?\.gguf$)", std::regex::icase);
    std::smatch quant;
    const std::string file = match[3].str();
    const bool has_quant = std::regex_search(file, quant, quantization);
    return "hf:" + match[1].str() + revision + (has_quant ? ":" + quant[1].str() : "");
}

fs::path model_file(const std::string & text, const Globals & globals) {
    const std::string file_or_name = canonical_model_name(text);
    if (!hub::is_hub_name(file_or_name)) return library::resolve(file_or_name, globals.model_dirs);
    return pull_with_progress(file_or_name, globals.json).files.front();
}

}  // namespace shimmy::cli
