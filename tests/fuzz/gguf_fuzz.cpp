// libFuzzer entry: any bytes as a GGUF file. They must end in a model description or in an Error of one line; never in
// a crash, and never in more memory than the input justifies. What our reader takes, ggml's must take as well.
#include "base/error.h"
#include "gguf/model_info.h"

#include "ggml.h"
#include "gguf.h"

#include <sys/mman.h>
#include <unistd.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

[[noreturn]] void complain(const char * what, const std::string & detail) {
    std::fprintf(stderr, "%s: %s\n", what, detail.c_str());
    std::abort();
}

// A file that only this process sees.
class MemoryFile {
public:
    MemoryFile(const uint8_t * data, size_t n_bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
        if (fd_ < 0 || write(fd_, data, n_bytes) != static_cast<ssize_t>(n_bytes))
            complain("memfd", "cannot be written");
    }
    ~MemoryFile() { close(fd_); }
    MemoryFile(const MemoryFile &) = delete;
    MemoryFile & operator=(const MemoryFile &) = delete;

    std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

private:
    int fd_;
};

void expect_ggml_takes(const uint8_t * data, size_t n_bytes, const shimmy::gguf::GgufFile & file) {
    gguf_context * context = gguf_init_from_buffer(data, n_bytes, {/*no_alloc=*/true, nullptr});
    if (context == nullptr) complain("taken by our reader, refused by ggml's", file.path().string());
    const bool same = gguf_get_n_tensors(context) == static_cast<int64_t>(file.tensors().size());
    gguf_free(context);
    if (!same) complain("our reader and ggml's differ", "number of tensors");
}

void look_at_metadata(const shimmy::gguf::Metadata & metadata) {
    for (const auto & [key, value] : metadata.values()) {
        if (value.type == shimmy::gguf::ValueType::string && value.is_array) {
            metadata.find_strings(key);
        } else if (value.type == shimmy::gguf::ValueType::string) {
            metadata.find_string(key);
        } else if (value.is_array && value.type != shimmy::gguf::ValueType::float32 &&
                   value.type != shimmy::gguf::ValueType::float64) {
            metadata.find_ints(key);
        } else if (!value.is_array) {
            metadata.find_float(key);
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    ggml_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    const MemoryFile memory(data, n_bytes);
    try {
        const shimmy::gguf::GgufFile file(memory.path());
        expect_ggml_takes(data, n_bytes, file);
        shimmy::gguf::read_model_info(file);
        look_at_metadata(file.metadata());
    } catch (const shimmy::Error & error) {
        const std::string message = error.what();
        if (message.find('\n') != std::string::npos) complain("an error of several lines", message);
    }
    return 0;
}
