// Profiles of `shimmy tune` for the commands that load a model: what the command line leaves open is taken from them.
#pragma once

#include "base/files.h"
#include "cli/globals.h"
#include "engine/load/load_options.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace shimmy::cli {

// One option of the command line with its values.
struct GivenOption {
    std::string flag;                // "--threads"
    std::vector<std::string> words;  // as they may be written again, the flag too

    bool operator==(const GivenOption &) const = default;
};

// --no-profile.
void add_profile_option(CLI::App & command, bool & no_profile);

// What the user wrote, before the command's name and behind "--" too. llama.cpp's short names are spelled out.
std::vector<GivenOption> given_options(const CLI::App & command, const Globals & globals);

struct TakenProfile {
    std::vector<std::string> options;  // words of the command line; empty: nothing is taken
    std::string text;  // one line for people, which says what is taken or why nothing is; empty: there is no profile
};

// The model's profile for this machine, less what `given` decides. A profile that was measured with options that are
// not given now, or on another device than asked for, is not used. `load`: the context that is wanted.
TakenProfile take_profile(const fs::path & model, const std::vector<GivenOption> & given,
                          const engine::LoadOptions & load);

}  // namespace shimmy::cli
