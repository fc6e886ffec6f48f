#include "base/error.h"
#include "base/json.h"
#include "base/last_words.h"
#include "base/process/interrupt.h"
#include "base/process/short_waits.h"
#include "base/text/text.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/placement_options.h"
#include "cli/table/familiar.h"
#include "cli/table/options_table.h"
#include "engine/llama/log.h"
#include "engine/llama/version.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <string_view>

namespace {

using namespace shimmy::cli;

constexpr size_t MAX_MESSAGE_CHARS = 4000;

// An error as one line on stderr, and with --json as a document on stdout too.
int report(const shimmy::cli::Globals & globals, std::string message, int exit_code) {
    std::replace(message.begin(), message.end(), '\n', ' ');
    // Names of files and what servers say may hold anything: it must not reach a terminal.
    fmt::print(stderr, "shimmy: {}\n", shimmy::printable(message, MAX_MESSAGE_CHARS));
    if (globals.json) {
        const shimmy::Json document{{"error", {{"message", message}, {"exit_code", exit_code}}}};
        fmt::print("{}\n", shimmy::json_text(document));
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
    } catch (const std::filesystem::filesystem_error & error) {
        return report(commands.globals(), fmt::format("{}: {}", error.path1().string(), error.code().message()),
                      EXIT_CODE_FAILED);
    } catch (const std::bad_alloc &) {
        return report(commands.globals(), "there is not enough memory", EXIT_CODE_FAILED);
    } catch (const std::exception & error) {
        return report(commands.globals(), error.what(), EXIT_CODE_FAILED);
    }
}

void parse(CLI::App & app, std::vector<std::string> words) {
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    app.parse(std::move(words));
}

// What is wrong with the words, with the name of the option in it.
std::string parse_error(CLI::App & app, const std::vector<std::string> & words, const CLI::ParseError & error) {
    show_hidden_options(app);
    try {
        parse(app, words);
    } catch (const CLI::ParseError & named) {
        return named.what();
    }
    return error.what();
}

}  // namespace

int main(int argc, char ** argv) {
    using namespace shimmy::cli;
    shimmy::wait_briefly(argv);
    shimmy::install_interrupt_handler();
    CLI::App app{"shimmy runs, quantizes and measures Mixture-of-Experts models", "shimmy"};
    app.set_version_flag("--version", fmt::format("shimmy {} (llama.cpp v{})", shimmy::shimmy_version(),
                                                  shimmy::engine::llama_cpp_version()));
    Commands commands(app);
    // A server is watched by what started it, and so are the processes of its models: they end by the signal itself.
    const bool serves = argc > 1 && std::string_view(argv[1]).starts_with("serve");
    if (!serves) shimmy::install_last_words(&commands.globals().json);
    add_all(commands);
    if (argc > 1 && std::string_view(argv[1]) == "__complete") return print_candidates(app, {argv + 2, argv + argc});
    if (argc == 2 && std::string_view(argv[1]) == "__chart") {
        try {
            return draw_chart();
        } catch (const shimmy::Error & error) {
            return report(commands.globals(), error.what(), EXIT_CODE_FAILED);
        }
    }
    const CommandRow table = read_options_table(app);
    std::vector<std::string> words(argv + 1, argv + argc);
    const auto end = std::find(words.begin(), words.end(), "--");
    if (end != words.end()) {
        commands.globals().llama_args.assign(end + 1, words.end());
        words.erase(end, words.end());
    }
    std::vector<std::string> understood;
    try {
        understood = respelled(words, table);
        parse(app, understood);
    } catch (const CLI::ExtrasError &) {
        const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
        const std::string first = extras.empty() ? "" : extras.front();
        return report(commands.globals(), unexpected_word(first, words, table), EXIT_CODE_USAGE);
    } catch (const CLI::ParseError & error) {
        const bool asked_for_help = error.get_exit_code() == 0;
        if (asked_for_help) return app.exit(error);
        const std::string message = parse_error(app, understood, error);
        return report(commands.globals(), fmt::format("{} ({})", message, see_help(words, table)), EXIT_CODE_USAGE);
    } catch (const shimmy::UsageError & error) {
        return report(commands.globals(), error.what(), EXIT_CODE_USAGE);
    }
    return run(commands);
}
