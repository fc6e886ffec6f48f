#include "engine/llama/log.h"

#include "base/error.h"
#include "base/last_words.h"
#include "base/text/text.h"

#include "ggml.h"
#include "llama.h"
#include "mtmd-helper.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdio>
#include <mutex>
#include <vector>

namespace shimmy::engine {

namespace {

std::atomic<int> shown_verbosity{0};

// llama.cpp logs from several threads, so what is captured has one lock. Captures nest: every open one gets the line.
struct Captured {
    std::mutex mutex;
    std::vector<std::vector<std::string> *> open;
};

Captured & captured() {
    static Captured instance;
    return instance;
}

void on_log(ggml_log_level level, const char * text, void * /*user_data*/) {
    thread_local ggml_log_level line_level = GGML_LOG_LEVEL_NONE;  // GGML_LOG_LEVEL_CONT continues the last line
    if (level != GGML_LOG_LEVEL_CONT) line_level = level;
    if (line_level == GGML_LOG_LEVEL_ERROR) {
        const std::lock_guard lock(captured().mutex);
        for (auto * lines : captured().open)
            lines->emplace_back(text);
    }
    const int needed = line_level == GGML_LOG_LEVEL_ERROR || line_level == GGML_LOG_LEVEL_WARN ? 1 : 2;
    if (shown_verbosity.load(std::memory_order_relaxed) >= needed) std::fputs(text, stderr);
}

constexpr size_t MAX_ASSERTION_CHARS = 300;

// Captures that live on this thread.
thread_local int n_captures = 0;

// ggml calls this before an assertion of its own or llama.cpp's ends the process. Under a capture it is an exception
// instead, which llama.cpp's own handlers make a failed call of: a damaged file must not end a server.
void on_abort(const char * message) {
    std::string text = message;  // "/folder/file.cpp:79: GGML_ASSERT(…) failed"
    const size_t folder_end = text.rfind('/', text.find(':'));
    if (folder_end != std::string::npos) text.erase(0, folder_end + 1);
    text =
        fmt::format("llama.cpp cannot work with it: {} (if another copy of the file does no better: shimmy report-bug)",
                    printable(text, MAX_ASSERTION_CHARS));
    if (n_captures > 0) throw Error(text);
    // Another thread's: nothing catches an exception there.
    if (has_last_words()) end_by_fault(text);
    std::fprintf(stderr, "%s\n", message);
}

// "llama_model_load: error loading model: unknown model architecture: 'x'\n" -> "unknown model architecture: 'x'"
std::string without_prefixes(std::string line) {
    while (!line.empty() && line.back() == '\n')
        line.pop_back();
    const size_t function_end = line.find(": ");
    const bool is_function = function_end != std::string::npos && line.find(' ') > function_end;
    if (is_function) line = line.substr(function_end + 2);
    for (const std::string prefix : {"error loading model: ", "error loading model hyperparameters: ",
                                     "error loading model vocabulary: ", "failed to quantize: ", "error: "}) {
        if (line.compare(0, prefix.size(), prefix) == 0) line = line.substr(prefix.size());
    }
    return line;
}

// Of llama.cpp's lines, what the standard library says where something is looked up that is not there: no word for
// people.
bool is_a_failed_lookup(const std::string & text) {
    constexpr const char * WHERE[]{"unordered_map::at", "map::at", "_Map_base::at", "vector::_M_range_check"};
    return std::any_of(std::begin(WHERE), std::end(WHERE), [&](const char * where) { return text.starts_with(where); });
}

}  // namespace

void set_log_verbosity(int verbosity) {
    shown_verbosity = verbosity;
    llama_log_set(on_log, nullptr);
}

LogCapture::LogCapture() {
    llama_log_set(on_log, nullptr);
    mtmd_helper_log_set(on_log, nullptr);
    ggml_set_abort_callback(on_abort);
    ++n_captures;
    const std::lock_guard lock(captured().mutex);
    captured().open.push_back(&lines_);
}

LogCapture::~LogCapture() {
    --n_captures;
    const std::lock_guard lock(captured().mutex);
    std::erase(captured().open, &lines_);
}

std::string LogCapture::reason(const std::string & fallback) const {
    const std::lock_guard lock(captured().mutex);
    for (const std::string & line : lines_) {
        const std::string text = without_prefixes(line);
        const bool says_something =
            std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
        if (!says_something) continue;
        std::string shown = printable(text, MAX_ASSERTION_CHARS);
        if (!is_a_failed_lookup(text)) return shown;
        return fmt::format(
            "llama.cpp does not find in it what its name or architecture promises ({}): its vocabulary or metadata are "
            "another model's; convert the model again",
            shown);
    }
    return fallback;
}

}  // namespace shimmy::engine
