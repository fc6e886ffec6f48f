// Options of the commands that answer by themselves: generate, chat and run.
#pragma once

#include "cli/command.h"
#include "cli/llama_options.h"
#include "engine/load/load_options.h"
#include "engine/run/sampling_options.h"
#include "engine/vision/image.h"

#include <string>
#include <vector>

namespace shimmy::cli {

struct AnswerOptions {
    std::string name;  // positional: the model, or the text beside --model
    std::string text;  // positional
    std::string model;
    std::string system;
    std::vector<std::string> images;  // files
    int max_tokens = 0;               // 0: to the end of the answer
    engine::SamplingOptions sampling;
    engine::LoadOptions load;
    LlamaOptions llama;
    bool no_profile = false;
    const CLI::App * command = nullptr;  // that was parsed
};

// `options` must live as long as the command. `text`: what the second word is.
void add_answer_options(CLI::App & command, Commands & commands, AnswerOptions & options, const std::string & text);

// Tells the model from the text: afterwards they are in `model` and `text`. Throws UsageError.
void name_words(AnswerOptions & options, const std::string & command);

// The pictures of --image. Throws Error for what is none, UsageError without --mmproj.
std::vector<engine::Image> read_images(const AnswerOptions & options);

// Completes options.load: the file, which is downloaded where it is on the Hub, the placement, llama.cpp's options; and
// what a profile of `shimmy tune` says where the command line says nothing, of backends too, with a line on stderr. The
// sampling that the file recommends is taken where the command line says nothing of it, with a line, too.
void complete_load(AnswerOptions & options, Globals & globals);

}  // namespace shimmy::cli
