#include "engine/device/modules.h"

#include "base/error.h"
#include "engine/llama/log.h"

#include "ggml-backend.h"

#include <dlfcn.h>

namespace shimmy::engine {

namespace {

std::vector<FailedModule> failed;

// The folder of the libggml-base that this process uses.
fs::path library_dir() {
    Dl_info info{};
    if (dladdr(reinterpret_cast<const void *>(&ggml_backend_load), &info) == 0 || info.dli_fname == nullptr) {
        fail("cannot tell which folder libggml was loaded from");
    }
    return fs::canonical(info.dli_fname).parent_path();
}

// Why the dynamic loader refuses a file; empty if it does not.
std::string loader_error(const fs::path & file) {
    void * handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) {
        dlclose(handle);
        return "";
    }
    const char * error = dlerror();
    return error != nullptr ? error : "cannot be loaded";
}

// What a module says of itself on this processor: the higher, the faster; 0 if it cannot run here.
int score_of(const fs::path & file) {
    void * handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return 0;
    const auto score = reinterpret_cast<int (*)()>(dlsym(handle, "ggml_backend_score"));
    const int result = score != nullptr ? score() : 0;
    dlclose(handle);
    return result;
}

}  // namespace

fs::path module_file(const std::string & backend) {
    return library_dir() / fmt::format("libggml-{}.so", backend);
}

bool load_module(const fs::path & file) {
    const LogCapture log;
    const std::string error = loader_error(file);
    if (!error.empty()) {
        failed.push_back({file.filename().string(), error});
        return false;
    }
    if (ggml_backend_load(file.c_str()) != nullptr) return true;
    failed.push_back({file.filename().string(), log.reason("not a ggml backend of this version")});
    return false;
}

void load_cpu_module() {
    if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr) return;
    fs::path best;
    int best_score = 0;
    for (const auto & entry : fs::directory_iterator(library_dir())) {
        const fs::path & file = entry.path();
        if (!file.filename().string().starts_with("libggml-cpu") || file.extension() != ".so") continue;
        const int score = score_of(file);
        if (score <= best_score) continue;
        best_score = score;
        best = file;
    }
    if (best.empty())
        fail("{}: no libggml-cpu-*.so for this processor: is the installation whole?", library_dir().string());
    if (!load_module(best)) fail("{}: {}", best.string(), failed.back().reason);
}

const std::vector<FailedModule> & failed_modules() {
    return failed;
}

}  // namespace shimmy::engine
