#include "lab/campaign/campaign_template.h"

#include "gguf/model_info.h"
#include "gguf/shape.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::lab {

namespace {

constexpr const char * HEAD = R"(# A measuring campaign. Run it with: shimmy lab run {file}
# You can stop or kill it at any time: the same command continues where it was.

name = "{name}"
# Folder for models, results and documents, relative to this file.
out_dir = "{name}"

# Every model is measured in every quantization, placement and mode, with every prompt, `repeats` times.
# Quantizations are llama.cpp's: F16, Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q3_K_M, Q2_K, …; "input" takes the file as it is.
quantizations = ["Q4_K_M", "Q2_K"]
# "baseline": everything on the GPU; "offload": all experts on the CPU; "n_cpu_moe=12": those of the first 12 layers.
placements = ["baseline", "offload"]
# "generate": without HTTP; "stream" and "no-stream": through a local shimmy serve, to see what streaming costs.
modes = ["generate"]
repeats = 3

temperature = 0  # 0: always the most likely token, so the same text every time
seed = 42
max_tokens = 100
n_ctx = {n_ctx}
threads = 0      # 0: one per physical core
device = "gpu"   # a name from shimmy gpu-info, or gpu: the best one
timeout_s = 3600 # per run, loading included
# expert_trace = true  # the first repeat writes which experts every token chose (needs libggml-moe)

# For model cards. "per-quant": one repository per quantization; "per-model": one for all.
layout = "per-quant"
# languages = ["en", "de"]   # default: those in the model's file (general.languages), else en
# creator = "Ada Lovelace"
# repo_owner = "ada"

# Without prompts, the five built-in ones are used. They can also be in a separate file: prompts_file = "prompts.toml"
# [[prompts]]
# id = "stars"
# text = "Write a short poem about the stars in the style of Emily Dickinson."
# use = "chat"                # what it stands for; optional, as is why
# why = "Verse is hard to foresee."
)";

constexpr const char * TAIL = R"(
# Load tests with concurrent clients through shimmy serve: total tokens/s, percentiles of TTFT and time between tokens.
# [load]
# clients = [1, 4, 16]
# duration_s = 30
# repeats = 1

# Options of the runs. A list is an axis: every value is measured. design: "full" (every combination), "paired" (first with
# first, second with second, …) or "one-at-a-time" (the first of each, and from there each axis alone).
# [axes]
# design = "full"
# threads = [4, 8]
# ubatch = [512, 2048]
# also: n_ctx, depth, prompt_tokens, max_tokens, batch, cache_type (or cache_type_k, cache_type_v), flash_attn, load_mode,
# split_mode, moe_backend, moe_cache, spec_type; for stream, no-stream and [load]: parallel

# A quantization of your own, to be listed under quantizations: types of single tensors, or the best for a size, found by
# measuring.
# [[mixes]]
# name = "Q4_K_M_down6"
# type = "Q4_K_M"
# tensor_types = ["ffn_down_exps=Q6_K"]
# [[mixes]]
# name = "best-8GiB"
# target_size = "8GiB"
# text = "eval.txt"

# Quality of every file against the original, measured at the end. chunks: of 512 tokens; 0: the whole text.
# [quality]
# text = "eval.txt"
# chunks = 0
# check_offload = true  # also check that CPU and GPU compute the same experts (on at most 8 chunks)

# Standard tasks, scored for every quantization at the end, as shimmy eval does: JSON lines of HellaSwag, Winogrande, ARC,
# MMLU or GSM8K, or a file of llama-perplexity. use: what it stands for, in tasks and prompts: chat, code, long-prompts, rag.
# [[tasks]]
# file = "hellaswag.jsonl"
# use = "chat"
# limit = 400
# also: id, form, shots, shots_file, max_tokens, chat, n_ctx, timeout_s
)";

constexpr const char * MODEL_OF_FILE = R"(
[[models]]
path = {source}
# name = "my-model"             # in tables and file names; default: the file's name
# base_model = "owner/model"    # its id on the Hugging Face Hub, for model cards
# about = "…"                   # what its own card says, in a sentence or two, for model cards
# license = "mit"              # as the Hub spells it; if it is not in its list: "other", with
# license_name = "its-name"     # its name
# license_link = "https://…"    # and its text: a URL, or a file, which is published as LICENSE
# expected_architecture = "phimoe"
# imatrix = "my.imatrix.gguf"   # quantize with this importance matrix; or make one of a text that is not used elsewhere:
# imatrix_text = "calibration.txt"
# quantizations = ["input"]     # instead of the list above, for this model
)";

constexpr const char * MODEL_OF_SHAPE = R"(
# A reference shape instead of a model: exact size, memory and speed, but random weights, so its text has no meaning.
# For a real model, use path = "model-f16.gguf" instead of shape, layers and sparse.
[[models]]
shape = {source}
layers = {layers}               # only this many; leave it out for all
sparse = {sparse}            # true: the weights take no disk space
# name = "my-model"
# base_model = "owner/model"
# license = "mit"
)";

constexpr int64_t DEFAULT_N_CTX = 2048;
constexpr const char * EXAMPLE_SHAPE = "olmoe-1b-7b";

std::string in_quotes(const std::string & text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c;
    }
    return result + "\"";
}

bool is_shape(const std::string & model) {
    const std::vector<std::string> names = gguf::shape_names();
    return std::find(names.begin(), names.end(), model) != names.end();
}

std::string model_text(const std::string & model, const fs::path & dir) {
    if (is_shape(model)) {
        return fmt::format(fmt::runtime(MODEL_OF_SHAPE), fmt::arg("source", in_quotes(model)), fmt::arg("layers", 2),
                           fmt::arg("sparse", false));
    }
    const fs::path path = fs::absolute(model).lexically_relative(dir);
    return fmt::format(fmt::runtime(MODEL_OF_FILE), fmt::arg("source", in_quotes(path.string())));
}

// No more than any of the models was trained with. Files that are not there yet say nothing.
int64_t n_ctx_for(const std::vector<std::string> & models) {
    int64_t n_ctx = DEFAULT_N_CTX;
    for (const std::string & model : models) {
        if (is_shape(model) || !fs::exists(model)) continue;
        const int64_t n_trained = gguf::read_model_info(fs::path(model)).n_ctx_train;
        if (n_trained > 0) n_ctx = std::min(n_ctx, n_trained);
    }
    return n_ctx;
}

// The file's name, made safe for a folder's.
std::string campaign_name(const fs::path & file) {
    std::string name = file.stem().string();
    for (char & c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_' && c != '.') c = '-';
    }
    return name.empty() || name.front() == '.' ? "campaign" : name;
}

}  // namespace

std::string campaign_template(const fs::path & file, const std::vector<std::string> & models) {
    const fs::path dir = fs::absolute(file).parent_path();
    std::string text = fmt::format(fmt::runtime(HEAD), fmt::arg("file", file.string()),
                                   fmt::arg("name", campaign_name(file)), fmt::arg("n_ctx", n_ctx_for(models)));
    for (const std::string & model : models.empty() ? std::vector<std::string>{EXAMPLE_SHAPE} : models)
        text += model_text(model, dir);
    return text + TAIL;
}

}  // namespace shimmy::lab
