#include "cli/serve/served_models.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text/units.h"
#include "cli/model_name.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "gguf/model_info.h"
#include "library/catalog.h"
#include "library/names.h"
#include "serve/http/log.h"

#include <algorithm>
#include <optional>

namespace shimmy::cli {

namespace {

// A bare number is seconds, as in LM Studio's --ttl and Ollama's API. nullopt: for ever.
std::optional<std::chrono::milliseconds> keep_alive_option(const std::string & text) {
    if (text.empty()) return std::nullopt;
    const bool is_number = text.find_first_not_of("-0123456789") == std::string::npos;
    const std::optional<double> ms = parse_duration_ms(is_number ? text + "s" : text);
    if (!ms) fail_usage("--keep-alive: '{}' is no duration (write 10m, 1h30m or 90s; -1s: for ever)", text);
    if (*ms < 0.0) return std::nullopt;
    return std::chrono::milliseconds(static_cast<int64_t>(*ms));
}

}  // namespace

void add_model_options(CLI::App & command, ModelArguments & arguments, Globals & globals) {
    add_parallel_option(command, arguments.load);
    command
        .add_option("--keep-alive,--ttl", arguments.keep_alive,
                    "unload a model that nobody has used for so long (default: never); requests of Ollama's API may "
                    "say something else")
        ->type_name("10m|1h|SECONDS");
    command
        .add_option("--stall-seconds", arguments.stall_s, "restart a model's process after this long without progress")
        ->type_name("N")
        ->check(from_to(1, 86400))
        ->capture_default_str();
    auto * embeddings =
        command.add_flag("--embeddings", arguments.embeddings,
                         "answer /v1/embeddings; a text must fit the batch (--batch), which is computed in one piece");
    command
        .add_option("--pooling", arguments.pooling,
                    "how token embeddings are combined (default: the model's own, else mean)")
        ->type_name("mean|cls|last|none")
        ->check(CLI::IsMember({"mean", "cls", "last", "none"}))
        ->needs(embeddings);
    command
        .add_option(
            "--expert-trace", arguments.expert_trace,
            "write which experts every token chooses, as CSV for `shimmy plan --trace`; begins anew whenever the "
            "model is loaded (needs libggml-moe)")
        ->type_name("FILE");
    command
        .add_option("--chat-template-file", arguments.chat_template_file,
                    "chat template (Jinja) to use instead of the model's")
        ->type_name("FILE");
    add_profile_option(command, arguments.no_profile);
    add_batch_options(command, arguments.load);
    add_load_options(command, arguments.load);
    command.get_option("--ctx")->description(
        "context size of each request in tokens; 0: 4096, or the model's own if that is less");
    add_placement_options(command, globals, DefaultPlacement::automatic);
    add_backend_options(command, globals);
    add_llama_options(command, arguments.llama, engine::LlamaUse::server);
    add_prompt_options(command, arguments.llama, engine::LlamaUse::server);
    add_speculation_options(command, arguments.llama);
}

serve::ModelOptions model_options(const ModelArguments & arguments, const Globals & globals) {
    serve::ModelOptions options;
    options.load = arguments.load;
    options.load.placement = placement_option(globals, DefaultPlacement::automatic);
    options.load.vram_limit_bytes = vram_option(globals);
    options.load.llama_args = llama_args(arguments.llama, globals, engine::LlamaUse::server);
    options.load.serves = true;
    options.load.measures_speculation = measures_speculation(arguments.llama);
    require_moe_backend_for_cache(globals);
    options.backends = {globals.gpu_backend, globals.moe_backend, moe_cache_option(globals), globals.rpc_servers,
                        globals.moe_gpu_min_batch};
    options.embeddings = arguments.embeddings;
    options.pooling = arguments.pooling;
    if (!arguments.chat_template_file.empty()) options.chat_template = read_file(arguments.chat_template_file);
    options.expert_trace = arguments.expert_trace;
    options.verbosity = globals.verbosity;
    options.stall_limit = std::chrono::seconds(arguments.stall_s);
    options.keep_alive = keep_alive_option(arguments.keep_alive);
    return options;
}

namespace {

// With what the model's profile says where the arguments say nothing; nullopt: it says nothing.
std::optional<serve::ModelOptions> profiled_options(const fs::path & model, ModelArguments arguments, Globals globals) {
    if (arguments.no_profile || arguments.embeddings) return std::nullopt;
    TakenProfile taken = take_profile(model, arguments.given, arguments.load);
    if (!taken.text.empty()) serve::log("{}: {}", model.filename().string(), taken.text);
    if (taken.options.empty()) return std::nullopt;
    CLI::App command;
    add_model_options(command, arguments, globals);
    std::reverse(taken.options.begin(), taken.options.end());  // as CLI11 takes them
    try {
        command.parse(std::move(taken.options));
    } catch (const CLI::ParseError & error) {
        fail_usage("the profile of {} cannot be used: {} (shimmy tune writes a new one; --no-profile)", model.string(),
                   error.what());
    }
    return model_options(arguments, globals);
}

}  // namespace

serve::ServedModel named_model(const std::string & name_or_path, const ModelArguments & arguments,
                               const Globals & globals) {
    serve::ServedModel model;
    model.path = model_file(name_or_path, globals);
    model.name = library::normalized_name(library::name_stem(model.path));
    model.source = "argument";
    const gguf::ModelInfo info = gguf::read_model_info(model.path);
    model.arch = info.arch;
    model.quantization = info.quantization;
    model.size_bytes = info.size_bytes;
    model.n_params = info.n_params;
    model.has_experts = info.cpu_moe_applies();
    const auto profiled = profiled_options(model.path, arguments, globals);
    model.options = profiled ? *profiled : model_options(arguments, globals);
    model.loads_at_start = true;
    return model;
}

std::vector<serve::ServedModel> discovered_models(const ModelArguments & arguments, const Globals & globals) {
    const serve::ModelOptions options = model_options(arguments, globals);
    std::vector<serve::ServedModel> models;
    const library::Catalog catalog =
        library::read_catalog(library::search_dirs(library::read_environment(), globals.model_dirs));
    for (const library::CatalogModel & found : catalog.models) {
        const bool wanted =
            library::is_llm(found.type) || (options.embeddings && found.type == library::ModelType::embedding);
        if (!wanted) continue;
        serve::ServedModel & model = models.emplace_back();
        model.name = found.name;
        model.path = found.path;
        model.source = found.source;
        model.arch = found.arch;
        model.quantization = found.quantization;
        model.size_bytes = found.size_bytes;
        model.n_params = found.n_params;
        model.has_experts = found.n_expert > 0;
        const auto profiled = profiled_options(model.path, arguments, globals);
        model.options = profiled ? *profiled : options;
    }
    return models;
}

}  // namespace shimmy::cli
