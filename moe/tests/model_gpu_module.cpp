// A modelled GPU as a module that programs load as they load CUDA's. It computes right results, no sooner than a
// GeForce RTX 3060 on PCIe 4.0 x16 would.
//
// MODEL_GPU_MEMORY: its bytes. MODEL_GPU_SHARED: a folder in which processes with this card tell each other what they
// use. MODEL_GPU_TAKEN: bytes that somebody else takes as soon as this process has got more than SMALL_BYTES.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "ggml-backend-impl.h"
#include "model_gpu.h"

namespace {

constexpr size_t SMALL_BYTES = size_t(4) << 20;  // what looks at a card may take that much, before weights do

size_t number_of(const char * variable, size_t otherwise) {
    const char * text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

const char * shared_folder() {
    return std::getenv("MODEL_GPU_SHARED");
}

// A file per process, named as it is; those of processes that are gone hold nothing.
size_t used_by_other_processes() {
    if (shared_folder() == nullptr) return 0;
    size_t sum = 0;
    for (const auto & entry : std::filesystem::directory_iterator(shared_folder())) {
        const int process = std::atoi(entry.path().filename().c_str());
        size_t bytes = 0;
        if (process != getpid() && kill(process, 0) == 0 && std::ifstream(entry.path()) >> bytes) sum += bytes;
    }
    return sum;
}

void tell_other_processes(size_t bytes) {
    if (shared_folder() == nullptr) return;
    const std::string file = std::string(shared_folder()) + "/" + std::to_string(getpid());
    std::ofstream(file) << bytes;
}

}  // namespace

extern "C" {
GGML_BACKEND_API ggml_backend_reg_t ggml_backend_init(void);
}
ggml_backend_reg_t ggml_backend_init() {
    static moe_test::ModelGpu & gpu = *new moe_test::ModelGpu([] {  // never destroyed: programs free backends late
        moe_test::ModelGpuOptions o;
        o.description = "modelled GeForce RTX 3060";
        o.memory = number_of("MODEL_GPU_MEMORY", size_t(12) << 30);
        static std::atomic<size_t> taken{0};
        o.used_by_others = [] { return taken + used_by_other_processes(); };
        o.on_use = [](size_t bytes) {
            tell_other_processes(bytes);
            if (bytes > SMALL_BYTES) taken = number_of("MODEL_GPU_TAKEN", 0);
        };
        o.computes = true;
        o.submit_s = 10e-6;
        o.launch_s = 20e-6;
        o.memory_bytes_per_s = 360e9;
        o.link_bytes_per_s = 22e9;
        o.locks_pages = true;
        o.offload_from = 32;
        return o;
    }());
    gpu.registry()->api_version = GGML_BACKEND_API_VERSION;
    return gpu.registry();
}
