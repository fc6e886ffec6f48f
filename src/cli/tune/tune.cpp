// shimmy tune: the best settings of a model on this machine, by measuring.
#include "base/error.h"
#include "base/files.h"
#include "base/host/hardware.h"
#include "base/host/host.h"
#include "base/json.h"
#include "base/process/interrupt.h"
#include "base/process/progress.h"
#include "base/process/subprocess.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/llama_options.h"
#include "cli/model_name.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "cli/print/tune_text.h"
#include "cli/profile_option.h"
#include "engine/bench/bench.h"
#include "engine/llama/version.h"
#include "gguf/model_info.h"
#include "lab/run/run_state.h"
#include "tune/profile.h"
#include "tune/visit.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <set>

namespace shimmy::cli {

namespace {

constexpr int LEAST_CONTEXT = 4096;  // what generate and serve take by default
// Settings of a CPU and of a GPU need about so many; what time remains goes into longer measurements.
constexpr double N_EXPECTED_VISITS = 45.0;
constexpr int N_VISIT_REPEATS = 2;     // in one process
constexpr int MOST_VISIT_REPEATS = 5;  // where there is time left
constexpr double BUSY_NOISE = 0.05;    // repeats of an idle machine differ by 1% to 2%
constexpr double WARM_UP_SHARE = 0.6;  // of a repetition: a prompt and a token are computed first
constexpr double LEAST_REPETITION_MS = 200.0;
constexpr double TIMEOUT_FACTOR = 8.0;
constexpr double LEAST_TIMEOUT_S = 20.0;

struct TuneArguments {
    std::string name;
    std::string goal = "chat";
    double minutes = 5.0;
    bool dry_run = false;
    engine::LoadOptions load;
    LlamaOptions llama;
    const CLI::App * command = nullptr;
};

// Options of `tune` itself; all others go to every measurement.
const std::set<std::string> TUNES_OWN{"--model", "--for",     "--minutes",    "--dry-run",
                                      "--json",  "--verbose", "--model-dirs", "--ctx"};

// The race of speculation, which needs answers of its own, gets what is left.
constexpr double MAIN_SHARE = 0.85;
constexpr size_t ANSWER_PROMPT_BYTES = 1000;
constexpr int LEAST_ANSWER_TOKENS = 64;  // shorter ones repeat nothing

class Clock {
public:
    double elapsed_s() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string duration_text(double seconds) {
    const auto s = static_cast<int>(std::lround(seconds));
    return s < 60 ? fmt::format("{} s", s) : fmt::format("{} min {} s", s / 60, s % 60);
}

class TuneRun {
public:
    TuneRun(const TuneArguments & options, const Globals & globals)
        : options_(options),
          quiet_(globals.json),
          given_(given_options(*options.command, globals)),
          info_(gguf::read_model_info(options.load.path)) {
        visit_.program = self_path();
        visit_.model = options.load.path;
        visit_.llama_args = globals.llama_args;
        visit_.n_repeats = N_VISIT_REPEATS;
        const auto n_trained = static_cast<int>(info_.n_ctx_train);
        const int n_ctx = options.load.n_ctx > 0 ? static_cast<int>(options.load.n_ctx) : n_trained;
        visit_.goal = tune::fit_to_context(tune::goal_named(options.goal), std::min(n_ctx, n_trained));
        const int n_needed = visit_.goal.n_prompt + visit_.goal.n_answer;
        visit_.n_ctx = options.load.n_ctx > 0 ? n_ctx : std::min(n_trained, std::max(LEAST_CONTEXT, n_needed));
        for (const GivenOption & one : given_)
            if (one.flag.starts_with("--") && !TUNES_OWN.contains(one.flag) && !is_llamas(one, globals))
                visit_.given.insert(visit_.given.end(), one.words.begin(), one.words.end());
    }

