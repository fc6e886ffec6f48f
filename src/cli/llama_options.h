// llama.cpp's own options: those with names of their own here, and any other behind "--".
#pragma once

#include "cli/command.h"
#include "engine/load/llama_args.h"
#include "engine/load/load_options.h"

#include <string>
#include <vector>

namespace shimmy::cli {

inline constexpr const char * GROUP_SPECULATION = "Speculation and images (llama.cpp)";

struct LlamaOptions {
    std::vector<std::string> args;  // as llama.cpp takes them
    std::string load_mode;          // llama.cpp's modes and "direct"
    std::string model_draft;        // FILE|NAME, and so on
    std::string spec;               // "auto", "off" or llama.cpp's types; empty: with a draft model
    std::string mmproj;
};

// --cache-type-k and -v, --flash-attn, --load-mode, --lazy-mode, --override-tensor, --split-mode, --tensor-split,
// --lora; for a server --mmproj too. `options` must live as long as `command`.
void add_llama_options(CLI::App & command, LlamaOptions & options, engine::LlamaUse use);

// --mmproj, where pictures are looked at without a server.
void add_projector_option(CLI::App & command, LlamaOptions & options, const std::string & description);

// --reasoning-budget, of commands that answer; for a server --cache-ram, --cache-reuse and --slot-save-path too.
void add_prompt_options(CLI::App & command, LlamaOptions & options, engine::LlamaUse use);

// All of them, checked, for engine::LoadOptions. Throws UsageError.
std::vector<std::string> llama_args(const LlamaOptions & options, const Globals & globals, engine::LlamaUse use);

// --spec and --model-draft, of commands that write or serve answers; llama_args() has them too, but for "auto".
void add_speculation_options(CLI::App & command, LlamaOptions & options);
bool measures_speculation(const LlamaOptions & options);

}  // namespace shimmy::cli
