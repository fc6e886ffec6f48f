// The prose of documents: Jinja templates, which come with the program and which a folder of the user's can replace
// (docs/TEMPLATES.md).
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <string>

namespace shimmy::report {

class Templates {
public:
    Templates() = default;

    // Files of this folder go before those that come with the program; empty: none do. Throws UsageError if it is no
    // folder, or holds no file of a template's name.
    explicit Templates(const fs::path & own);

    // `name` is a file's, as "card.md.jinja"; the members of `values` are what it can name. In a template,
    // `include(name)` renders another one with what can be named there. Throws Error as "card.md.jinja:12: …" for what
    // is no template, and for a name or member that does not exist: no document is made with a hole in it.
    std::string render(const std::string & name, const Json & values) const;

    // Where the template lies. Throws Error if there is none of that name.
    fs::path find(const std::string & name) const;

private:
    fs::path own_;
};

}  // namespace shimmy::report
