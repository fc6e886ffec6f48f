#include "program.h"

#include "base/error.h"
#include "base/files.h"

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

fs::path shape_file(const std::string & shape) {
    return fs::path(SHIMMY_SOURCE_DIR) / "shapes" / (shape + ".toml");
}

void synthesize(std::vector<std::string> args) {
    args.insert(args.begin(), "synth");
    args.emplace_back("--sparse");
    (void)shimmy_json(args);
}

}  // namespace

fs::path tiny_moe(const std::string & quantization) {
    const fs::path file = model_dir() / ("tiny-moe-" + quantization + ".gguf");
    const FileLock lock(model_dir() / ".lock");
    if (!is_current(file, tiny_moe())) {
        (void)shimmy_json(
            {"quantize", tiny_moe().string(), "--types", quantization, "--out-dir", model_dir().string()});
    }
    return file;
}

fs::path synthetic(const std::string & shape, int n_layers, const std::string & quantization) {
    const fs::path file = model_dir() / fmt::format("{}-{}l-{}.gguf", shape, n_layers, quantization);
    const FileLock lock(model_dir() / ".lock");
    if (!is_current(file, shape_file(shape))) {
        const fs::path spec = model_dir() / (shape + "-half.toml");
        write_file_atomic(spec, with_fewer_experts(shape, 2));
        synthesize({"--shape", spec.string(), "--layers", std::to_string(n_layers), "--quant", quantization, "--out",
                    file.string()});
    }
    return file;
}

fs::path synthetic_whole(const std::string & shape, const std::string & quantization) {
    const fs::path file = model_dir() / fmt::format("{}-{}.gguf", shape, quantization);
    const FileLock lock(model_dir() / ".lock");
    if (!is_current(file, shape_file(shape)))
        synthesize({"--shape", shape, "--quant", quantization, "--out", file.string()});
    return file;
}

std::string with_fewer_experts(const std::string & shape, int divisor) {
    std::string spec = read_file(shape_file(shape));
    const std::string key = "expert_count = ";
    const size_t value = spec.find(key) + key.size();
    const int n_expert = std::stoi(spec.substr(value));
    return spec.replace(value, std::to_string(n_expert).size(), std::to_string(n_expert / divisor));
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
