#include "program.h"

#include "base/error.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace shimmy::e2e {

namespace {

// Tests run in parallel processes: the first one to need a file makes it.
class FileLock {
public:
    explicit FileLock(const fs::path & path) : fd_(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
        if (fd_ < 0 || ::flock(fd_, LOCK_EX) != 0) fail("{}: cannot be locked", path.string());
    }
    ~FileLock() { ::close(fd_); }
    FileLock(const FileLock &) = delete;
    FileLock & operator=(const FileLock &) = delete;

private:
    int fd_;
};

fs::path model_dir() {
    const fs::path dir = fs::path(SHIMMY_PROGRAM).parent_path().parent_path() / "test-models";
    fs::create_directories(dir);
    return dir;
}

// Newer than what it is made from, the program included: a changed quantizer or writer makes it again.
bool is_current(const fs::path & file, const fs::path & source) {
    if (!fs::exists(file)) return false;
    const auto made = fs::last_write_time(file);
    return made > fs::last_write_time(SHIMMY_PROGRAM) && made > fs::last_write_time(source);
}

}  // namespace

fs::path tiny_moe(const std::string & quantization) {
    const fs::path file = model_dir() / ("tiny-moe-" + quantization + ".gguf");
    const FileLock lock(model_dir() / ".lock");
    if (!is_current(file, tiny_moe())) {
        (void)shimmy_json({"quantize", tiny_moe().string(), "--types", quantization, "--out-dir", model_dir().string()});
    }
    return file;
}

fs::path synthetic(const std::string & shape, int n_layers, const std::string & quantization) {
    const fs::path file = model_dir() / fmt::format("{}-{}l-{}.gguf", shape, n_layers, quantization);
    const FileLock lock(model_dir() / ".lock");
    if (!is_current(file, SHIMMY_PROGRAM)) {
        (void)shimmy_json({"synth", "--shape", shape, "--layers", std::to_string(n_layers), "--quant", quantization, "--out", file.string(), "--sparse"});
    }
    return file;
}

bool has_gpu() {
    static const bool found = [] {
        const Json document = shimmy_json({"gpu-info"});
        for (const Json & device : document["devices"]) {
            const std::string kind = device["kind"];
            if (kind == "gpu" || kind == "integrated_gpu") return true;
        }
        return false;
    }();
    return found;
}

}  // namespace shimmy::e2e
