// The commands of the program. Each file of this folder adds one to the CLI11 application, which is the single
// table that parsing, --help, shell completion and docs/CLI.md are made from.
#pragma once

#include "cli/globals.h"

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

namespace shimmy::cli {

// Of the program; 0 is success.
constexpr int EXIT_CODE_FAILED = 1;  // something could not be done, or was found to be wrong
constexpr int EXIT_CODE_USAGE = 2;   // a command line or a file of the user's that means nothing
constexpr int EXIT_CODE_INTERRUPTED = 130;

// A command's work; the return value is the exit code. Registered with `on_run`.
using Run = std::function<int()>;

class Commands {
public:
    explicit Commands(CLI::App & app);

    CLI::App & app() { return app_; }
    const Globals & globals() const { return globals_; }
    Globals & globals() { return globals_; }  // for options to be stored into

    // Adds a command; `run` is called after parsing if it is the one chosen. `group` as add_group() made it; nullptr:
    // the program itself.
    CLI::App * add(const std::string & name, const std::string & summary, Run run, CLI::App * group = nullptr);

    // Adds a command that only holds others, one of which must be chosen.
    CLI::App * add_group(const std::string & name, const std::string & summary);

    // What stands behind "--" is llama.cpp's, and for this command.
    void take_llama_args(const CLI::App & command) { take_llama_args_.push_back(&command); }

    // Runs the parsed command.
    int run() const;

private:
    CLI::App & app_;
    Globals globals_;
    std::vector<std::pair<CLI::App *, Run>> runs_;
    std::vector<const CLI::App *> take_llama_args_;
};

// Every command below, in the order of --help.
void add_all(Commands & commands);

void add_generate(Commands & commands);
void add_chat(Commands & commands);
void add_run(Commands & commands);
void add_serve(Commands & commands);
void add_serve_model(Commands & commands);
void add_init(Commands & commands);
void add_inspect(Commands & commands);
void add_plan(Commands & commands);
void add_verify(Commands & commands);
void add_synth(Commands & commands);
void add_quality(Commands & commands);
void add_check(Commands & commands);
void add_eval(Commands & commands);
void add_quantize(Commands & commands);
void add_publish(Commands & commands);
void add_pull(Commands & commands);
void add_imatrix(Commands & commands);
void add_bench(Commands & commands);
void add_tune(Commands & commands);
void add_list(Commands & commands);
void add_discover(Commands & commands);
void add_probe(Commands & commands);
void add_gpu_info(Commands & commands);
void add_report_bug(Commands & commands);
void add_lab(Commands & commands);
void add_completion(Commands & commands);
void add_reference(Commands & commands);

// `shimmy __complete WORDS…`, which the scripts of `shimmy completion` run: its words are no options of ours.
int print_candidates(const CLI::App & app, const std::vector<std::string> & words);

// `shimmy __chart`, for scripts of this project (bench/run.py): reads a chart as JSON on standard input
// (report/charts/chart_json.h) and writes its SVG to standard output, as documents have theirs. Throws Error.
int draw_chart();

}  // namespace shimmy::cli
