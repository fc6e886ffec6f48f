// shimmy serve: models behind an HTTP server.
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text/units.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "cli/serve/models_file.h"
#include "cli/serve/served_models.h"
#include "engine/device/device.h"
#include "engine/llama/version.h"
#include "engine/run/describe.h"
#include "gguf/model_info.h"
#include "serve/http/access.h"
#include "serve/http/log.h"
#include "serve/server.h"
#include "serve/worker/worker.h"

#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace shimmy::cli {

namespace {

constexpr const char * ANY_FREE_PORT = "auto";

struct ServeArguments {
    std::vector<std::string> models;
    std::string bind;
    std::string host;  // the same in two parts, as llama.cpp's server takes it
    std::optional<int> port;
    std::string ollama_bind;
    std::optional<std::string> api_key;
    std::string api_key_file;
    bool insecure = false;
    std::vector<std::string> allowed_origins;
    int drain_s = 15;
    int max_loaded = 0;
    std::string models_file;
    ModelArguments model;
    const CLI::App * command = nullptr;  // that was parsed
};

// The first line of the file.
std::string read_key(const std::string & file) {
    const std::string text = read_file(file);
    const std::string key = text.substr(0, text.find_first_of("\r\n"));
    if (key.empty()) fail_usage("{}: the first line holds no key", file);
    return key;
}

std::string api_key(const ServeArguments & options) {
    if (!options.api_key_file.empty()) return read_key(options.api_key_file);
    if (!options.api_key) return "";
    if (options.api_key->empty()) fail_usage("--api-key is empty; leave the option out to ask for no key");
    return *options.api_key;
}

serve::Address bind_address(const ServeArguments & options) {
    const char * variable = std::getenv("SHIMMY_BIND_ADDRESS");
    const std::string text = !options.bind.empty() ? options.bind : variable != nullptr ? variable : "";
    if (!options.host.empty() || options.port) {
        if (!options.bind.empty()) fail_usage("--bind says the host and the port: leave out --host and --port");
        serve::Address address;
        if (!options.host.empty()) address.host = options.host;
        if (options.port) address.port = *options.port;
        return serve::parse_address(address.text());
    }
    if (text == ANY_FREE_PORT) return serve::free_address();
    return text.empty() ? serve::Address{} : serve::parse_address(text);
}

std::vector<serve::ServedModel> models_of(const ServeArguments & options, const Globals & globals) {
    std::vector<serve::ServedModel> models;
    for (const std::string & name : options.models)
        models.push_back(named_model(name, options.model, globals));
    if (options.models_file.empty()) return models;
    for (serve::ServedModel & one : models_of_file(options.models_file, options.model, globals))
        models.push_back(std::move(one));
    return models;
}

// Where several may be loaded: a cache takes what is free, which the next model would need.
void turn_automatic_caches_off(std::vector<serve::ServedModel> & models) {
    if (models.size() == 1) return;
    for (serve::ServedModel & model : models) {
        if (model.options.backends.moe_cache == "auto") model.options.backends.moe_cache = "off";
    }
}

void require_room_for_pinned(const serve::ServerOptions & server) {
    const auto n_pinned = std::count_if(server.models.begin(), server.models.end(),
                                        [](const serve::ServedModel & model) { return model.is_pinned; });
    if (server.max_loaded > 0 && n_pinned > server.max_loaded)
        fail_usage("{} models are pinned, and --max-loaded is {}", n_pinned, server.max_loaded);
}

void set_models(serve::ServerOptions & server, const ServeArguments & options, const Globals & globals) {
    if (options.models.empty() && options.models_file.empty()) {
        server.discover = [arguments = options.model, globals, max_loaded = server.max_loaded] {
            std::vector<serve::ServedModel> models = discovered_models(arguments, globals);
            if (max_loaded != 1) turn_automatic_caches_off(models);
            return models;
        };
        server.models = server.discover();
    } else {
        server.models = models_of(options, globals);
        if (server.max_loaded != 1) turn_automatic_caches_off(server.models);
    }
    require_room_for_pinned(server);
    if (!options.model.expert_trace.empty() && server.models.size() != 1)
        fail_usage("--expert-trace: needs one --model, since a file holds the trace of one");
}

Json model_document(const serve::ServedModel & model) {
    return {{"path", model.path.string()},
            {"name", gguf::read_model_info(model.path).name},
            {"arch", model.arch},
            {"quantization", model.quantization},
            {"size_bytes", model.size_bytes}};
}

// One line, so that a program that starts the server can read it while the server runs.
Json started_document(const serve::ServerOptions & server, const serve::Started & started) {
    Json names = Json::array();
    for (const serve::ServedModel & model : server.models)
        names.push_back(model.name);
    Json document{{"address", started.address.text()},
                  {"ollama_address", started.ollama_address ? Json(started.ollama_address->text()) : Json(nullptr)},
                  {"pid", ::getpid()},
                  {"shimmy_version", shimmy_version()},
                  {"llama_cpp_version", engine::llama_cpp_version()},
                  {"host", engine::host_json()},
                  {"placement", engine::to_string(started.loaded ? started.loaded->placement.placement
                                                                 : server.model.load.placement)},
                  {"moe_backend", started.loaded ? Json(started.loaded->moe_backend) : Json(nullptr)},
                  {"models", names}};
    if (!started.loaded) return document;
    const serve::Loaded & loaded = *started.loaded;
    document["model"] = model_document(*started.model);
    document["device"] = engine::device_json(loaded.device);
    document["n_threads"] = loaded.n_threads;
    document["n_ctx"] = loaded.n_ctx;
    document["n_parallel"] = loaded.n_parallel;
    document["has_chat_template"] = loaded.has_chat_template;
    document["load_ms"] = loaded.load_ms;
    document["memory"] = engine::memory_json(loaded.memory, loaded.expert_ram_bytes, loaded.devices_before);
    return document;
}

void print_started(const serve::ServerOptions & server, const serve::Started & started) {
    serve::log("http://{}", started.address.text());
    if (started.ollama_address) serve::log("http://{} (Ollama's API)", started.ollama_address->text());
    const auto n_later = std::count_if(server.models.begin(), server.models.end(),
                                       [](const serve::ServedModel & model) { return !model.loads_at_start; });
    if (n_later > 0 || server.models.empty())
        serve::log("{} model(s), each loaded when it is first asked for (GET /v1/models lists them)", n_later);
    if (!started.loaded) return;
    const serve::Loaded & loaded = *started.loaded;
    serve::log("{} ({}, {} of VRAM; {} request(s) at once, {} tokens of context each)",
               started.model->path.filename().string(), loaded.device.name,
               format_bytes(loaded.memory.vram().total_bytes()), loaded.n_parallel, loaded.n_ctx);
    if (loaded.device.software) serve::log("{} is a software device: its speed is not a GPU's", loaded.device.name);
}

int run_serve(ServeArguments options, const Globals & globals) {
    options.model.given = given_options(*options.command, globals);
    serve::ServerOptions server;
    server.model = model_options(options.model, globals);
    server.address = bind_address(options);
    if (!options.ollama_bind.empty()) server.ollama_address = serve::parse_address(options.ollama_bind);
    server.api_key = api_key(options);
    for (const std::string & origin : options.allowed_origins)
        server.allowed_origins.push_back(serve::parse_origin(origin));
    server.drain_limit = std::chrono::seconds(options.drain_s);
    server.insecure = options.insecure;
    server.max_loaded = options.max_loaded;
    set_models(server, options, globals);
    serve::serve(server, [&](const serve::Started & started) {
        if (globals.json) {
            fmt::print("{}\n", json_text(started_document(server, started), -1));
            std::fflush(stdout);
        } else {
            print_started(server, started);
        }
    });
    return 0;
}

}  // namespace

