// shimmy serve: a model behind an HTTP server.
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/units.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/placement_options.h"
#include "describe/documents.h"
#include "engine/version.h"
#include "gguf/model_info.h"
#include "library/names.h"
#include "library/resolve.h"
#include "serve/server.h"

#include <unistd.h>
#include <cstdio>
#include <memory>

namespace shimmy::cli {

namespace {

constexpr uint32_t MAX_PARALLEL = 1024;

struct Options {
    std::string model;
    std::string bind = serve::Address{}.text();
    std::string api_key;
    std::string api_key_file;
    engine::LoadOptions load;
};

// The first line of the file.
std::string read_key(const std::string & file) {
    const std::string text = read_file(file);
    const std::string key = text.substr(0, text.find_first_of("\r\n"));
    if (key.empty()) fail_usage("{}: the first line holds no key", file);
    return key;
}

// One line, so that a program that starts the server can read it while the server runs.
Json started_document(const Options & options, const serve::Started & started,
                      const std::vector<engine::Device> & devices_before, bool moe_backend) {
    const gguf::ModelInfo info = gguf::read_model_info(options.load.path);
    return {{"address", started.address.text()},
            {"pid", ::getpid()},
            {"shimmy_version", shimmy_version()},
            {"llama_cpp_version", engine::llama_cpp_version()},
            {"model",
             {{"path", options.load.path},
              {"name", info.name},
              {"arch", info.arch},
              {"quantization", info.quantization},
              {"size_bytes", info.size_bytes}}},
            {"placement", engine::to_string(options.load.placement)},
            {"device", describe::device(started.device)},
            {"host", describe::host()},
            {"moe_backend", moe_backend},
            {"n_threads", started.n_threads},
            {"n_ctx", started.n_ctx},
            {"n_parallel", options.load.n_parallel},
            {"has_chat_template", started.has_chat_template},
            {"load_ms", started.load_ms},
            {"memory", describe::memory(started.memory, started.expert_ram_bytes, devices_before)}};
}

void print_started(const Options & options, const serve::Started & started) {
    fmt::print(stderr, "{} on http://{} ({}, {} of VRAM; {} request(s) at once, {} tokens of context each)\n",
               fs::path(options.load.path).filename().string(), started.address.text(), started.device.name,
               format_bytes(started.memory.vram().total_bytes()), options.load.n_parallel, started.n_ctx);
    if (started.device.software)
        fmt::print(stderr, "{} is a software device: its speed is not a GPU's\n", started.device.name);
}

int run_serve(Options options, const Globals & globals) {
    if (options.model.empty()) fail_usage("which model? (shimmy serve --model FILE|NAME; shimmy list shows the names)");
    options.load.path = library::resolve(options.model, globals.model_dirs).string();
    options.load.placement = placement_option(globals);
    serve::ServerOptions server;
    server.address = serve::parse_address(options.bind);
    server.api_key = options.api_key_file.empty() ? options.api_key : read_key(options.api_key_file);
    server.model_name = library::normalized_name(library::name_stem(options.load.path));
    server.verbosity = globals.verbosity;
    const bool moe_backend = load_backends(globals, options.load.device);
    const std::vector<engine::Device> devices_before = engine::devices();
    server.load = options.load;
    serve::serve(server, [&](const serve::Started & started) {
        if (globals.json) {
            fmt::print("{}\n", started_document(options, started, devices_before, moe_backend).dump());
            std::fflush(stdout);
        } else {
            print_started(options, started);
        }
    });
    return 0;
}

}  // namespace

void add_serve(Commands & commands) {
    auto options = std::make_shared<Options>();
    CLI::App * command = commands.add("serve", "serve a model over HTTP with OpenAI's API",
                                      [options, &commands] { return run_serve(*options, commands.globals()); });
    command->add_option("--model", options->model, "model: a GGUF file or a name from `shimmy list`")
        ->type_name("FILE|NAME");
    command->add_option("--bind", options->bind, "address to listen on; port 0: any free one")
        ->type_name("HOST:PORT")
        ->capture_default_str();
    auto * key = command->add_option("--api-key", options->api_key, "key that requests must carry")->type_name("KEY");
    command->add_option("--api-key-file", options->api_key_file, "read the key from a file")
        ->type_name("FILE")
        ->excludes(key);
    command
        ->add_option("--parallel", options->load.n_parallel,
                     "requests computed at once, each with a context of its own")
        ->type_name("N")
        ->check(CLI::Range(1U, MAX_PARALLEL))
        ->capture_default_str();
    add_load_options(*command, options->load);
    command->footer(
        "GET /health and /v1/models; POST /v1/chat/completions, /v1/completions (both also streamed) and /tokenize. "
        "Ctrl-C or SIGTERM ends it. An address that other machines can reach needs a key. With --json, one line on "
        "stdout says where it listens and what was loaded.");
}

}  // namespace shimmy::cli
