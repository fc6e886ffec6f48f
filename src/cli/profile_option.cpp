#include "cli/profile_option.h"

#include "base/text/text.h"
#include "base/version.h"
#include "engine/llama/version.h"
#include "tune/profile.h"
#include "tune/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace shimmy::cli {

namespace {

// llama.cpp's other names of options that a profile may hold.
const std::map<std::string, std::string> LONG_NAMES{
    {"-fa", "--flash-attn"},      {"-ctk", "--cache-type-k"}, {"-ctv", "--cache-type-v"}, {"-lm", "--load-mode"},
    {"--no-mmap", "--load-mode"}, {"--mmap", "--load-mode"},  {"--mlock", "--load-mode"}};

void add_given(const CLI::App & app, std::vector<GivenOption> & given) {
    for (const CLI::Option * option : app.get_options()) {
        if (option->count() == 0 || option->get_lnames().empty()) continue;
        const std::string flag = "--" + option->get_lnames().front();
        GivenOption & one = given.emplace_back(GivenOption{flag, {flag}});
        if (option->get_items_expected_max() == 0) continue;  // a flag
        for (const std::string & value : option->results())
            one.words.push_back(value);
    }
}

bool is_given(const std::vector<GivenOption> & given, const std::string & flag) {
    return std::any_of(given.begin(), given.end(), [&](const GivenOption & one) { return one.flag == flag; });
}

// Why a profile is not for what is asked for now; empty if it is.
std::string why_not(const tune::FoundProfile & found, const std::vector<GivenOption> & given) {
    if (found.is_stale)
        return fmt::format("it is of shimmy {} with llama.cpp {}", found.profile.versions.shimmy,
                           found.profile.versions.llama_cpp);
    std::string now;
    for (const GivenOption & one : given)
        now += fmt::format(" {} ", fmt::join(one.words, " "));
    const std::string measured = fmt::format(" {} ", fmt::join(found.profile.given, " "));
    for (const char * flag : tune::DEVICE_FLAGS) {
        for (const GivenOption & one : given) {
            const std::string words = fmt::format(" {} ", fmt::join(one.words, " "));
            if (one.flag == flag && measured.find(words) == std::string::npos)
                return fmt::format("it was measured without{}", words.substr(0, words.size() - 1));
        }
    }
    // Word by word: a flag and its values stand together in both.
    std::string option;
    const auto missing = [&] { return !option.empty() && now.find(option + " ") == std::string::npos; };
    for (const std::string & word : found.profile.given) {
        if (word.starts_with("--")) {
            if (missing()) break;
            option.clear();
        }
        option += " " + word;
    }
    return missing() ? fmt::format("it was measured with{}", option) : "";
}

// A placement was measured to fit with a context, and with so many of them.
bool fits_context(const tune::Profile & profile, const tune::Choice & choice, const engine::LoadOptions & load) {
    constexpr uint32_t DEFAULT_CONTEXT = 4096;
    const bool is_fixed = std::any_of(choice.options.begin(), choice.options.end(),
                                      [](const std::string & word) { return word == "--n-cpu-moe"; });
    const uint64_t n_wanted = uint64_t{load.n_ctx > 0 ? load.n_ctx : DEFAULT_CONTEXT} * load.n_parallel;
    return !is_fixed || n_wanted <= uint64_t{profile.n_ctx} * profile.n_parallel;
}

// Settings of libggml-moe mean nothing without it.
bool needs_what_is_off(const tune::Choice & choice, const std::vector<GivenOption> & given) {
    const bool is_off = std::any_of(given.begin(), given.end(), [](const GivenOption & one) {
        return one.words == std::vector<std::string>{"--moe-backend", "off"};
    });
    return is_off && std::any_of(choice.options.begin(), choice.options.end(),
                                 [](const std::string & word) { return word == "--moe-cache"; });
}

}  // namespace

void add_profile_option(CLI::App & command, bool & no_profile) {
    command.add_flag("--no-profile", no_profile, "do not use what `shimmy tune` found for this model");
}

std::vector<GivenOption> given_options(const CLI::App & command, const Globals & globals) {
    std::vector<GivenOption> given;
    for (const CLI::App * app = &command; app != nullptr; app = app->get_parent())
        add_given(*app, given);
    for (const std::string & word : globals.llama_args) {
        const std::string flag = word.substr(0, word.find('='));
        const auto found = LONG_NAMES.find(flag);
        if (flag.starts_with("-")) given.push_back({found == LONG_NAMES.end() ? flag : found->second, {word}});
    }
    return given;
}

TakenProfile take_profile(const fs::path & model, const std::vector<GivenOption> & given,
                          const engine::LoadOptions & load) {
    std::vector<std::string> words;
    for (const GivenOption & one : given)
        words.insert(words.end(), one.words.begin(), one.words.end());
    const auto found = tune::find_profile(tune::profiles_dir(), model, tune::this_machine(),
                                          {shimmy_version(), engine::llama_cpp_version()}, tune::device_words(words));
    if (!found) return {};
    const std::string reason = why_not(*found, given);
    if (!reason.empty())
        return {{},
                fmt::format("profile not used: {} (shimmy tune measures again; --no-profile: without this line)",
                            printable(reason))};
    TakenProfile taken;
    std::string values;
    for (const tune::Choice & choice : found->profile.choices) {
        const std::vector<std::string> & deciding = tune::options_that_decide(choice.setting);
        const bool is_decided = std::any_of(deciding.begin(), deciding.end(),
                                            [&](const std::string & flag) { return is_given(given, flag); });
        if (is_decided || !fits_context(found->profile, choice, load) || needs_what_is_off(choice, given)) continue;
        taken.options.insert(taken.options.end(), choice.options.begin(), choice.options.end());
        values += fmt::format("{}{} {}", values.empty() ? "" : ", ", choice.setting, choice.value);
    }
    if (!values.empty())
        taken.text =
            fmt::format("profile: {} (shimmy tune --for {}, {}; --no-profile leaves them out)", printable(values, 300),
                        printable(found->profile.goal), printable(found->profile.tuned_at.substr(0, 10)));
    return taken;
}

}  // namespace shimmy::cli
