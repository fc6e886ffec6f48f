// Experts of a model that is larger than RAM: a part of them is kept in memory of this library, the others are read
// from disk, past the page cache, when they are needed.
//
// Weights that llama.cpp maps are otherwise read by page faults, in small pieces, one after another, and what stays in
// RAM is what was read last. Models that fit are left as they are.
//
// One store for the process; contexts compute with it through a Fetch each (fetch.h).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cpu/job.h"
#include "ggml-moe.h"
#include "model_file.h"
#include "reader.h"
#include "residency.h"

struct ggml_backend_buffer;
struct ggml_tensor;

namespace moe {

class ExpertStore {
public:
    static ExpertStore & instance();

    // A buffer of weights that the program has mapped, and its end.
    void mapped(const ggml_backend_buffer * buffer, const void * base, size_t bytes);
    void forget(const ggml_backend_buffer * buffer);

    // Whether the model does not fit in RAM, so that its experts are read from disk, or may not. One load if it fits.
    bool is_on() const { return state_.load(std::memory_order_acquire) != Off; }
    // Whether these weights are such experts. Any thread.
    bool reads(const ggml_tensor * weights);

    // Dense weights of a mapped file that are about to be multiplied: read at once and kept, as far as the process may
    // lock memory.
    void hold(const ggml_tensor * weights);

    void stats(ggml_moe_disk_stats * out);
    const char * text();
    void reset_stats();

private:
    friend class Fetch;

    enum State : int { Off, Undecided, Wanted, Open };
    // Equal blocks of memory.
    struct Class {
        size_t block_bytes = 0;
        uint8_t * base = nullptr;
        int slots = 0;  // that may be used
        int used = 0;   // slots 0..used-1 have been handed out
        std::vector<int> free, given_back;
        size_t reserved_bytes = 0;
    };
    struct Tensor;
    // One expert's part of a tensor. `here`: it may be read, or reading it failed.
    struct Piece : Reading {
        Tensor * tensor = nullptr;
        int32_t expert = 0;
        int32_t slot = -1;  // of the class; -1: on disk
        int32_t pins = 0;   // calls that need it, now or next
        uint64_t touched = 0;
    };
    struct Tensor {
        const ggml_backend_buffer * buffer = nullptr;
        std::shared_ptr<const ModelFile> file;
        uint64_t offset = 0;
        size_t expert_bytes = 0;
        int32_t n_expert = 0, layer = 0;
        Class * blocks = nullptr;
        Uses uses{0};
        std::unique_ptr<Piece[]> pieces;
    };
    struct Buffer {
        const uint8_t * base = nullptr;
        size_t bytes = 0;
        std::shared_ptr<ModelFile> file;  // null: not known to be one
    };

    ExpertStore() = default;
    void decide();
    void open();
    void close();
    void make_classes(const std::map<size_t, uint64_t> & counts, double share);
    void add_tensor(const ggml_backend_buffer * buffer, const Buffer & b, const ModelFile::Tensor & listed);
    std::shared_ptr<Tensor> tensor_of(const ggml_tensor * weights) const;
    void pass(int32_t layer, bool is_prompt);
    bool give_block(Piece & piece);
    Piece * victim(const Class & blocks);
    void find_victims(const Class & blocks);
    void release(Piece & piece);
    void watch_ram();
    void say(const std::string & text);

    std::atomic<int> state_{Off};
    std::mutex mutex_;
    bool is_never_ = false, is_always_ = false;  // GGML_MOE_RAM=off; on, or a size
    size_t wanted_bytes_ = 0;                    // the size; 0: what is free
    std::map<const ggml_backend_buffer *, Buffer> buffers_;
    std::unordered_map<const void *, std::shared_ptr<Tensor>> tensors_;  // by their data in the mapping
    std::map<int32_t, std::vector<std::shared_ptr<Tensor>>> layers_;
    std::map<size_t, std::unique_ptr<Class>> classes_;  // by bytes of a block
    std::unordered_set<const void *> held_;
    uint64_t dense_bytes_ = 0, margin_bytes_ = 0, locked_bytes_ = 0;
    uint64_t clock_ = 0, pass_began_ = 0;  // calls
    int32_t last_layer_ = -1;
    bool is_prompt_ = false;
    // What goes next, of one class: worst last. Entries may be out of date.
    struct Victims {
        std::vector<Piece *> worst_last;
        uint64_t found_at = 0;
    };
    std::map<const Class *, Victims> victims_;
    double looked_at_ = 0;
    Reader reader_;
    ggml_moe_disk_stats stats_{};
    std::unordered_set<std::string> texts_;
    const char * text_ = "off: nothing is mapped";
};

}  // namespace moe
