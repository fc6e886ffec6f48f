// What a run of a model costs beside llama.cpp's work: one look at the file's header, and no memory for a token. This
// program replaces operator new and open() to see it, so it is one of its own.
#include "base/no_allocation.h"
#include "engine/llama/log.h"
#include "engine/predict/placement_plan.h"
#include "engine/tiny_moe.h"

#include <fcntl.h>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>

namespace {

std::atomic<int> n_models_opened{0};

void * allocate(size_t size) {
    if (shimmy::NoAllocation::is_promised()) {
        std::fputs("memory was allocated where none may be\n", stderr);
        std::abort();
    }
    void * memory = std::malloc(size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

}  // namespace

void * operator new(size_t size) {
    return allocate(size);
}
void * operator new[](size_t size) {
    return allocate(size);
}
void operator delete(void * memory) noexcept {
    std::free(memory);
}
void operator delete[](void * memory) noexcept {
    std::free(memory);
}
void operator delete(void * memory, size_t /*size*/) noexcept {
    std::free(memory);
}
void operator delete[](void * memory, size_t /*size*/) noexcept {
    std::free(memory);
}

// The linker sends this project's calls of open() here (--wrap), and not llama.cpp's, which lies in its own library.
extern "C" int __real_open(const char * path, int flags, ...);
extern "C" int __wrap_open(const char * path, int flags, ...) {
    if (std::string_view(path).ends_with(".gguf")) ++n_models_opened;
    va_list more;
    va_start(more, flags);
    const int mode = (flags & O_CREAT) != 0 ? va_arg(more, int) : 0;
    va_end(more);
    return __real_open(path, flags, mode);
}

namespace shimmy::engine {
namespace {

SamplingOptions greedy() {
    SamplingOptions sampling;
    sampling.temperature = 0.0F;
    return sampling;
}

// Otherwise the test below would pass whatever is allocated.
TEST(NoAllocationDeathTest, MakesAnAllocationFatal) {
    EXPECT_DEATH(
        {
            const NoAllocation promise;
            ::operator delete(::operator new(1));
        },
        "memory was allocated where none may be");
}

TEST(Decode, AllocatesNothingForAToken) {
    Model model(options_for("cpu", Placement::baseline()));
    size_t n_bytes = 0;
    const GenerateResult result = model.generate("Explain gradient descent", 200, greedy(), [&](std::string_view text) {
        n_bytes += text.size();
        return true;
    });
    EXPECT_GT(result.n_output_tokens, 50);
    EXPECT_EQ(result.text.size(), n_bytes);
    EXPECT_EQ(result.token_ms.size(), static_cast<size_t>(result.n_output_tokens));
}

// decode() has one around every call of llama.cpp.
TEST(Decode, ListensToTheLogWithoutAllocating) {
    { const LogCapture first; }
    const NoAllocation promise;
    const LogCapture log;
}

TEST(Load, ReadsTheHeaderOnce) {
    LoadOptions options = options_for("cpu", Placement::automatic());
    options.n_ctx = 128;
    n_models_opened = 0;
    { const Model model(options); }
    EXPECT_EQ(n_models_opened, 1);
}

// The command reads what a model is before it loads anything; a plan asks for every placement.
TEST(Load, UsesAFileThatIsOpen) {
    LoadOptions options = options_for("cpu", Placement::automatic());
    options.n_ctx = 128;
    options.open_file();
    n_models_opened = 0;
    { const Model model(options); }
    (void)estimate_placements(options, {1e9, 1e9, "given"}, {1e9, 1e9, "given"}, gpus_in_use(options.device));
    EXPECT_EQ(n_models_opened, 0);
}

TEST(Load, AnotherPathIsAnotherFile) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    const std::shared_ptr<const gguf::GgufFile> first = (options.open_file(), options.file);
    options.path = std::string(SHIMMY_LLAMA_DIR) + "/models/ggml-vocab-gpt-2.gguf";
    EXPECT_EQ(options.open_file().path(), options.path);
    EXPECT_NE(options.file, first);
}

}  // namespace
}  // namespace shimmy::engine
