// GGUF models on the Hugging Face Hub, of which only the header is read.
#pragma once

#include "base/files.h"
#include "hub/environment.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::hub {

// The GGUF models of a repository: the first file of each, "folder/Model-Q4_K_M-00001-of-00002.gguf". Files that hold
// no language model (mmproj-*, *imatrix*) are left out. Throws Error: no such repository, no access, none.
std::vector<std::string> list_models(const Environment & environment, const std::string & repo);

// The one that holds `quantization`, told by its name. Without such a file, the F32, F16 or BF16 one that it can be
// made from. Throws Error that lists what is there.
std::string choose_model(const std::vector<std::string> & files, const std::string & quantization,
                         const std::string & repo);

// A model's header as a local file of the right size whose weights are a hole, for everything that reads metadata only.
// Lies in the folder for temporary files until this object goes.
class RemoteGguf {
public:
    RemoteGguf(const Environment & environment, const std::string & repo, const std::string & file);
    ~RemoteGguf();
    RemoteGguf(const RemoteGguf &) = delete;
    RemoteGguf & operator=(const RemoteGguf &) = delete;

    const fs::path & path() const { return first_; }
    uint64_t fetched_bytes() const { return fetched_bytes_; }

private:
    void fetch(const Environment & environment, const std::string & url, const fs::path & target);

    fs::path dir_;
    fs::path first_;
    uint64_t fetched_bytes_ = 0;
};

}  // namespace shimmy::hub
