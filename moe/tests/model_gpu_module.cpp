// A modelled GPU as a module that programs load as they load CUDA's. It computes right results, no sooner than a
// GeForce RTX 3060 on PCIe 4.0 x16 would.
#include "ggml-backend-impl.h"
#include "model_gpu.h"

extern "C" {
GGML_BACKEND_API ggml_backend_reg_t ggml_backend_init(void);
}
ggml_backend_reg_t ggml_backend_init() {
    static moe_test::ModelGpu & gpu = *new moe_test::ModelGpu([] {  // never destroyed: programs free backends late
        moe_test::ModelGpuOptions o;
        o.description = "modelled GeForce RTX 3060";
        o.memory = size_t(12) << 30;
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