    // A first look at the model: what can be tried, and how long the measurements may be.
    void look() {
        visit_.lengths = tune::first_lengths(visit_.goal);
        visit_.n_repeats = 1;
        const tune::Visit first = tune::run_visit(visit_, {});
        if (!first.figure.error.empty()) fail("{}: cannot be measured: {}", visit_.model, first.figure.error);
        const double computed_ms = first.prompt_ms + first.gen_ms + first.prompt_ms;  // the first one to warm up
        const double overhead_ms = std::max(0.0, clock_.elapsed_s() * 1000.0 - computed_ms);
        const double visit_ms = (limit_s() - clock_.elapsed_s()) * 1000.0 / N_EXPECTED_VISITS;
        const double budget_ms =
            std::max(LEAST_REPETITION_MS, (visit_ms - overhead_ms) / (N_VISIT_REPEATS + WARM_UP_SHARE));
        const tune::Lengths looked = visit_.lengths;
        visit_.lengths = tune::lengths_within(visit_.goal, first.prompt_ms / looked.n_prompt,
                                              first.gen_ms / looked.n_gen, budget_ms);
        const double repetition_ms = visit_.lengths.n_prompt * first.prompt_ms / looked.n_prompt +
                                     visit_.lengths.n_gen * first.gen_ms / looked.n_gen;
        visit_.n_repeats = std::clamp(static_cast<int>((visit_ms - overhead_ms) / repetition_ms - WARM_UP_SHARE),
                                      N_VISIT_REPEATS, MOST_VISIT_REPEATS);
        const double expected_s = (overhead_ms + (visit_.n_repeats + WARM_UP_SHARE) * repetition_ms) / 1000.0;
        visit_.timeout = std::chrono::milliseconds(
            static_cast<int64_t>(1000.0 * std::max(LEAST_TIMEOUT_S, TIMEOUT_FACTOR * expected_s)));
        document_ = first.document;
        first_s_ = clock_.elapsed_s();
        read_facts();
    }

    tune::Outcome race() {
        std::vector<std::string> flags;
        for (const GivenOption & one : given_)
            flags.push_back(one.flag);
        const std::vector<tune::Setting> settings = tune::settings_for(facts_, flags);
        const std::vector<tune::Setting> by_text = tune::speculation_settings(facts_, flags);
        if (settings.empty() && by_text.empty())
            fail_usage("nothing is left to tune: the options given decide everything");
        say_what_is_measured();
        Progress progress("tuning", quiet_);
        tune::Hooks hooks;
        hooks.measure = [this](const std::vector<std::string> & options) {
            return tune::run_visit(visit_, options).figure;
        };
        hooks.elapsed_s = [this] { return clock_.elapsed_s(); };
        hooks.on_step = [&](const std::string &) {
            const double share = std::min(0.999, clock_.elapsed_s() / limit_s());
            progress.update(static_cast<uint64_t>(share * 1000.0), 1000);
        };
        hooks.on_heat = [&](const tune::Setting & setting, const tune::Heat & heat) {
            progress.note(heat_text(setting, heat));
        };
        tune::Outcome outcome = tune::tune(settings, hooks, MAIN_SHARE * limit_s());
        if (by_text.empty() || outcome.was_interrupted) return outcome;
        const std::vector<std::string> best = tune::options_of(settings, outcome.best);
        hooks.measure = [&](std::vector<std::string> options) {
            options.insert(options.begin(), best.begin(), best.end());
            return tune::run_answer(visit_, options, answer_prompt(), n_answer_tokens());
        };
        tune::append(outcome, tune::tune(by_text, hooks, limit_s()));
        return outcome;
    }

    // Options that hold in every measurement.
    const std::vector<std::string> & given() const { return visit_.given; }

    tune::Profile profile(const tune::Outcome & outcome) const {
        tune::Profile profile;
        profile.model = tune::identify(visit_.model);
        profile.machine = tune::this_machine();
        profile.versions = {shimmy_version(), engine::llama_cpp_version()};
        profile.goal = visit_.goal.name;
        profile.tuned_at = lab::now_utc();
        profile.given = visit_.given;
        profile.given.insert(profile.given.end(), visit_.llama_args.begin(), visit_.llama_args.end());
        profile.n_ctx = static_cast<uint32_t>(visit_.n_ctx);
        profile.n_parallel = static_cast<uint32_t>(visit_.goal.n_clients);
        profile.gain = outcome.gain > 1.0 ? outcome.gain : 0.0;
        for (size_t i = 0; i < outcome.settings.size(); ++i) {
            const tune::Setting & setting = outcome.settings[i];
            if (outcome.best[i] == 0) continue;
            const tune::Value & value = setting.values[static_cast<size_t>(outcome.best[i])];
            profile.choices.push_back({setting.name, value.text, value.options, outcome.worth(i)});
        }
        return profile;
    }

    Json document(const tune::Outcome & outcome) const {
        const tune::Goal & goal = visit_.goal;
        return {{"shimmy_version", shimmy_version()},
                {"llama_cpp_version", engine::llama_cpp_version()},
                {"model", document_.at("model")},
                {"device", document_.at("device")},
                {"host", document_.at("host")},
                {"placement", document_.at("placement")},
                {"goal",
                 {{"name", goal.name},
                  {"n_prompt", goal.n_prompt},
                  {"n_answer", goal.n_answer},
                  {"n_clients", goal.n_clients}}},
                {"measured", {{"n_prompt", visit_.lengths.n_prompt}, {"n_gen", visit_.lengths.n_gen}}},
                {"command", tune::visit_command(visit_, {})},
                {"n_ctx", visit_.n_ctx},
                {"settings", settings_json(outcome)},
                {"options", tune::options_of(outcome.settings, outcome.best)},
                {"is_better", outcome.is_better},
                {"gain", outcome.is_better && outcome.gain > 1.0 ? Json(outcome.gain) : Json(nullptr)},
                {"noise", outcome.noise ? Json(*outcome.noise) : Json(nullptr)},
                {"n_measured", outcome.n_measured},
                {"elapsed_s", clock_.elapsed_s()},
                {"ran_out_of_time", outcome.ran_out_of_time},
                {"was_interrupted", outcome.was_interrupted}};
    }

