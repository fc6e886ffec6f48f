// Looks at what was published as a stranger would: nothing counts that the Hub does not show again.
#pragma once

#include "hub/upload/changes.h"

#include <string>
#include <vector>

namespace shimmy::hub {

struct Check {
    std::string what;  // "README.md: fetched back and compared"
    bool passed = false;
    std::string reason;  // why not
};

// Of every file the size and hash in the tree and by HEAD, at this commit; the text of `card_path` fetched back and
// compared; a range in the middle of the largest file fetched and compared.
std::vector<Check> verify_files(const Api & api, const std::string & repo, const std::string & commit,
                                const std::vector<NewFile> & files, const std::string & card_path);

}  // namespace shimmy::hub
