#include "cli/command.h"

#include "base/error.h"
#include "cli/placement_options.h"
#include "cli/table/examples.h"
#include "cli/table/help.h"

#include <algorithm>
#include <memory>

namespace shimmy::cli {

Commands::Commands(CLI::App & app) : app_(app) {
    app.formatter(std::make_shared<HelpFormatter>());
    app.require_subcommand(0, 1);  // none is our own error, and a wrong name is then reported with that name
    app.fallthrough();
    app.add_flag("--json", globals_.json, "print one JSON document on stdout and nothing else");
    app.add_flag("-v,--verbose", globals_.verbosity, "log to stderr: -v warnings, -vv everything llama.cpp says");
    add_hidden_shared_options(app, globals_);
}

CLI::App * Commands::add_group(const std::string & name, const std::string & summary) {
    CLI::App * group = app_.add_subcommand(name, summary);
    group->fallthrough();
    group->require_subcommand(0, 1);
    return group;
}

CLI::App * Commands::add(const std::string & name, const std::string & summary, Run run, CLI::App * group) {
    CLI::App * command = (group == nullptr ? app_ : *group).add_subcommand(name, summary);
    command->fallthrough();
    runs_.emplace_back(command, std::move(run));
    return command;
}

int Commands::run() const {
    for (const auto & [command, run] : runs_) {
        if (!command->parsed()) continue;
        require_taken(app_, *command);
        const bool takes =
            std::find(take_llama_args_.begin(), take_llama_args_.end(), command) != take_llama_args_.end();
        if (!globals_.llama_args.empty() && !takes)
            fail_usage("shimmy {} takes no options of llama.cpp (behind --)", command->get_name());
        return run();
    }
    const std::vector<CLI::App *> groups = app_.get_subcommands();
    if (groups.empty()) fail_usage("no command given (see shimmy --help)");
    fail_usage("no command given (see shimmy {} --help)", groups.front()->get_name());
}

void add_all(Commands & commands) {
    add_generate(commands);
    add_chat(commands);
    add_run(commands);
    add_serve(commands);
    add_serve_model(commands);
    add_init(commands);
    add_inspect(commands);
    add_plan(commands);
    add_verify(commands);
    add_synth(commands);
    add_quantize(commands);
    add_imatrix(commands);
    add_quality(commands);
    add_eval(commands);
    add_publish(commands);
    add_pull(commands);
    add_check(commands);
    add_tune(commands);
    add_bench(commands);
    add_list(commands);
    add_discover(commands);
    add_probe(commands);
    add_gpu_info(commands);
    add_report_bug(commands);
    add_lab(commands);
    add_completion(commands);
    add_reference(commands);
    add_examples(commands.app());
}

}  // namespace shimmy::cli