    void print(const tune::Outcome & outcome) const {
        const bool compared_any = std::any_of(outcome.heats.begin(), outcome.heats.end(),
                                              [](const tune::Heat & heat) { return heat.is_complete; });
        if (!compared_any) {
            const double s = std::max(outcome.longest_s, first_s_);
            fmt::print("nothing was compared: one measurement takes {} here{}\n", duration_text(s),
                       outcome.was_interrupted ? ""
                                               : fmt::format(", so give it more time, such as --minutes {:.0f}",
                                                             std::ceil(s * N_EXPECTED_VISITS / 60.0)));
            return;
        }
        fmt::print("\n{}\n", outcome_text(outcome));
        fmt::print("{} measurement(s) in {}; repeats differ by {}\n", outcome.n_measured,
                   duration_text(clock_.elapsed_s()),
                   outcome.noise ? fmt::format("{:.1f}%", 100.0 * *outcome.noise) : "an unknown amount");
        if (outcome.noise.value_or(0.0) > BUSY_NOISE)
            fmt::print("that much means a busy machine: tune again when it is idle\n");
        if (outcome.was_interrupted) fmt::print("stopped early: what had won until then counts\n");
        if (outcome.ran_out_of_time) fmt::print("time ran out before everything was compared: --minutes gives more\n");
        if (!outcome.is_better) {
            fmt::print("nothing is certainly better than the defaults\n");
            return;
        }
        if (outcome.gain > 1.0)
            fmt::print("together: a request takes {:.0f}% of the time it takes with the defaults ({:.2f}x faster)\n",
                       100.0 / outcome.gain, outcome.gain);
        for (size_t i = 0; i < outcome.settings.size(); ++i)
            if (outcome.best[i] != 0 && outcome.settings[i].changes_text)
                fmt::print("{} {} changes results slightly, too (shimmy quality measures by how much)\n",
                           outcome.settings[i].name,
                           outcome.settings[i].values[static_cast<size_t>(outcome.best[i])].text);
        fmt::print("options: {}\n", fmt::join(tune::options_of(outcome.settings, outcome.best), " "));
    }

private:
    // Room for it in the smallest context.
    static std::string answer_prompt() { return std::string(engine::bench_text().substr(0, ANSWER_PROMPT_BYTES)); }
    int n_answer_tokens() const { return std::max(LEAST_ANSWER_TOKENS, visit_.lengths.n_gen); }

    static bool is_llamas(const GivenOption & one, const Globals & globals) {
        return std::find(globals.llama_args.begin(), globals.llama_args.end(), one.words.front()) !=
               globals.llama_args.end();
    }

    double limit_s() const { return options_.minutes * 60.0; }

    void read_facts() {
        const engine::Placement placement = engine::parse_placement(document_.at("placement").get<std::string>());
        const std::string kind = document_.at("device").at("kind");
        facts_.n_physical = default_threads();
        facts_.n_performance = performance_cores();
        facts_.n_logical = host().n_cores;
        facts_.on_gpu = kind == "gpu" || kind == "integrated_gpu";
        facts_.has_plugin = document_.at("moe_backend").get<bool>();
        facts_.has_experts = info_.cpu_moe_applies();
        facts_.n_layers = static_cast<int>(info_.n_layers);
        facts_.n_cpu_moe = placement.n_cpu_moe;
        facts_.larger_than_ram = info_.size_bytes > available_ram_bytes();
        facts_.n_prompt = visit_.lengths.n_prompt;
        facts_.n_clients = visit_.goal.n_clients;
    }

    void say_what_is_measured() const {
        if (quiet_) return;
        const tune::Goal & goal = visit_.goal;
        const tune::Lengths & lengths = visit_.lengths;
        const bool is_whole = lengths.n_prompt == goal.n_prompt && lengths.n_gen == goal.n_answer;
        fmt::print(stderr,
                   "tuning {} for {}: {} tokens of prompt, {} of answer{}{}; {} at most, Ctrl-C keeps what is found\n",
                   info_.name, goal.name, goal.n_prompt, goal.n_answer,
                   goal.n_clients > 1 ? fmt::format(", {} requests at once", goal.n_clients) : "",
                   is_whole ? "" : fmt::format(" (measured: {} and {}, scaled)", lengths.n_prompt, lengths.n_gen),
                   duration_text(limit_s()));
    }

