#include "cli/llama_options.h"

#include "cli/model_name.h"
#include "engine/device/device.h"

namespace shimmy::cli {

namespace {

constexpr const char * GROUP_MODEL = "Model and context (llama.cpp)";
constexpr const char * GROUP_PROMPTS = "Thoughts and saved prompts (llama.cpp)";
constexpr const char * SPEC_AUTO = "auto";
constexpr const char * SPEC_OFF = "off";

// The table of llama.cpp checks the value when the model is loaded; `choices` say it at once.
void add(CLI::App & command, LlamaOptions & options, const std::string & flag, const std::string & type,
         const std::string & description, const std::vector<std::string> & choices = {},
         const char * group = GROUP_MODEL) {
    auto * option = command
                        .add_option_function<std::string>(
                            flag,
                            [&options, flag](const std::string & value) {
                                options.args.insert(options.args.end(), {flag, value});
                            },
                            description)
                        ->type_name(type)
                        ->group(group);
    if (!choices.empty()) option->check(CLI::IsMember(choices));
}

}  // namespace

void add_llama_options(CLI::App & command, LlamaOptions & options, engine::LlamaUse use) {
    const std::vector<std::string> cache_types{"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"};
    add(command, options, "--cache-type-k", "TYPE", "type of the KV cache's keys (default: f16)", cache_types);
    add(command, options, "--cache-type-v", "TYPE",
        "type of its values; a quantized one needs flash attention (default: f16)", cache_types);
    add(command, options, "--flash-attn", "on|off|auto", "flash attention (default: auto)", {"on", "off", "auto"});
    command
        .add_option(
            "--load-mode", options.load_mode,
            "how weights reach RAM: auto (mapped; experts read from disk as needed if the model is larger than "
            "RAM), direct (so in any case), mmap, mlock, mmap+mlock, none or dio as in llama.cpp (default: auto)")
        ->type_name("MODE")
        ->check(CLI::IsMember({"auto", "direct", "mmap", "none", "mlock", "mmap+mlock", "dio"}))
        ->group(GROUP_MODEL);
    add(command, options, "--lazy-mode", "on|auto|off",
        "read rows of tensors such as per-layer embeddings from disk when they are needed; auto: of those above 4 GiB "
        "(default: auto)",
        {"on", "auto", "off"});
    add(command, options, "--override-tensor", "PATTERN=DEVICE,…",
        "where tensors go whose names match the regular expression, before --placement decides");
    add(command, options, "--split-mode", "MODE", "how the model is split over several GPUs (default: layer)",
        {"none", "layer", "row", "tensor"});
    add(command, options, "--tensor-split", "N0,N1,…", "share of each GPU (default: as memory is free)");
    add(command, options, "--lora", "FILE,…", "LoRA adapters to apply");
    if (use == engine::LlamaUse::server) add_projector_option(command, options, "projector for images and audio");
}

void add_projector_option(CLI::App & command, LlamaOptions & options, const std::string & description) {
    command.add_option("--mmproj", options.mmproj, description)->type_name("FILE|NAME")->group(GROUP_SPECULATION);
}

void add_prompt_options(CLI::App & command, LlamaOptions & options, engine::LlamaUse use) {
    const auto add_here = [&](const char * flag, const char * type, const char * description) {
        add(command, options, flag, type, description, {}, GROUP_PROMPTS);
    };
    add_here("--reasoning-budget", "N", "tokens that a model may think before it answers; -1: no limit (default: -1)");
    if (use != engine::LlamaUse::server) return;
    add_here("--cache-ram", "MIB",
             "RAM for prompts whose slot went to another conversation; -1: no limit, 0: none (default: 256)");
    add_here("--cache-reuse", "N",
             "reuse parts of a prompt from N tokens on that stand elsewhere in the one before; 0: none (default: 0)");
    add_here("--slot-save-path", "DIR", "folder for POST /slots/N?action=save and restore");
}

void add_speculation_options(CLI::App & command, LlamaOptions & options) {
    command.add_option("--model-draft", options.model_draft, "small model that drafts tokens for this one to check")
        ->type_name("FILE|NAME")
        ->group(GROUP_SPECULATION);
    command
        .add_option(
            "--spec,--spec-type", options.spec,
            "speculation: auto (n-grams of the text, the draft model, or the model's own layers for it, where "
            "measured to be faster), off, or llama.cpp's kinds, such as ngram-mod and draft-mtp (default: draft-simple with --model-draft, else off)")
        ->type_name("auto|off|TYPE,…")
        ->group(GROUP_SPECULATION);
}

bool measures_speculation(const LlamaOptions & options) {
    return options.spec == SPEC_AUTO;
}

std::vector<std::string> llama_args(const LlamaOptions & options, const Globals & globals, engine::LlamaUse use) {
    std::vector<std::string> args = options.args;
    args.insert(args.end(), globals.llama_args.begin(), globals.llama_args.end());
    engine::check_llama_args(args, use);
    if (const std::string & mode = options.load_mode; !mode.empty() && mode != "auto") {
        engine::set_expert_ram(mode == "direct" ? "on" : "off");
        args.insert(args.begin(), {"--load-mode", mode == "direct" ? "mmap" : mode});
    }
    const auto add_file = [&](const char * flag, const std::string & name) {
        if (!name.empty()) args.insert(args.end(), {flag, model_file(name, globals).string()});
    };
    if (options.spec != SPEC_OFF) add_file("--model-draft", options.model_draft);
    if (!options.spec.empty() && options.spec != SPEC_AUTO && options.spec != SPEC_OFF)
        args.insert(args.end(), {"--spec-type", options.spec});
    add_file("--mmproj", options.mmproj);
    return args;
}

}  // namespace shimmy::cli
