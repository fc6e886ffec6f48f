// What of a campaign is on the Hub: publish.json, as `shimmy publish` left it.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <string>
#include <vector>

namespace shimmy::report {

class Publication {
public:
    // A missing file is no error. Repositories whose files are others than the summary's count as not published.
    Publication(const Json & summary, const fs::path & out_dir);

    // {"repo", "commit", "checks": [{"what", "passed"}], …} of every repository with files of this model.
    std::vector<const Json *> of(const std::string & model) const;

private:
    std::vector<Json> repositories_;
};

// out_dir/publish.json
fs::path publication_file(const fs::path & out_dir);

}  // namespace shimmy::report
