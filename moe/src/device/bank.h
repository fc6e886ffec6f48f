// Experts in the memory of a GPU: the weights of some experts of equal shape, and their FFN computed there.
//
// It uses ggml's public interface alone, so that any GPU backend serves. Some report a lost device by an exception
// (Vulkan's), which ends here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "ggml-backend.h"
#include "ggml.h"

namespace moe {

// What experts must have in common to lie in one bank.
struct FfnShape {
    ggml_type gate = GGML_TYPE_F32, up = GGML_TYPE_F32, down = GGML_TYPE_F32;
    int64_t n_embd = 0, n_ff = 0, n_out = 0;
    bool gate_bias = false, up_bias = false, down_bias = false;
    int32_t glu[GGML_MAX_OP_PARAMS / sizeof(int32_t)] = {};  // op_params of the activation

    bool operator==(const FfnShape & o) const;
    size_t expert_bytes() const;  // of one expert's weights and biases
};

// One layer's experts in host memory.
struct FfnWeights {
    struct Source {
        const char * data = nullptr;  // null: there is no such bias
        size_t stride = 0;            // bytes from expert to expert
    };
    Source gate, up, down, gate_bias, up_bias, down_bias;
    const ggml_backend_buffer * buffers[6] = {};  // that hold them
};

class Bank {
public:
    // A bank on this device, or null if it cannot hold or compute such experts.
    static std::unique_ptr<Bank> make(ggml_backend_dev_t device, const FfnShape & shape, int slots);
    // The most slots whose largest tensor fits in one buffer of the device.
    static int most_slots(ggml_backend_dev_t device, const FfnShape & shape);
    ~Bank();
    Bank(const Bank &) = delete;
    Bank & operator=(const Bank &) = delete;

    int slots() const { return slots_; }
    size_t bytes() const { return bytes_; }  // of the device's memory: weights and what the products need
    size_t take_growth();                    // bytes since the last call, or since it was made

    // Copies an expert into a slot that no running graph reads, and waits for it. From any thread, one at a time. False
    // if the device fails.
    bool load(int slot, const FfnWeights & w, int expert);

    // Where the input rows of the next start go: [tokens][n_embd]. They stay there until the next call.
    float * input(int used, int tokens);
    // Starts the FFN of `used` slots, slots[tokens][used], for each of the input rows, and returns without waiting
    // where the device can. False if the device refuses: nothing is running then.
    bool start(const int32_t * slots, int used, int tokens);
    // Waits for it. The result, [tokens][used][n_out], is valid until the next input(); null if the device failed.
    const float * finish();

private:
    struct Graph;
    Bank(ggml_backend_dev_t device, const FfnShape & shape, int slots);
    bool allocate();
    bool start_or_throw(const int32_t * slots, int used, int tokens);
    void copy(ggml_tensor * to, const FfnWeights::Source & from, int slot, int expert);
    Graph * graph(int used, int tokens);
    float * staged();

    ggml_backend_dev_t device_;
    FfnShape shape_;
    int slots_;
    ggml_backend_t backend_ = nullptr;
    ggml_backend_t uploads_ = nullptr;  // if the device copies in the background
    ggml_context * weights_ = nullptr;
    ggml_backend_buffer_t buffer_ = nullptr;
    ggml_tensor *gate_ = nullptr, *up_ = nullptr, *down_ = nullptr;
    ggml_tensor *gate_bias_ = nullptr, *up_bias_ = nullptr, *down_bias_ = nullptr;
    // Kept, so that the device can keep what it prepared for them, and no memory is freed between them.
    std::map<std::pair<int, int>, std::unique_ptr<Graph>> graphs_;  // by slots of a token, and tokens
    // Input rows, slots and output rows, one after another, in memory that the device reads without a copy of its own
    // if it offers such.
    ggml_backend_buffer_t pinned_ = nullptr;
    std::vector<float> unpinned_;
    size_t staged_ = 0;  // floats there is room for
    size_t bytes_ = 0, told_ = 0;
    const float * result_ = nullptr;
};

}  // namespace moe
