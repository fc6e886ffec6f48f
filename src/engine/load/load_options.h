// What a user chooses when a model is loaded.
#pragma once

#include "engine/device/device.h"
#include "engine/load/placement.h"
#include "gguf/gguf_file.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace shimmy::engine {

// As LoadOptions::device, for loads that allocate nothing: a CUDA card that need not be there
// (engine/device/modelled_device.h says what is modelled and what is left out).
inline constexpr const char * MODELLED_CUDA = "modelled-cuda";
// Several of them, at most MAX_CARDS.
std::string modelled_cards(size_t n_cards);

// The GPUs that a load with this LoadOptions::device uses, in order; empty: the CPU alone. Throws UsageError as
// find_devices does.
std::vector<Device> gpus_in_use(const std::string & device);

struct LoadOptions {
    std::string path;  // GGUF file; of a split model, its first part
    std::string name;  // what messages call it; empty: the path
    Placement placement;
    // For everything that is put there, of each GPU in turn; one: of each; none: what is free.
    std::vector<uint64_t> vram_limit_bytes;
    std::string device;  // as find_devices takes it
    // How many layers each GPU gets, the output as one more; empty: llama.cpp's choice, which is by free memory.
    std::vector<uint32_t> layers_of_gpu;
    int n_threads = 0;        // 0: one per physical core
    uint32_t n_ctx = 0;       // tokens of context; 0: 4096, or what the model was trained for if that is less
    uint32_t n_parallel = 1;  // sequences at once, each with a context of its own
    uint32_t n_sharing = 1;   // sequences that share one context of n_ctx tokens, for Model::log_probabilities_of
    uint32_t n_batch = 2048;
    uint32_t n_ubatch = 512;
    std::vector<std::string> llama_args;  // llama.cpp's own options (engine/load/llama_args.h)
    // Whether n-grams of the text, or a draft model of the llama_args, are worth it is measured while answers are
    // written, and the better kept. A server measures it
    // before it loads (engine/bench/choose_speculation.h).
    bool measures_speculation = false;
    bool serves = false;  // by llama.cpp's server, which keeps less of a sliding window, and may load a draft model
    bool warm_up = true;  // run a few tokens once, so that the first request is not charged for kernels being compiled
    bool check_fit = true;        // refuse, with numbers, what would not fit; costs a second read of the header
    bool record_routing = false;  // for take_routing(); slows decoding

    // Called while weights are read, with the share that is there: 0 to 1. Null: nobody looks.
    std::function<void(double share)> on_progress;

    // The file at `path`, open. Copies of these options share it: a command reads the header of a model once. Null:
    // not opened yet.
    std::shared_ptr<const gguf::GgufFile> file;

    const std::string & shown_name() const { return name.empty() ? path : name; }

    // The file at `path`: opens it, unless it is open. Throws Error as GgufFile does.
    const gguf::GgufFile & open_file();
};

// Tokens of context, of all sequences, that a load with these options gets of a model that was trained for so many.
// Throws UsageError for more than that.
uint32_t context_size(const LoadOptions & options, uint32_t n_ctx_trained);

}  // namespace shimmy::engine
