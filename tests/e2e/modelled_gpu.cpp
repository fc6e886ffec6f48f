#include "modelled_gpu.h"

namespace shimmy::e2e {

BesideModelledGpu::BesideModelledGpu() {
    for (const fs::directory_entry & entry : fs::directory_iterator(fs::path(SHIMMY_PROGRAM).parent_path())) {
        const std::string name = entry.path().filename().string();
        const bool is_library = name.starts_with("lib") && name.find(".so") != std::string::npos;
        const bool is_gpu = name.starts_with("libggml-vulkan") || name.starts_with("libggml-cuda");
        if (name == "shimmy" || (is_library && !is_gpu)) fs::copy(entry, dir_ / name, fs::copy_options::copy_symlinks);
    }
    fs::copy(SHIMMY_MODEL_GPU, dir_ / "libggml-opencl.so");
    program_under_test = (dir_ / "shimmy").string();
}

}  // namespace shimmy::e2e
