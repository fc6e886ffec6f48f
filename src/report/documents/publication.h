// What of a campaign is on the Hub: publish.json, as `shimmy publish` left it.
#pragma once

#include "base/files.h"
#include "lab/measure/summary.h"

#include <string>
#include <vector>

namespace shimmy::report {

// A repository with files of one model.
struct PublishedRepository {
    // Something that was looked at on the Hub after publishing.
    struct Check {
        std::string what;
        bool passed = false;
    };

    std::string repo;  // "user/name"
    std::string model;
    std::string revision;  // a branch or a pull request
    std::string commit;
    std::vector<Check> checks;
};

class Publication {
public:
    // A missing file is no error. Repositories whose files are others than the summary's count as not published.
    Publication(const lab::Summary & summary, const fs::path & out_dir);

    // Every repository with files of this model.
    std::vector<const PublishedRepository *> of(const std::string & model) const;

private:
    std::vector<PublishedRepository> repositories_;
};

// out_dir/publish.json
fs::path publication_file(const fs::path & out_dir);

}  // namespace shimmy::report
