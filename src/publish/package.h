// The files of a repository as they are uploaded: card, charts, license, model files, which are split if they must be,
// and the importance matrix that they were made with.
#pragma once

#include "hub/upload/changes.h"
#include "publish/publication_plan.h"

#include <string>
#include <vector>

namespace shimmy::publish {

inline constexpr const char * CARD = "README.md";

struct Package {
    std::string repo;
    std::vector<hub::NewFile> files;        // the card first, an importance matrix last; without those of `to_be_split`
    std::vector<PlannedModel> to_be_split;  // only if splitting was left out
};

// Folder with what is written for a repository: out_dir/publish/<name>.
fs::path package_dir(const fs::path & out_dir, const PlannedRepository & repository);

// Writes the card's files, and the parts of files that are too large unless `split` is false.
Package make_package(const PublicationPlan & plan, const PlannedRepository & repository, const fs::path & out_dir,
                     uint64_t max_file_bytes, bool split, bool quiet);

}  // namespace shimmy::publish
