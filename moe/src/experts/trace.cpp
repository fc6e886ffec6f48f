#include "trace.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include "ggml/log.h"

namespace moe {

namespace {

struct File {
    std::mutex mutex;
    FILE * out = nullptr;
    std::atomic<bool> is_open{false};
    std::string lines;  // of the layer that is being added, by whoever holds the mutex
};

bool open(File & f, const char * name) {
    std::lock_guard<std::mutex> lock(f.mutex);
    if (f.out != nullptr) std::fclose(f.out);
    f.out = name != nullptr ? std::fopen(name, "w") : nullptr;
    f.is_open = f.out != nullptr;
    if (f.out == nullptr) return name == nullptr;
    return std::fputs("# route_trace v1\nturn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n", f.out) >=
               0 &&
           std::fflush(f.out) == 0;
}

File & file() {
    static File & f = *[] {
        auto * v = new File;  // never destroyed: contexts may compute while the process ends
        const char * name = std::getenv("GGML_MOE_TRACE");
        if (name != nullptr && *name != '\0' && !open(*v, name)) {
            log_warn("GGML_MOE_TRACE=%s cannot be written; there will be no trace\n", name);
        }
        return v;
    }();
    return f;
}

}  // namespace

bool trace_to(const char * name) {
    return open(file(), name);
}

bool Trace::is_on() {
    return file().is_open.load(std::memory_order_relaxed);
}

void Trace::begin(int32_t layer, int32_t tokens) {
    file().mutex.lock();
    if (layer <= layer_ || phase_ < 0) {  // the next batch
        const int32_t phase = tokens == 1 ? 1 : 0;
        step_ += tokens_;
        if (turn_ < 0 || (phase == 0 && phase_ == 1)) {
            ++turn_;
            step_ = 0;
        }
        phase_ = phase;
        tokens_ = tokens;
    }
    layer_ = layer;
}

void Trace::add(int32_t token, int32_t slot, int32_t expert, float weight, bool in_vram, size_t expert_bytes) {
    char line[160];
    const int n = std::snprintf(line, sizeof line, "%d,%d,%lld,%d,%d,%d,%.6g,%d,%zu\n", turn_, phase_,
                                static_cast<long long>(step_) + token, layer_, slot, expert, double(weight),
                                in_vram ? 1 : 0, expert_bytes);
    file().lines.append(line, size_t(n));
}

// Written at once, so that a trace of a program that is killed is whole up to then.
void Trace::end() {
    File & f = file();
    if (f.out != nullptr &&
        (std::fwrite(f.lines.data(), 1, f.lines.size(), f.out) != f.lines.size() || std::fflush(f.out) != 0)) {
        static std::once_flag once;
        std::call_once(once, [] { log_warn("the trace of experts is not complete: the disk may be full\n"); });
    }
    f.lines.clear();
    f.mutex.unlock();
}

}  // namespace moe
