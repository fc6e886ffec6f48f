// libggml-moe against stock llama.cpp, in one process on the embedded model: the plugin stays once it is loaded, so
// stock goes first.
#include "base/files.h"
#include "engine/device/device.h"
#include "engine/experts/expert_use.h"
#include "engine/make/quantize.h"
#include "engine/run/model.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

// What a model says to the evaluation text, and to a question.
struct Answers {
    std::vector<float> log_probabilities;
    std::string text;
    size_t n_vocab = 0;
};

Answers answers_of(const std::string & file) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.path = file;
    Model model(options);
    Answers answers;
    answers.n_vocab = static_cast<size_t>(model.n_vocab());
    answers.log_probabilities = model.log_probabilities(eval_tokens(model, 512));
    const std::string prompt = model.apply_chat_template({{"user", "Explain gradient descent in simple terms."}});
    answers.text = model.generate(prompt, 64, SamplingOptions{.temperature = 0.0F}).text;
    return answers;
}

void expect_close_to_stock(const std::string & file, double bound, bool same_text) {
    const Answers stock = answers_of(file);
    ASSERT_FALSE(expert_use()) << "the plugin is loaded already: this compares it with itself";
    ASSERT_TRUE(load_moe_backend("on"));
    const Answers moe = answers_of(file);
    ASSERT_TRUE(expert_use()) << "the plugin computed nothing: this compares stock with itself";
    EXPECT_LT(mean_kl(stock.log_probabilities, moe.log_probabilities, stock.n_vocab), bound);
    if (same_text) {
        EXPECT_EQ(moe.text, stock.text);
    }
}

void expect_close_when_quantized(const std::string & type) {
    const TempDir dir;
    const std::string file = (dir / "tiny.gguf").string();
    QuantizeOptions options;
    options.input = TINY_MOE;
    options.output = file;
    options.type = type;
    quantize(options);
    expect_close_to_stock(file, 1e-3, false);
}

TEST(MoeBackend, F16IsStocks) {
    expect_close_to_stock(TINY_MOE, 1e-4, true);
}
TEST(MoeBackend, Q80IsStocks) {
    expect_close_when_quantized("Q8_0");
}
TEST(MoeBackend, Q4KMIsStocks) {
    expect_close_when_quantized("Q4_K_M");
}
TEST(MoeBackend, Q2KIsStocks) {
    expect_close_when_quantized("Q2_K");
}

}  // namespace
}  // namespace shimmy::engine
