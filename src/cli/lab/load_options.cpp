#include "cli/lab/load_options.h"
#include "cli/numbers.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text/text_file.h"

#include <cstdlib>

namespace shimmy::cli {

namespace {

constexpr const char * GROUP = "Load";
constexpr const char * GROUP_SERVER = "A server that runs";
constexpr int MAX_CLIENTS = 1024;
constexpr int OPEN_LOOP_CLIENTS = 256;  // under way at once; more would only wait in the server's queue
constexpr int SWEEP_CLIENTS = 16;       // to saturate a server of a few slots
// One answer of a large model may take longer, and a campaign has a limit of its own for it.
constexpr double LOAD_TIMEOUT_S = 600.0;
constexpr int OPEN_LOOP_SLOTS = 4;  // of a server that is started

std::string api_key(const std::string & file) {
    std::string key;
    if (!file.empty()) {
        key = read_file(file);
        key.erase(key.find_last_not_of(" \t\r\n") + 1);
        if (key.empty() || key.find_first_of("\r\n") != std::string::npos)
            fail_usage("--api-key-file {}: holds no key, or more than one line", file);
    } else if (const char * variable = std::getenv("OPENAI_API_KEY")) {
        key = variable;
    }
    return key;
}

void add_pace_options(CLI::App & command, LoadArguments & arguments) {
    command.add_option("--rate", arguments.rate, "open loop: conversations that begin per second")
        ->type_name("R")
        ->check(from_to(0.001, 10000.0))
        ->group(GROUP);
    command.add_option("--arrivals", arguments.arrivals, "distances between them: all alike, or a Poisson process")
        ->check(CLI::IsMember({"constant", "poisson"}))
        ->capture_default_str()
        ->group(GROUP);
    command.add_option("--arrivals-seed", arguments.arrivals_seed, "random seed of Poisson arrivals")
        ->type_name("N")
        ->capture_default_str()
        ->group(GROUP);
    command.add_flag("--sweep", arguments.sweep, "find the most that the server does, then open loops at parts of it")
        ->group(GROUP);
    CLI::Option * trace =
        command
            .add_option("--trace", arguments.trace,
                        "replay a recorded trace: JSON lines with timestamp (ms) and prompt, messages or input_length")
            ->type_name("FILE")
            ->group(GROUP);
    command.add_option("--speed", arguments.speed, "replay the trace so many times as fast")
        ->type_name("X")
        ->needs(trace)
        ->check(from_to(0.001, 1000.0))
        ->capture_default_str()
        ->group(GROUP);
    command.add_option("--duration", arguments.duration_s, "duration of the load test in seconds, or of each step")
        ->type_name("S")
        ->check(above_zero())
        ->capture_default_str()
        ->group(GROUP);
    command.add_option("--requests", arguments.n_requests, "number of conversations, in place of the duration")
        ->type_name("N")
        ->check(above_zero())
        ->group(GROUP);
    command
        .add_option("--timeout", arguments.timeout_s,
                    "most seconds a request may take; it has failed then (default: 600 in a load test, else no limit)")
        ->type_name("S")
        ->check(from_to(0.001, 86400.0));
    command
        .add_option(
            "--parallel", arguments.n_parallel,
            "requests that the started server computes at once (default: --clients; 4 in open loops and sweeps)")
        ->type_name("N")
        ->check(from_to(1, MAX_CLIENTS))
        ->group(GROUP);
}

void add_prompt_options(CLI::App & command, LoadArguments & arguments) {
    command
        .add_option("--prompts", arguments.prompts_file,
                    "file of prompts: one per line, or JSON with conversations (ShareGPT), messages or prompt")
        ->type_name("FILE")
        ->group(GROUP);
    command
        .add_option("--turns", arguments.n_turns, "most turns of a conversation, each sent with all before it; 0: all")
        ->type_name("N")
        ->check(at_least_zero())
        ->capture_default_str()
        ->group(GROUP);
    command.add_option("--system-file", arguments.system_file, "text that every conversation begins with")
        ->type_name("FILE")
        ->group(GROUP);
    command.add_flag("--ignore-eos", arguments.ignore_eos, "ask for --max-tokens in any case (llama.cpp, vLLM)")
        ->group(GROUP);
}

void add_limit_options(CLI::App & command, LoadArguments & arguments) {
    command.add_option("--max-ttft", arguments.max_ttft_ms, "goodput: most milliseconds to the first token")
        ->type_name("MS")
        ->check(above_zero())
        ->group(GROUP);
    command.add_option("--max-tpot", arguments.max_tpot_ms, "goodput: most milliseconds per token after the first")
        ->type_name("MS")
        ->check(above_zero())
        ->group(GROUP);
    command.add_option("--max-e2e", arguments.max_e2e_ms, "goodput: most milliseconds to the last token")
        ->type_name("MS")
        ->check(above_zero())
        ->group(GROUP);
}

void add_server_options(CLI::App & command, LoadArguments & arguments) {
    CLI::Option * url =
        command.add_option("--url", arguments.url, "measure this OpenAI server, such as http://127.0.0.1:8000")
            ->type_name("URL")
            ->group(GROUP_SERVER);
    command
        .add_option("--served-model", arguments.served_model, "model to name in requests (default: the first it lists)")
        ->needs(url)
        ->type_name("NAME")
        ->group(GROUP_SERVER);
    command
        .add_option("--api-key-file", arguments.api_key_file,
                    "file with the server's API key (default: the variable OPENAI_API_KEY)")
        ->needs(url)
        ->type_name("FILE")
        ->group(GROUP_SERVER);
    command.add_flag("--completions", arguments.completions, "ask /v1/completions in place of /v1/chat/completions")
        ->needs(url)
        ->group(GROUP_SERVER);
}

}  // namespace

void LoadArguments::refuse_without_load() const {
    if (!url.empty()) fail_usage("--url needs a load: --clients N, --rate R, --trace FILE or --sweep");
    const bool has_limits = max_ttft_ms || max_tpot_ms || max_e2e_ms;
    if (n_requests > 0 || !prompts_file.empty() || !system_file.empty() || ignore_eos || has_limits || n_turns != 1)
        fail_usage(
            "--requests, --prompts, --turns, --system-file, --ignore-eos and --max-… are of a load test: add "
            "--clients N, --rate R, --trace FILE or --sweep");
}

std::chrono::milliseconds LoadArguments::timeout() const {
    const double seconds = timeout_s.value_or(is_load() ? LOAD_TIMEOUT_S : 0.0);
    return std::chrono::milliseconds(static_cast<long>(seconds * 1000.0));
}

int LoadArguments::n_slots() const {
    const bool is_closed = rate <= 0.0 && trace.empty() && !sweep;
    return n_parallel > 0 || is_closed ? n_parallel : OPEN_LOOP_SLOTS;
}

lab::LoadTestOptions LoadArguments::options(const std::vector<std::string> & prompts) const {
    lab::LoadTestOptions test;
    test.url = url;
    while (test.url.ends_with('/'))
        test.url.pop_back();
    if (test.url.ends_with("/v1")) test.url.resize(test.url.size() - 3);  // as OpenAI's clients take it
    if (!url.empty()) test.api_key = api_key(api_key_file);
    const int n_ways = (trace.empty() ? 0 : 1) + (rate > 0.0 ? 1 : 0) + (sweep ? 1 : 0);
    if (n_ways > 1) fail_usage("--rate, --trace and --sweep exclude each other");
    if (!trace.empty()) {
        if (!prompts.empty() || !prompts_file.empty()) fail_usage("a trace (--trace) has its own prompts");
        test.talks = lab::read_trace(trace, speed);
        test.is_trace = true;
    } else if (!prompts_file.empty()) {
        test.talks = lab::read_prompts(prompts_file, n_turns);
    }
    for (const std::string & prompt : prompts)
        test.talks.push_back({{prompt}});
    if (test.talks.empty()) fail_usage("nothing to ask: give --prompt TEXT or --prompts FILE");
    const bool is_open = rate > 0.0 || test.is_trace;
    test.n_clients = n_clients > 0 ? n_clients : is_open ? OPEN_LOOP_CLIENTS : SWEEP_CLIENTS;
    test.duration = std::chrono::seconds(duration_s);
    test.n_requests = n_requests;
    test.rate = rate;
    test.arrivals = arrivals == "poisson" ? lab::Arrivals::poisson : lab::Arrivals::constant;
    test.seed = arrivals_seed;
    test.timeout = timeout();
    test.limits = {max_ttft_ms, max_tpot_ms, max_e2e_ms};
    test.ask.served_model = served_model;
    test.ask.ignore_eos = ignore_eos;
    if (!system_file.empty()) test.ask.system = read_text_file(system_file);
    // What one conversation, or all of them, begin with is to be found in the server's cache.
    test.ask.cache_prompt = n_turns != 1 || !system_file.empty() || test.is_trace;
    return test;
}

CLI::Option * add_load_test_options(CLI::App & command, LoadArguments & arguments) {
    CLI::Option * clients =
        command
            .add_option("--clients", arguments.n_clients,
                        "concurrent clients, each asking again once answered; with --rate, --trace or --sweep the "
                        "most requests under way (256, 256, 16)")
            ->type_name("N")
            ->check(from_to(1, MAX_CLIENTS))
            ->group(GROUP);
    add_pace_options(command, arguments);
    add_prompt_options(command, arguments);
    add_limit_options(command, arguments);
    add_server_options(command, arguments);
    return clients;
}

}  // namespace shimmy::cli
