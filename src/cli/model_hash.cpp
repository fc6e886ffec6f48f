#include "cli/model_hash.h"

#include "base/process/progress.h"
#include "base/text/units.h"

#include <exception>
#include <memory>

namespace shimmy::cli {

ModelHashes::ModelHashes(fs::path folder, bool quiet)
    : folder_(std::move(folder)), quiet_(quiet), hashes_(folder_.empty() ? fs::path() : folder_ / "hashes.json") {}

std::string ModelHashes::sha256(const std::string & file) {
    const std::string hash = hashes_.model_sha256(file, [this](const fs::path & part) -> ByteProgress {
        const bool quick = fs::file_size(part) < GIB;  // a second or so
        auto progress = std::make_shared<Progress>("sha256 of " + part.filename().string(), quiet_ || quick);
        return [progress](uint64_t done, uint64_t total) { progress->update(done, total); };
    });
    save();
    return hash;
}

void ModelHashes::save() {
    if (folder_.empty()) return;
    try {
        make_folders(folder_);
        hashes_.save();
    } catch (const std::exception &) {  // a cache that cannot be written only costs time
    }
}

}  // namespace shimmy::cli
