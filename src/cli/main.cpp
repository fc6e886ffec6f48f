#include "base/error.h"
#include "base/json.h"
#include "base/process/interrupt.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/familiar.h"
#include "cli/options_table.h"
#include "engine/load/log.h"
#include "engine/load/version.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace {

using namespace shimmy::cli;

// An error as one line on stderr, and with --json as a document on stdout too.
int report(const shimmy::cli::Globals & globals, const std::string & message, int exit_code) {
    fmt::print(stderr, "shimmy: {}\n", message);
    if (globals.json) {
        const shimmy::Json document{{"error", {{"message", message}, {"exit_code", exit_code}}}};
        fmt::print("{}\n", document.dump(2));
    }
    return exit_code;
}

int run(shimmy::cli::Commands & commands) {
    using namespace shimmy;
    try {
        engine::set_log_verbosity(commands.globals().verbosity);
        return commands.run();
    } catch (const Interrupted & error) {
        return report(commands.globals(), error.what(), EXIT_CODE_INTERRUPTED);
    } catch (const UsageError & error) {
        return report(commands.globals(), error.what(), EXIT_CODE_USAGE);
    } catch (const std::exception & error) {
        return report(commands.globals(), error.what(), EXIT_CODE_FAILED);
    }
}

void parse(CLI::App & app, std::vector<std::string> words) {
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    app.parse(std::move(words));
}

}  // namespace

int main(int argc, char ** argv) {
    using namespace shimmy::cli;
    shimmy::install_interrupt_handler();
    CLI::App app{"shimmy runs, quantizes and measures Mixture-of-Experts models", "shimmy"};
    app.set_version_flag("--version", fmt::format("shimmy {} (llama.cpp v{})", shimmy::shimmy_version(),
                                                  shimmy::engine::llama_cpp_version()));
    Commands commands(app);
    add_all(commands);
    if (argc > 1 && std::string_view(argv[1]) == "__complete") return print_candidates(app, {argv + 2, argv + argc});
    const CommandRow table = read_options_table(app);
    std::vector<std::string> words(argv + 1, argv + argc);
    const auto end = std::find(words.begin(), words.end(), "--");
    if (end != words.end()) {
        commands.globals().llama_args.assign(end + 1, words.end());
        words.erase(end, words.end());
    }
    try {
        parse(app, respelled(words, table));
    } catch (const CLI::ExtrasError &) {
        const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
        const std::string first = extras.empty() ? "" : extras.front();
        return report(commands.globals(), unexpected_word(first, words, table), EXIT_CODE_USAGE);
    } catch (const CLI::ParseError & error) {
        const bool asked_for_help = error.get_exit_code() == 0;
        if (asked_for_help) return app.exit(error);
        return report(commands.globals(), fmt::format("{} (see shimmy --help)", error.what()), EXIT_CODE_USAGE);
    } catch (const shimmy::UsageError & error) {
        return report(commands.globals(), error.what(), EXIT_CODE_USAGE);
    }
    return run(commands);
}
