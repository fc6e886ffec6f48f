// A model on the Hub as far as a question about it needs: the cached file if it is what the Hub has now, or the header
// alone.
#pragma once

#include "hub/download/pull.h"
#include "hub/download/remote_gguf.h"

#include <memory>
#include <string>

namespace shimmy::hub {

struct ModelHeader {
    fs::path file;                       // in the cache, or of `remote`
    std::string text;                    // "USER/NAME/folder/file.gguf", for people
    std::unique_ptr<RemoteGguf> remote;  // null: from the cache
};

// A name that holds a quantization or a file means that one. Otherwise `quantization` does, or what it can be made from
// (choose_model). With HF_HUB_OFFLINE the cache must have it. Throws Error.
ModelHeader find_header(const Environment & environment, const ModelName & name, const std::string & quantization,
                        const Note & note);

}  // namespace shimmy::hub