void add_serve_model(Commands & commands) {
    commands.add("serve-model", "compute for a server (internal)", []() -> int { serve::run_worker(); })
        ->group("")  // not shown: `serve` starts it
        ->add_option("name", "of the model, for those who look at the processes");
}

void add_serve(Commands & commands) {
    auto options = std::make_shared<ServeArguments>();
    CLI::App * command = commands.add("serve", "serve models over HTTP with the APIs of OpenAI, Anthropic and Ollama",
                                      [options, &commands] { return run_serve(*options, commands.globals()); });
    options->command = command;
    command
        ->add_option("models,--model,--model-path", options->models,
                     "model to load at start, a GGUF file or a name from `shimmy list`; may be given several times. "
                     "None: every model that `shimmy list` shows, each loaded when it is first asked for")
        ->type_name("FILE|NAME")
        ->allow_extra_args(false);
    command
        ->add_option("--models-file", options->models_file,
                     "TOML file of models with settings of their own, each loaded when it is first asked for unless it "
                     "is pinned (docs/howto/serve.md)")
        ->type_name("FILE");
    command
        ->add_option("--bind", options->bind,
                     fmt::format("HOST:PORT to listen on (default: {}); port 0: any free one; auto: the first free one "
                                 "from {} on",
                                 serve::Address{}.text(), serve::DEFAULT_PORT))
        ->type_name("ADDRESS|auto");
    command->add_option("--host", options->host, "the address alone, as of llama.cpp's server")->type_name("HOST");
    command->add_option("--port", options->port, "the port alone")->type_name("PORT")->check(from_to(0, 65535));
    command
        ->add_option(
            "--ollama-bind", options->ollama_bind,
            fmt::format("a second HOST:PORT, for Ollama's API; its clients expect 127.0.0.1:{}", serve::OLLAMA_PORT))
        ->type_name("ADDRESS");
    auto * key = command->add_option("--api-key", options->api_key, "key that clients must send")->type_name("KEY");
    command->add_option("--api-key-file", options->api_key_file, "read the key from a file")
        ->type_name("FILE")
        ->excludes(key);
    command->add_flag("--insecure", options->insecure, "accept requests from other machines without a key");
    command
        ->add_option("--allow-origin", options->allowed_origins,
                     "let pages and apps of this origin use the server, as browsers name it (https://ai.example.com, "
                     "app://obsidian.md, or * for all); may be given several times")
        ->type_name("ORIGIN")
        ->allow_extra_args(false);
    command
        ->add_option("--max-loaded", options->max_loaded,
                     "models to keep loaded (0: as many as fit); the least recently used goes first")
        ->type_name("N")
        ->check(at_least_zero())
        ->capture_default_str();
    command
        ->add_option("--drain-seconds", options->drain_s,
                     "time for running requests to finish after SIGTERM or Ctrl-C; a second signal ends them at once")
        ->type_name("N")
        ->check(from_to(0, 86400))
        ->capture_default_str();
    add_model_options(*command, options->model, commands.globals());
    add_model_dirs_option(*command, commands.globals());
    commands.take_llama_args(*command);
    command->footer(
        "docs/API.md lists every path, with examples. Ctrl-C or SIGTERM ends the server. An address that other "
        "machines can reach needs a key, or `--insecure`. Without `--bind`, `SHIMMY_BIND_ADDRESS` is used. With "
        "--json, one line on stdout says where it listens and what was loaded.");
}

}  // namespace shimmy::cli
