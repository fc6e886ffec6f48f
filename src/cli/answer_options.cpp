#include "cli/answer_options.h"

#include "base/error.h"
#include "cli/model_name.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "cli/profile_option.h"
#include "gguf/sampling.h"

#include <algorithm>
#include <cstdio>
#include <type_traits>
#include <utility>

namespace shimmy::cli {

namespace {

constexpr const char * GROUP_SAMPLING = "Sampling";

void add_sampling_options(CLI::App & command, engine::SamplingOptions & sampling) {
    command
        .add_option(
            "--temperature", sampling.temperature,
            "sampling temperature; 0: always the most likely token. What the model's file recommends of these is used "
            "where nothing is given")
        ->type_name("T")
        ->check(from_to(0.0, 100.0))
        ->capture_default_str()
        ->group(GROUP_SAMPLING);
    command.add_option("--seed", sampling.seed, "random seed; the same seed on the same device gives the same text")
        ->type_name("N")
        ->capture_default_str()
        ->group(GROUP_SAMPLING);
    command.add_option("--top-p", sampling.top_p, "sample from the most likely tokens with this total probability")
        ->type_name("P")
        ->check(from_to(0.0, 1.0))
        ->capture_default_str()
        ->group(GROUP_SAMPLING);
    command.add_option("--top-k", sampling.top_k, "sample from the K most likely tokens; 0: all")
        ->type_name("K")
        ->check(at_least_zero())
        ->capture_default_str()
        ->group(GROUP_SAMPLING);
    command.add_option("--min-p", sampling.min_p, "drop tokens below this fraction of the top probability")
        ->type_name("P")
        ->check(from_to(0.0, 1.0))
        ->capture_default_str()
        ->group(GROUP_SAMPLING);
    command
        .add_option("--repeat-penalty", sampling.repeat_penalty, "repetition penalty over the last 64 tokens; 1: off")
        ->type_name("X")
        ->check(above_zero())
        ->capture_default_str()
        ->group(GROUP_SAMPLING);
}

}  // namespace

void add_answer_options(CLI::App & command, Commands & commands, AnswerOptions & options, const std::string & text) {
    command
        .add_option("name", options.name,
                    "model: a GGUF file, a name from `shimmy list`, or hf:USER/NAME[:QUANT] on the Hub")
        ->type_name("FILE|NAME");
    command.add_option("text", options.text, text)->type_name("TEXT");
    command.add_option("--model", options.model, "the model, as an option")->type_name("FILE|NAME");
    command.add_option("--system", options.system, "system message for the chat template")->type_name("TEXT");
    command
        .add_option("--max-tokens,-n", options.max_tokens,
                    "maximum number of tokens of an answer; 0: until the model ends it or the context is full")
        ->type_name("N")
        ->check(at_least_zero())
        ->capture_default_str();
    add_model_dirs_option(command, commands.globals());
    add_sampling_options(command, options.sampling);
    add_load_options(command, options.load);
    add_batch_options(command, options.load);
    add_placement_options(command, commands.globals(), DefaultPlacement::automatic);
    add_backend_options(command, commands.globals());
    add_llama_options(command, options.llama, engine::LlamaUse::text);
    add_prompt_options(command, options.llama, engine::LlamaUse::text);
    add_projector_option(command, options.llama, "projector, with which the model sees pictures");
    command.add_option("--image", options.images, "picture to show with the prompt; may be given several times")
        ->type_name("FILE")
        ->group(GROUP_SPECULATION);
    add_speculation_options(command, options.llama);
    add_profile_option(command, options.no_profile);
    commands.take_llama_args(command);
    options.command = &command;
}

std::vector<engine::Image> read_images(const AnswerOptions & options) {
    std::vector<engine::Image> images;
    if (!options.images.empty() && options.llama.mmproj.empty())
        fail_usage("--image {}: a model sees pictures with its projector only: add --mmproj FILE", options.images[0]);
    for (const std::string & file : options.images)
        images.push_back(engine::read_image(file));
    return images;
}

void name_words(AnswerOptions & options, const std::string & command) {
    if (options.model.empty()) {
        options.model = std::exchange(options.name, "");
    } else if (options.text.empty()) {
        options.text = std::exchange(options.name, "");
    }
    if (options.model.empty())
        fail_usage("which model? (shimmy {} --model FILE|NAME; shimmy list shows the names)", command);
    if (!options.name.empty())
        fail_usage("the model is given twice: '{}' and --model '{}'", options.name, options.model);
}

namespace {

// Reads options into what the command line has filled, as if they stood on it.
void read_words(std::vector<std::string> words, AnswerOptions & options, Globals & globals) {
    CLI::App command;
    add_load_options(command, options.load);
    add_batch_options(command, options.load);
    add_placement_options(command, globals, DefaultPlacement::automatic);
    add_backend_options(command, globals);
    add_llama_options(command, options.llama, engine::LlamaUse::text);
    add_speculation_options(command, options.llama);
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    try {
        command.parse(std::move(words));
    } catch (const CLI::ParseError & error) {
        fail_usage("the profile of this model cannot be used: {} (shimmy tune writes a new one; --no-profile)",
                   error.what());
    }
}

// What the model's makers recommend, where nothing else was asked for; as llama.cpp's programs do.
void take_recommended_sampling(AnswerOptions & options) {
    const gguf::RecommendedSampling file = gguf::recommended_sampling(options.load.open_file());
    gguf::RecommendedSampling taken;
    const auto take = [&](const char * flag, const auto & value, auto & used, auto & option) {
        if (!value || options.command->count(flag) > 0) return;
        used = value;
        option = static_cast<std::remove_reference_t<decltype(option)>>(*value);
    };
    take("--temperature", file.temperature, taken.temperature, options.sampling.temperature);
    take("--top-p", file.top_p, taken.top_p, options.sampling.top_p);
    take("--top-k", file.top_k, taken.top_k, options.sampling.top_k);
    take("--min-p", file.min_p, taken.min_p, options.sampling.min_p);
    take("--repeat-penalty", file.repeat_penalty, taken.repeat_penalty, options.sampling.repeat_penalty);
    const std::string text = gguf::sampling_text(taken);
    if (!text.empty()) fmt::print(stderr, "sampling as the model's file recommends: {}\n", text);
}

}  // namespace

void complete_load(AnswerOptions & options, Globals & globals) {
    options.load.path = model_file(options.model, globals).string();
    if (!options.no_profile) {
        const TakenProfile taken =
            take_profile(options.load.path, given_options(*options.command, globals), options.load);
        if (!taken.text.empty()) fmt::print(stderr, "{}\n", taken.text);
        read_words(taken.options, options, globals);
    }
    options.load.placement = placement_option(globals, DefaultPlacement::automatic);
    options.load.vram_limit_bytes = vram_option(globals);
    options.load.llama_args = llama_args(options.llama, globals, engine::LlamaUse::text);
    options.load.measures_speculation = measures_speculation(options.llama);
    take_recommended_sampling(options);
}

}  // namespace shimmy::cli
