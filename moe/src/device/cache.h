// Hot experts in VRAM: which layers take part, what is uploaded, and the products of what is there.
//
// The experts' home is host memory. A cache watches a few batches first, so that it knows every layer and how long the
// CPU takes; then it takes memory of the GPU that computes the layers around them, and from there on a call goes
//   begin    what is in VRAM is taken out of the CPU's work, its input rows are copied
//   launch   the GPUs start (by one thread of the CPU's region, while the others compute)
//   finish   their results are waited for
//   end      what was missed may be uploaded, by a thread of its own
// One cache belongs to one backend, whose calls come one after another.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bank.h"
#include "cpu/job.h"
#include "experts/policy.h"
#include "experts/table.h"
#include "ggml-moe.h"
#include "settings.h"
#include "uploader.h"

namespace moe {

class ExpertCache {
public:
    ExpertCache();
    ~ExpertCache();
    ExpertCache(const ExpertCache &) = delete;
    ExpertCache & operator=(const ExpertCache &) = delete;

    // One layer of one batch.
    struct Call {
        ExpertTensor * down = nullptr;
        FfnWeights weights;
        FfnShape shape;
        const Rows * x = nullptr;  // one per token
        int64_t tokens = 0;
    };
    // A slot of the router whose expert is in VRAM.
    struct Hit {
        int32_t slot;  // token * used + position
        int32_t expert;
        int32_t at;  // its place in the bank
    };
    // What one bank computes: hits first..first+count-1.
    struct Run {
        Bank * bank = nullptr;
        int first = 0, count = 0;
        bool shared_row = false;  // one input row for all, else one each
        bool started = false;
        const float * x = nullptr;    // [1 or count][n_embd]
        const float * out = nullptr;  // [count][n_out]; null: the GPU refused
    };

    bool is_off() const { return state_ == State::Off; }
    void begin(const Call & call, Routing & routing);
    // Instead of begin to end, for experts that no bank computes: those with a scale, or without a gate.
    void pass_over();
    bool has_hits() const { return !runs_.empty(); }
    void launch();
    const std::vector<Run> & finish();
    const std::vector<Hit> & hits() const { return hits_; }
    void end();

    void drop_uploads_from(const ggml_backend_buffer * buffer);  // from any thread
    void wait_for_uploads();

private:
    enum class State { Watching, Open, Off };
    struct Layer {
        FfnShape shape;
        FfnWeights weights;
        ggml_backend_dev_t gpu = nullptr;
        int n_expert = 0;
        std::shared_ptr<ExpertCounter[]> counters;
        int class_index = -1;
        int first = 0;  // its expert 0 in the class
    };
    // Experts of equal shape on one GPU.
    struct Class {
        ggml_backend_dev_t gpu = nullptr;
        FfnShape shape;
        std::vector<Layer *> layers;
        int experts = 0;
        int per_bank = 1;
        std::vector<std::unique_ptr<Bank>> banks;
        std::unique_ptr<CachePolicy> policy;
        std::vector<Layer *> layer_of;   // by expert of the class
        double first_s = 0, more_s = 0;  // what the GPU takes for one expert of a token, and for each further one
    };

    void watch(const Call & call, const Routing & routing);
    void open();
    void open_device(ggml_backend_dev_t gpu, size_t bytes);
    void make_banks(Class & c, int slots);
    bool may_cache_on(ggml_backend_dev_t gpu) const;
    const char * why_not(Class & c) const;
    bool is_worth(const Class & c, int hits, int misses) const;
    int resident_groups(const Class & c, const Layer & layer, const Routing & r) const;
    PolicyParams params_for(const Class & c) const;
    void close(const std::string & why);
    void give_up(const std::string & why);  // after a failure
    void say(const std::string & text);
    void take_uploaded();
    void take_hits(Class & c, const Layer & layer, const Call & call, Routing & r);
    void make_runs(const Class & c, const Call & call, int used);
    void count_bytes(ggml_backend_dev_t gpu, size_t bytes);
    void set_in_vram(const Class & c, int expert, int change);

    State state_ = State::Watching;
    CacheSetting setting_;
    std::unordered_map<uint64_t, Layer> layers_;  // by ExpertTensor::id of down
    std::vector<Class> classes_;
    Uploader uploader_;
    std::map<ggml_backend_dev_t, size_t> bytes_;  // of VRAM, that are counted

    // while watching
    uint64_t first_layer_ = 0;
    bool has_passed_over_ = false;
    int passes_ = 0, used_ = 0;
    double cpu_s_per_expert_ = 0;  // the least that a layer of one token took
    int watched_experts_ = 0;      // of the call that is timed
    std::chrono::steady_clock::time_point begun_;

    // of the call
    Layer * layer_ = nullptr;
    std::vector<Hit> hits_;
    std::vector<int> missed_;  // experts of the class
    std::vector<int32_t> kept_, ids_;
    std::vector<Run> runs_;
    std::vector<Uploader::Order> done_;
    int64_t tokens_ = 0;
};

const char * cache_stats(ggml_moe_cache_stats * out);
void cache_stats_reset();
uint64_t cache_bytes(const void * device);  // of this GPU's memory, or of all if it is null
double cached_part();                       // for how many of their layers' experts the open caches have room, 0 to 1

// The buffer is about to be freed: nothing reads it from now on.
void caches_forget(const ggml_backend_buffer * buffer);

}  // namespace moe
