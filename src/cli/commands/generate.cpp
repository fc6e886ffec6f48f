// shimmy generate: text from a model, streamed, with a line of what it cost.
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/text/text_file.h"
#include "base/text/units.h"
#include "cli/answer_options.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "cli/print/load_progress.h"
#include "cli/print/memory_text.h"
#include "cli/print/run_document.h"
#include "engine/bench/long_prompt.h"
#include "engine/device/device.h"
#include "engine/experts/expert_cache.h"
#include "engine/experts/expert_use.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"
#include "engine/load/placement.h"
#include "engine/run/describe.h"
#include "engine/run/model.h"
#include "engine/run/sampling_options.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

namespace shimmy::cli {

namespace {

// Enough for what is slow the first time (kernels compiled, pages of weights read), and no second whole answer.

struct GenerateArguments : AnswerOptions {
    std::optional<std::string> prompt;
    std::string prompt_file;
    bool raw = false;
    bool cold_run = false;
    engine::PromptLength length;
    std::string expert_stats;  // file to write, or empty
    std::string expert_trace;  // the same
};

// From the option, the file, or standard input: "-", or where something other than a terminal is there.
std::string prompt_text(const GenerateArguments & options) {
    if (!options.prompt_file.empty()) {
        const std::string prompt = read_text_file(options.prompt_file);
        if (prompt.empty())
            fail_usage("--prompt-file: {} holds no prompt",
                       options.prompt_file == "-" ? "standard input" : options.prompt_file);
        return prompt;
    }
    const bool from_input = options.prompt ? *options.prompt == "-" : ::isatty(STDIN_FILENO) == 0;
    const std::string prompt = from_input ? read_text_file("-") : options.prompt.value_or("");
    if (prompt.empty() && from_input) fail_usage("standard input holds no prompt");
    if (prompt.empty() && options.prompt) fail_usage("--prompt is empty");
    if (prompt.empty()) fail_usage("which prompt? (shimmy generate MODEL PROMPT, or on standard input)");
    return prompt;
}

// With a mark for each of `images`.
std::string render(const engine::Model & model, const GenerateArguments & options, const std::string & prompt,
                   const std::vector<engine::Image> & images) {
    // A model without a template is a base model: its prompt is the text to continue.
    if (options.raw || !model.has_chat_template()) {
        if (!options.system.empty())
            fail_usage("{}: has no chat template, which --system needs: put it into the prompt", options.load.path);
        std::string marks;
        for (size_t i = 0; i < images.size(); ++i)
            marks += model.picture_mark();
        return marks + prompt;
    }
    std::vector<engine::Message> messages;
    if (!options.system.empty()) messages.push_back({"system", options.system});
    messages.push_back({"user", prompt, /*thoughts=*/"", images});
    return model.apply_chat_template(messages);
}

void print_summary(const engine::Model & model, const engine::GenerateResult & result) {
    const auto decode = result.decode_tps();
    fmt::print(stderr,
               "\n{} prompt tokens, {} output tokens ({}); load {:.0f} ms, TTFT {:.1f} ms, prefill {:.1f} tokens/s, "
               "decode {}{}{}; peak RSS {}\n",
               result.n_prompt_tokens, result.n_output_tokens, engine::to_string(result.stop_reason), model.load_ms(),
               result.ttft_ms, result.prefill_tps(), decode ? fmt::format("{:.1f} tokens/s", *decode) : "-",
               result.speculation ? "; " + result.speculation->text() : "", vram_text(model),
               format_bytes(peak_rss_bytes()));
    const std::string cache = expert_cache_text(model);
    if (!cache.empty()) fmt::print(stderr, "{}\n", cache);
    const std::string disk = expert_disk_text();
    if (!disk.empty()) fmt::print(stderr, "{}\n", disk);
    if (model.device().software)
        fmt::print(stderr, "{} is a software device: its speed is not a GPU's\n", model.device().name);
}

// A baseline whose experts did not all reach the GPU is not one: say so rather than report its figures as if it were.
void warn_if_no_baseline(const engine::Model & model) {
    const uint64_t bytes = model.expert_ram_bytes();
    if (model.placement().placement.offloads() || !model.device().is_gpu() || bytes == 0) return;
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

// llama.cpp begins the text with that token itself; with two, many models answer worse.
void warn_if_begun_twice(const engine::Model & model, const std::string & rendered) {
    const std::optional<int32_t> bos = model.bos_token();
    if (!bos) return;
    const std::vector<int32_t> tokens = model.tokenize(rendered, /*parse_special=*/true);
    if (tokens.size() < 2 || tokens[0] != *bos || tokens[1] != *bos) return;
    fmt::print(
        stderr,
        "warning: the prompt begins with the token that begins a text, and shimmy puts one there itself: leave it "
        "out of the prompt\n");
}

bool write_text(std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

int run_generate(GenerateArguments options, Globals globals) {
    name_words(options, "generate");
    if (!options.text.empty() && (options.prompt || !options.prompt_file.empty()))
        fail_usage("the prompt is given twice: '{}' and {}", options.text,
                   options.prompt ? "--prompt" : "--prompt-file");
    if (!options.text.empty()) options.prompt = options.text;
    if (options.raw && !options.system.empty())
        fail_usage("--raw continues the prompt as it is: put what --system says into it");
    const std::string prompt = prompt_text(options);
    const std::vector<engine::Image> images = read_images(options);
    if (!images.empty() && (options.length.n_tokens > 0 || options.length.depth > 0))
        fail_usage("--image and --prompt-tokens or --depth do not go together: those measure text");
    complete_load(options, globals);
    const gguf::ModelInfo info = gguf::read_model_info(options.load.open_file());

    const bool moe_backend = load_backends(globals, options.load.device);
    if (!options.expert_trace.empty() && !moe_backend)
        fail_usage("--expert-trace needs libggml-moe, which does not compute here: add --moe-backend on");
    if (!options.expert_stats.empty() && !moe_backend) {
        fail_usage("--expert-stats needs libggml-moe, which does not compute here: add --moe-backend on");
    }
    const std::vector<engine::Device> devices_before = engine::devices();
    engine::Model model = load_model(options.load, globals);
    print_placement(model.placement());
    warn_of_no_cache(globals, model);
    print_load_mode();
    if (const std::string why = model.why_no_speculation(); !why.empty()) fmt::print(stderr, "{}\n", why);
    warn_if_no_baseline(model);
    const auto on_text = globals.json ? engine::OnText() : engine::OnText(write_text);
    const std::string rendered = render(model, options, prompt, images);
    warn_if_begun_twice(model, rendered);
    const bool has_length = options.length.n_tokens > 0 || options.length.depth > 0;
    const engine::TokenPrompt tokens =
        has_length ? engine::make_prompt(model, rendered, prompt, options.length) : engine::TokenPrompt();
    const auto answer = [&](int max_tokens, const engine::OnText & on_piece) {
        return has_length
                   ? model.generate(tokens, max_tokens, options.sampling, on_piece)
                   : model.generate(engine::PicturePrompt{rendered, images}, max_tokens, options.sampling, on_piece);
    };
    engine::reset_expert_use();  // the warm-up chose experts too
    std::optional<engine::GenerateResult> cold;
    if (options.cold_run) {
        const int n_tokens =
            options.max_tokens > 0 ? std::min(options.max_tokens, engine::N_COLD_TOKENS) : engine::N_COLD_TOKENS;
        cold = answer(n_tokens, {});
        engine::reset_expert_use();
    }
    // Not of the cold answer, which begins as the other: who replays both finds the same choices twice.
    if (!options.expert_trace.empty()) engine::trace_experts(options.expert_trace);
    const engine::GenerateResult result = answer(options.max_tokens, on_text);

    if (!options.expert_stats.empty()) write_expert_stats(options.expert_stats, options.load.path, result);
    if (globals.json) {
        const RunSettings settings{options.load.path,    prompt,        options.max_tokens, options.load.llama_args,
                                   options.sampling,     moe_backend,   devices_before,     std::move(cold),
                                   options.length.depth, options.images};
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
    add_answer_options(*command, commands, *options, "prompt text (default: standard input)");
    auto * prompt =
        command->add_option("--prompt,-p", options->prompt, "prompt text; - for standard input")->type_name("TEXT");
    command->add_option("--prompt-file", options->prompt_file, "read the prompt from a file; - for standard input")
        ->type_name("FILE")
        ->excludes(prompt);
    command->add_flag("--raw", options->raw, "continue the prompt as it is, without the chat template");
    command->add_flag("--cold-run", options->cold_run,
                      fmt::format("answer twice: {} tokens cold, right after loading, then in full; --json has the "
                                  "first as \"cold\"",
                                  engine::N_COLD_TOKENS));
    command
        ->add_option("--prompt-tokens", options->length.n_tokens,
                     "for measuring: lengthen the prompt to N tokens with a built-in text")
        ->type_name("N")
        ->check(above_zero());
    command
        ->add_option("--depth", options->length.depth,
                     "for measuring: hold N tokens of a built-in text in the context before the prompt, untimed")
        ->type_name("N")
        ->check(at_least_zero());
    command
        ->add_option("--expert-stats", options->expert_stats,
                     "write tokens and bytes per layer and expert as JSON (needs libggml-moe)")
        ->type_name("FILE");
    command
        ->add_option("--expert-trace", options->expert_trace,
                     "write which experts every token chose, as CSV for `shimmy plan --trace` (needs libggml-moe)")
        ->type_name("FILE");
    command->footer(
        "Examples: `shimmy generate model.gguf \"Hello\"`; `shimmy generate hf:USER/NAME:Q4_K_M -p \"Hello\" -n 200`; "
        "`cat notes.txt | shimmy generate model.gguf`; `shimmy generate model.gguf \"Hello\" -- --grammar-file "
        "json.gbnf`.");
}

}  // namespace shimmy::cli
