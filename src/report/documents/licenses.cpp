#include "report/documents/licenses.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace shimmy::report {

namespace {

// The identifiers of the Hub's documentation (repositories-licenses.md), without "other", "unknown" and those below. It
// refuses cards with any other word.
constexpr auto ALLOWED = std::to_array<std::string_view>({"apache-2.0",
                                                          "mit",
                                                          "openrail",
                                                          "bigscience-openrail-m",
                                                          "creativeml-openrail-m",
                                                          "bigscience-bloom-rail-1.0",
                                                          "bigcode-openrail-m",
                                                          "afl-3.0",
                                                          "artistic-2.0",
                                                          "bsl-1.0",
                                                          "bsd",
                                                          "bsd-2-clause",
                                                          "bsd-3-clause",
                                                          "bsd-3-clause-clear",
                                                          "c-uda",
                                                          "cc",
                                                          "cc0-1.0",
                                                          "cc-by-2.0",
                                                          "cc-by-2.5",
                                                          "cc-by-3.0",
                                                          "cc-by-4.0",
                                                          "cc-by-sa-3.0",
                                                          "cc-by-sa-4.0",
                                                          "cc-by-nc-2.0",
                                                          "cc-by-nc-3.0",
                                                          "cc-by-nc-4.0",
                                                          "cc-by-nc-sa-2.0",
                                                          "cc-by-nc-sa-3.0",
                                                          "cc-by-nc-sa-4.0",
                                                          "cdla-sharing-1.0",
                                                          "cdla-permissive-1.0",
                                                          "cdla-permissive-2.0",
                                                          "wtfpl",
                                                          "ecl-2.0",
                                                          "epl-1.0",
                                                          "epl-2.0",
                                                          "etalab-2.0",
                                                          "eupl-1.1",
                                                          "agpl-3.0",
                                                          "gfdl",
                                                          "gpl",
                                                          "gpl-2.0",
                                                          "gpl-3.0",
                                                          "lgpl",
                                                          "lgpl-2.1",
                                                          "lgpl-3.0",
                                                          "isc",
                                                          "lppl-1.3c",
                                                          "ms-pl",
                                                          "mpl-2.0",
                                                          "odc-by",
                                                          "odbl",
                                                          "openrail++",
                                                          "osl-3.0",
                                                          "postgresql",
                                                          "ofl-1.1",
                                                          "ncsa",
                                                          "unlicense",
                                                          "zlib",
                                                          "pddl",
                                                          "lgpl-lr",
                                                          "deepfloyd-if-license",
                                                          "llama2",
                                                          "llama3",
                                                          "llama3.1",
                                                          "llama3.2",
                                                          "llama3.3",
                                                          "llama4",
                                                          "gemma"});

// A quantized model is a derivative of the original.
constexpr auto NO_DERIVATIVES = std::to_array<std::string_view>({"cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"});

template <typename List>
bool holds(const List & list, const std::string & id) {
    return std::find(list.begin(), list.end(), id) != list.end();
}

}  // namespace

fs::path license_file(const lab::CampaignModel & model) {
    const std::string & link = model.license_link;
    return link.find("://") == std::string::npos ? fs::path(link) : fs::path();
}

std::string license_obstacle(const lab::CampaignModel & model) {
    const std::string & id = model.license;
    if (id.empty()) return "no license: add license = \"…\" to the model in the campaign";
    if (holds(NO_DERIVATIVES, id))
        return fmt::format("the license {} allows no derivatives, and a quantized model is one: do not publish it", id);
    if (id == "unknown")
        return "the license is 'unknown', which allows nothing: ask its makers, then set license in the campaign";
    if (id == OTHER_LICENSE) {
        const bool named = !model.license_name.empty() && !model.license_link.empty();
        if (!named)
            return "the license 'other' needs license_name = \"…\" and license_link = \"…\" (a URL, or a file with its "
                   "text) in the campaign";
        const fs::path file = license_file(model);
        if (!file.empty() && !fs::is_regular_file(file))
            return fmt::format("license_link: {}: no such file", file.string());
        return "";
    }
    if (!holds(ALLOWED, id))
        return fmt::format(
            "the Hub does not know the license '{}': use its identifier, or license = \"other\" with license_name and "
            "license_link in the campaign",
            id);
    return "";
}

}  // namespace shimmy::report