    const TuneArguments & options_;
    bool quiet_;
    std::vector<GivenOption> given_;
    gguf::ModelInfo info_;
    tune::VisitOptions visit_;
    tune::Facts facts_;
    Json document_;         // of the first measurement
    double first_s_ = 0.0;  // that it took
    Clock clock_;
};

// A folder that takes no profile is better known before minutes of measuring than after.
void check_profiles_dir(bool dry_run) {
    const fs::path dir = tune::profiles_dir();
    if (dry_run || dir.empty()) return;
    try {
        ensure_writable_dir(dir);
    } catch (const Error & error) {
        fail("{} (--dry-run measures and writes no profile)", error.what());
    }
}

// Where the profile was written; empty: it was not. An earlier one goes on being used, which is said.
fs::path save_profile(const TuneRun & run, const tune::Outcome & outcome, bool dry_run) {
    const fs::path dir = tune::profiles_dir();
    if (dry_run || dir.empty() || !outcome.is_better) return "";
    return tune::save(run.profile(outcome), dir);
}

void note_earlier_profile(const std::string & model, const std::vector<std::string> & given) {
    const std::vector<std::string> devices = tune::device_words(given);
    const auto earlier = tune::find_profile(tune::profiles_dir(), model, tune::this_machine(),
                                            {shimmy_version(), engine::llama_cpp_version()}, devices);
    if (earlier && !earlier->is_stale && tune::device_words(earlier->profile.given) == devices)
        fmt::print("an earlier profile is still used: {} (delete it to go back to the defaults)\n",
                   earlier->file.string());
}

int run_tune(TuneArguments options, const Globals & globals) {
    llama_args(options.llama, globals, engine::LlamaUse::text);  // wrong ones are an error before anything is measured
    (void)placement_option(globals, DefaultPlacement::automatic);
    options.load.path = model_file(options.name, globals).string();
    check_profiles_dir(options.dry_run);
    TuneRun run(options, globals);
    run.look();
    const tune::Outcome outcome = run.race();
    clear_interrupt();  // what was found is still written
    if (!globals.json) run.print(outcome);
    const fs::path file = save_profile(run, outcome, options.dry_run);
    if (globals.json) {
        Json document = run.document(outcome);
        document["profile"] = file.empty() ? Json(nullptr) : Json(file.string());
        fmt::print("{}\n", json_text(document));
    } else if (!file.empty()) {
        fmt::print("written to {}; generate, chat, run and serve use it (--no-profile: not)\n", file.string());
    } else if (!options.dry_run) {
        note_earlier_profile(options.load.path, run.given());
    }
    return outcome.was_interrupted ? EXIT_CODE_INTERRUPTED : 0;
}

}  // namespace

void add_tune(Commands & commands) {
    auto options = std::make_shared<TuneArguments>();
    CLI::App * command = commands.add("tune", "find the fastest settings for a model on this machine, by measuring",
                                      [options, &commands] { return run_tune(*options, commands.globals()); });
    options->command = command;
    command
        ->add_option("name,--model", options->name,
                     "model: a GGUF file, a name from `shimmy list`, or hf:USER/NAME[:QUANT] on the Hub")
        ->type_name("FILE|NAME")
        ->required();
    command
        ->add_option("--for", options->goal,
                     "kind of requests: chat (short turns), agent (long prompts), batch (8 at once), long-context")
        ->type_name("GOAL")
        ->check(CLI::IsMember({"chat", "agent", "batch", "long-context"}))
        ->capture_default_str();
    command->add_option("--minutes", options->minutes, "time limit")
        ->type_name("N")
        ->check(from_to(0.05, 1440.0))
        ->capture_default_str();
    command->add_flag("--dry-run", options->dry_run, "write no profile");
    add_model_dirs_option(*command, commands.globals());
    add_load_options(*command, options->load);
    add_batch_options(*command, options->load);
    add_placement_options(*command, commands.globals(), DefaultPlacement::automatic);
    add_backend_options(*command, commands.globals());
    add_llama_options(*command, options->llama, engine::LlamaUse::text);
    commands.take_llama_args(*command);
    command->footer(
        "An option that is given holds for every measurement and is not tuned. A value replaces the default only if "
        "every measurement with it was faster than every one without. What is found is written to "
        "shimmy/profiles in XDG_CONFIG_HOME or ~/.config and used by generate, chat, run and serve, which say so in one "
        "line; options on their command line win, and --no-profile leaves it out. Measures with `shimmy bench`, in fresh "
        "processes. docs/howto/tune.md says how.");
}

}  // namespace shimmy::cli
