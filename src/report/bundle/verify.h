// Checks a bundle, on any machine: nothing is missing or altered, and its figures follow from its results.
#pragma once

#include "report/bundle/manifest.h"

#include <string>
#include <vector>

namespace shimmy::report {

struct BundleCheck {
    std::string name;  // "files", "runs", "figures", "table", "answers", "experts", "charts", "links"
    bool passed = false;
    std::string text;      // what was found, or what is wrong
    bool compared = true;  // false: written by another version, which may compute it otherwise
};

struct Verdict {
    Manifest manifest;
    std::string manifest_sha256;  // what both sides can compare
    std::vector<BundleCheck> checks;

    bool passed() const;        // all that could be compared
    bool all_compared() const;  // false: only the version that wrote the bundle can tell
};

// A folder, or a .tar file, which is unpacked into the temporary folder. Throws Error if it is no bundle.
Verdict verify_bundle(const fs::path & bundle);

}  // namespace shimmy::report
