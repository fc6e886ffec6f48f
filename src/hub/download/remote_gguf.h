// GGUF models on the Hugging Face Hub, of which only the header is read.
#pragma once

#include "base/files.h"
#include "hub/api/api.h"
#include "hub/api/repository.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::hub {

// The models of a repository, as models_among() gives them. Throws Error: no such repository, no access, none.
std::vector<std::string> list_models(const Api & api, const std::string & repo, const std::string & revision = MAIN);

// A model's header as a local file of the right size whose weights are a hole, for everything that reads metadata only.
// Lies in the folder for temporary files until this object goes.
class RemoteGguf {
public:
    RemoteGguf(const Api & api, const std::string & repo, const std::string & file,
               const std::string & revision = MAIN);
    ~RemoteGguf();
    RemoteGguf(const RemoteGguf &) = delete;
    RemoteGguf & operator=(const RemoteGguf &) = delete;

    const fs::path & path() const { return first_; }
    uint64_t fetched_bytes() const { return fetched_bytes_; }

private:
    void fetch(const Api & api, const std::string & resolve_path, const fs::path & target);

    fs::path dir_;
    fs::path first_;
    uint64_t fetched_bytes_ = 0;
};

}  // namespace shimmy::hub
