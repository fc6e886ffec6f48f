#include "serve/api/modalities.h"

#include <algorithm>

namespace shimmy::serve {

namespace {

bool has_projector(const ModelOptions & options) {
    const std::vector<std::string> & args = options.load.llama_args;
    return std::any_of(args.begin(), args.end(),
                       [](const std::string & arg) { return arg == "--mmproj" || arg == "-mm"; });
}

}  // namespace

Json input_modalities(const ModelStatus & status) {
    Json modalities = Json::array({"text"});
    if (status.loaded ? status.loaded->takes_images : has_projector(status.model.options))
        modalities.push_back("image");
    if (status.loaded && status.loaded->takes_audio) modalities.push_back("audio");
    return modalities;
}

}  // namespace shimmy::serve
