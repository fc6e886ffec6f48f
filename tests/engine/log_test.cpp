// What of llama.cpp's log explains a failure.
#include "engine/llama/log.h"

#include "llama.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

// As llama.cpp logs.
void log(ggml_log_level level, const std::string & text) {
    ggml_log_callback callback = nullptr;
    void * data = nullptr;
    llama_log_get(&callback, &data);
    callback(level, text.c_str(), data);
}

TEST(Log, TheFirstErrorIsTheReason) {
    const LogCapture capture;
    EXPECT_EQ(capture.reason("unknown"), "unknown");
    log(GGML_LOG_LEVEL_WARN, "a warning\n");
    log(GGML_LOG_LEVEL_INFO, "news\n");
    EXPECT_EQ(capture.reason("unknown"), "unknown");
    log(GGML_LOG_LEVEL_ERROR, "\n");
    log(GGML_LOG_LEVEL_ERROR, "llama_model_load: error loading model: unknown model architecture: 'x'\n\n");
    log(GGML_LOG_LEVEL_ERROR, "what follows\n");
    EXPECT_EQ(capture.reason("unknown"), "unknown model architecture: 'x'");
}

TEST(Log, OnlyWordsOfLlamaCppsOwnAreTakenAway) {
    const auto reason = [](const std::string & line) {
        const LogCapture capture;
        log(GGML_LOG_LEVEL_ERROR, line);
        return capture.reason("unknown");
    };
    EXPECT_EQ(reason("f: error loading model: error loading model hyperparameters: key x\n"), "key x");
    EXPECT_EQ(reason("f: error loading model vocabulary: none"), "none");
    EXPECT_EQ(reason("f: failed to quantize: disk\n"), "disk");
    EXPECT_EQ(reason("a sentence: with a colon\n"), "a sentence: with a colon") << "no function's name";
    EXPECT_EQ(reason("file.gguf: not found\n"), "not found");
    EXPECT_EQ(reason("plain\n"), "plain");
    EXPECT_EQ(reason("the error loading model: x\n"), "the error loading model: x");
}

TEST(Log, ContinuedLinesBelongToTheirBeginning) {
    const LogCapture capture;
    log(GGML_LOG_LEVEL_INFO, "news");
    log(GGML_LOG_LEVEL_CONT, " goes on\n");
    EXPECT_EQ(capture.reason("unknown"), "unknown");
    log(GGML_LOG_LEVEL_ERROR, "");
    log(GGML_LOG_LEVEL_CONT, "an error goes on\n");
    EXPECT_EQ(capture.reason("unknown"), "an error goes on");
}

TEST(Log, CapturesNest) {
    const LogCapture outer;
    {
        const LogCapture inner;
        log(GGML_LOG_LEVEL_ERROR, "first\n");
        EXPECT_EQ(inner.reason("unknown"), "first");
        EXPECT_EQ(outer.reason("unknown"), "first");
    }
    const LogCapture later;
    log(GGML_LOG_LEVEL_ERROR, "second\n");
    EXPECT_EQ(later.reason("unknown"), "second");
    EXPECT_EQ(outer.reason("unknown"), "first");
}

TEST(Log, VerbosityDecidesWhatIsShown) {
    const auto shown = [](int verbosity) {
        set_log_verbosity(verbosity);
        ::testing::internal::CaptureStderr();
        log(GGML_LOG_LEVEL_INFO, "info ");
        log(GGML_LOG_LEVEL_WARN, "warning ");
        log(GGML_LOG_LEVEL_ERROR, "error");
        const std::string text = ::testing::internal::GetCapturedStderr();
        set_log_verbosity(0);
        return text;
    };
    EXPECT_EQ(shown(0), "");
    EXPECT_EQ(shown(1), "warning error");
    EXPECT_EQ(shown(2), "info warning error");
}

}  // namespace
}  // namespace shimmy::engine
