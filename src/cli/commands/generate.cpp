// shimmy generate: text from a model, streamed, with a line of what it cost.
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/model_name.h"
#include "cli/placement_options.h"
#include "cli/print/run_document.h"
#include "engine/load/device.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"
#include "engine/load/placement.h"
#include "engine/run/describe.h"
#include "engine/run/expert_cache.h"
#include "engine/run/expert_use.h"
#include "engine/run/model.h"
#include "engine/run/sampling_options.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace shimmy::cli {

namespace {

// Enough for what is slow the first time (kernels compiled, pages of weights read), and no second whole answer.
constexpr int N_COLD_TOKENS = 16;

struct GenerateArguments {
    std::string name;   // positional: file or name
    std::string model;  // the same as an option
    std::string prompt;
    std::string prompt_file;
    std::string system;
    int max_tokens = 100;
    engine::SamplingOptions sampling;
    engine::LoadOptions load;
    bool raw = false;
    bool cold_run = false;
    std::string expert_stats;  // file to write, or empty
    std::string expert_trace;  // the same
};

std::string model_path(const GenerateArguments & options, const Globals & globals) {
    if (!options.name.empty() && !options.model.empty())
        fail_usage("the model is given twice: '{}' and --model '{}'", options.name, options.model);
    const std::string & wanted = options.model.empty() ? options.name : options.model;
    if (wanted.empty()) fail_usage("which model? (shimmy generate --model FILE|NAME; shimmy list shows the names)");
    return model_file(wanted, globals).string();
}

std::string prompt_text(const GenerateArguments & options) {
    if (options.prompt_file.empty()) return options.prompt;
    return read_file(options.prompt_file);
}

std::string render(const engine::Model & model, const GenerateArguments & options, const std::string & prompt) {
    // A model without a template is a base model: its prompt is the text to continue.
    if (options.raw || !model.has_chat_template()) return prompt;
    std::vector<engine::Message> messages;
    if (!options.system.empty()) messages.push_back({"system", options.system});
    messages.push_back({"user", prompt});
    return model.apply_chat_template(messages);
}

std::string vram_text(const engine::Model & model) {
    std::string text;
    for (const engine::BufferMemory & buffer : model.memory().buffers) {
        if (buffer.host) continue;
        text += fmt::format("; {} {} (model {}, KV {}, compute {}", buffer.device, format_bytes(buffer.total_bytes()),
                            format_bytes(buffer.model_bytes), format_bytes(buffer.context_bytes),
                            format_bytes(buffer.compute_bytes));
        if (buffer.expert_cache_bytes > 0)
            text += fmt::format(", expert cache {}", format_bytes(buffer.expert_cache_bytes));
        text += ')';
    }
    return text.empty() ? "; no VRAM used" : text;
}

// Where it could be: beside a GPU, with experts in RAM.
void print_expert_cache(const engine::Model & model) {
    const auto cache = engine::expert_cache();
    if (!cache || !model.device().is_gpu() || model.expert_ram_bytes() == 0) return;
    const auto rate = cache->hit_rate();
    if (!cache->is_on()) {
        fmt::print(stderr, "expert cache {}\n", cache->state);
    } else {
        fmt::print(
            stderr, "expert cache: {} of {} experts fit ({}), {} of {} look-ups were hits ({}), {} uploads ({})\n",
            cache->slots, cache->experts, format_bytes(cache->bytes), cache->hits, cache->lookups,
            rate ? fmt::format("{:.0f}%", 100.0 * *rate) : "-", cache->uploads, format_bytes(cache->uploaded_bytes));
    }
}

void print_summary(const engine::Model & model, const engine::GenerateResult & result) {
    const auto decode = result.decode_tps();
    fmt::print(stderr,
               "\n{} prompt tokens, {} output tokens ({}); load {:.0f} ms, TTFT {:.1f} ms, prefill {:.1f} tokens/s, "
               "decode {}{}; peak RSS {}\n",
               result.n_prompt_tokens, result.n_output_tokens, engine::to_string(result.stop_reason), model.load_ms(),
               result.ttft_ms, result.prefill_tps(), decode ? fmt::format("{:.1f} tokens/s", *decode) : "-",
               vram_text(model), format_bytes(peak_rss_bytes()));
    print_expert_cache(model);
    if (model.device().software)
        fmt::print(stderr, "{} is a software device: its speed is not a GPU's\n", model.device().name);
}

// A baseline whose experts did not all reach the GPU is not one: say so rather than report its figures as if it were.
void warn_if_no_baseline(const engine::Model & model, engine::Placement placement) {
    const uint64_t bytes = model.expert_ram_bytes();
    if (placement.offloads() || !model.device().is_gpu() || bytes == 0) return;
    fmt::print(stderr,
               "warning: {} of experts are in RAM: {} cannot hold or compute them, so this is a false baseline\n",
               format_bytes(bytes), model.device().name);
}

// Who did the work, without prompt and figures: one entry per layer and expert that was chosen.
void write_expert_stats(const std::string & file, const std::string & model, const engine::GenerateResult & result) {
    const auto use = engine::expert_use();
    if (!use) {
        fail(
            "{} is not written: libggml-moe computed no experts in this run (they are on a GPU, or the model has none)",
            file);
    }
    const Json document = {{"model", model},
                           {"n_prompt_tokens", result.n_prompt_tokens},
                           {"n_output_tokens", result.n_output_tokens},
                           {"expert_use", engine::expert_use_json(use)}};
    write_file_atomic(file, json_text(document) + "\n");
}

bool write_text(std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

int run_generate(GenerateArguments options, const Globals & globals) {
    const std::string prompt = prompt_text(options);
    if (prompt.empty()) fail_usage("--prompt is empty");
    options.load.path = model_path(options, globals);
    options.load.placement = placement_option(globals);
    const gguf::ModelInfo info = gguf::read_model_info(options.load.path);

    const bool moe_backend = load_backends(globals, options.load.device);
    if (!options.expert_trace.empty() && !moe_backend)
        fail_usage("--expert-trace needs libggml-moe, which does not compute here: add --moe-backend on");
    if (!options.expert_stats.empty() && !moe_backend) {
        fail_usage("--expert-stats needs libggml-moe, which does not compute here: add --moe-backend on");
    }
    const std::vector<engine::Device> devices_before = engine::devices();
    engine::Model model(options.load);
    warn_if_no_baseline(model, options.load.placement);
    const auto on_text = globals.json ? engine::OnText() : engine::OnText(write_text);
    const std::string rendered = render(model, options, prompt);
    engine::reset_expert_use();  // the warm-up chose experts too
    if (!options.expert_trace.empty()) engine::trace_experts(options.expert_trace);
    std::optional<engine::GenerateResult> cold;
    if (options.cold_run) {
        cold = model.generate(rendered, std::min(options.max_tokens, N_COLD_TOKENS), options.sampling, {});
        engine::reset_expert_use();
    }
    const engine::GenerateResult result = model.generate(rendered, options.max_tokens, options.sampling, on_text);

    if (!options.expert_stats.empty()) write_expert_stats(options.expert_stats, options.load.path, result);
    if (globals.json) {
        const RunSettings settings{options.load.path, prompt,      options.max_tokens, options.load.placement,
                                   options.sampling,  moe_backend, devices_before,     std::move(cold)};
        fmt::print("{}\n", json_text(run_document(settings, info, model, result)));
    } else {
        print_summary(model, result);
    }
    return result.stop_reason == engine::StopReason::stopped ? EXIT_CODE_INTERRUPTED : 0;
}

}  // namespace

void add_generate(Commands & commands) {
    auto options = std::make_shared<GenerateArguments>();
    CLI::App * command = commands.add("generate", "generate text from a prompt",
                                      [options, &commands] { return run_generate(*options, commands.globals()); });
    command
        ->add_option("name", options->name,
                     "model: a GGUF file, a name from `shimmy list`, or hf:USER/NAME[:QUANT] on the Hub")
        ->type_name("FILE|NAME");
    command->add_option("--model", options->model, "the same, as an option")->type_name("FILE|NAME");
    auto * prompt = command->add_option("--prompt,-p", options->prompt, "prompt text")->type_name("TEXT");
    command->add_option("--prompt-file", options->prompt_file, "read the prompt from a file")
        ->type_name("FILE")
        ->excludes(prompt);
    command->add_option("--system", options->system, "system message for the chat template")->type_name("TEXT");
    command->add_flag("--raw", options->raw, "continue the prompt as it is, without the chat template");
    command->add_option("--max-tokens,-n", options->max_tokens, "maximum number of tokens to generate")
        ->type_name("N")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    command
        ->add_option("--temperature", options->sampling.temperature,
                     "sampling temperature; 0: always the most likely token")
        ->type_name("T")
        ->check(CLI::Range(0.0, 100.0))
        ->capture_default_str();
    command
        ->add_option("--seed", options->sampling.seed,
                     "random seed; the same seed on the same device gives the same text")
        ->type_name("N")
        ->capture_default_str();
    command
        ->add_option("--top-p", options->sampling.top_p,
                     "sample from the most likely tokens with this total probability")
        ->type_name("P")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command->add_option("--top-k", options->sampling.top_k, "sample from the K most likely tokens; 0: all")
        ->type_name("K")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    command->add_option("--min-p", options->sampling.min_p, "drop tokens below this fraction of the top probability")
        ->type_name("P")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command
        ->add_option("--repeat-penalty", options->sampling.repeat_penalty,
                     "repetition penalty over the last 64 tokens; 1: off")
        ->type_name("X")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    command->add_flag("--cold-run", options->cold_run,
                      fmt::format("answer twice: {} tokens cold, right after loading, then in full; --json has the "
                                  "first as \"cold\"",
                                  N_COLD_TOKENS));
    command
        ->add_option("--expert-stats", options->expert_stats,
                     "write tokens and bytes per layer and expert as JSON (needs libggml-moe)")
        ->type_name("FILE");
    command
        ->add_option("--expert-trace", options->expert_trace,
                     "write which experts every token chose, as CSV for `shimmy plan --trace` (needs libggml-moe)")
        ->type_name("FILE");
    add_load_options(*command, options->load);
}

}  // namespace shimmy::cli
