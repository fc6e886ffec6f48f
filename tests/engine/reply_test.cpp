// Conversations with the embedded model: what is computed again from turn to turn, and what the answers are.
#include "engine/run/model.h"

#include "base/error.h"
#include "rewritten_model.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

SamplingOptions greedy() {
    SamplingOptions sampling;
    sampling.temperature = 0.0F;
    return sampling;
}

const std::vector<Message> QUESTION{{"user", "Explain gradient descent in simple terms."}};

TEST(Reply, TheNextTurnComputesOnlyWhatIsNew) {
    Model model(options_for("cpu", Placement::baseline()));
    const Reply first = model.reply(QUESTION, 12, greedy(), true);
    EXPECT_EQ(first.figures.n_reused_tokens, 0);
    EXPECT_EQ(first.message.role, "assistant");
    EXPECT_EQ(first.message.content, first.figures.text);
    EXPECT_EQ(first.figures.stop_reason, StopReason::max_tokens);
    std::vector<Message> longer = QUESTION;
    longer.push_back(first.message);
    longer.push_back({"user", "Write a short poem about the stars in the style of Emily Dickinson."});
    const Reply second = model.reply(longer, 8, greedy(), true);
    // The last token of an answer is not decoded: nothing came after it.
    EXPECT_EQ(second.figures.n_reused_tokens, first.figures.n_prompt_tokens + 11);
    EXPECT_GT(second.figures.n_prompt_tokens, second.figures.n_reused_tokens);
    // The same as if all of it had been computed at once.
    Model fresh(options_for("cpu", Placement::baseline()));
    const Reply at_once = fresh.reply(longer, 8, greedy(), true);
    EXPECT_EQ(at_once.figures.n_reused_tokens, 0);
    EXPECT_EQ(at_once.message.content, second.message.content);
}

TEST(Reply, AnEarlierTurnIsGoneBackTo) {
    Model model(options_for("cpu", Placement::baseline()));
    const Reply first = model.reply(QUESTION, 10, greedy(), true);
    const Reply again = model.reply(QUESTION, 10, greedy(), true);
    EXPECT_EQ(again.figures.n_reused_tokens, first.figures.n_prompt_tokens - 1) << "the last token gives the logits";
    EXPECT_EQ(again.message.content, first.message.content);
    const Reply other = model.reply({{"user", "What is the Fibonacci sequence?"}}, 4, greedy(), true);
    EXPECT_LT(other.figures.n_reused_tokens, first.figures.n_prompt_tokens - 1);
}

TEST(Reply, GenerateStartsAfresh) {
    Model model(options_for("cpu", Placement::baseline()));
    const std::string prompt = model.apply_chat_template(QUESTION);
    const GenerateResult alone = model.generate(prompt, 10, greedy());
    EXPECT_EQ(alone.n_reused_tokens, 0);
    EXPECT_EQ(model.generate(prompt, 10, greedy()).n_reused_tokens, 0);
    EXPECT_EQ(model.reply(QUESTION, 10, greedy(), true).message.content, alone.text);
    (void)model.log_probabilities(eval_tokens(model, 16));
    EXPECT_EQ(model.reply(QUESTION, 1, greedy(), true).figures.n_reused_tokens, 0) << "the context held something else";
}

TEST(Reply, PiecesAreTheMessageAndFalseStops) {
    Model model(options_for("cpu", Placement::baseline()));
    std::string pieces;
    const Reply whole = model.reply(QUESTION, 20, greedy(), true, [&](bool is_thought, std::string_view text) {
        EXPECT_FALSE(is_thought) << "this model does not think";
        pieces += text;
        return true;
    });
    EXPECT_EQ(pieces, whole.message.content);
    const Reply stopped = model.reply(QUESTION, 20, greedy(), true, [](bool, std::string_view) { return false; });
    EXPECT_EQ(stopped.figures.stop_reason, StopReason::stopped);
    EXPECT_TRUE(whole.message.content.starts_with(stopped.message.content));
    EXPECT_LT(stopped.message.content.size(), whole.message.content.size());
}

// A template that begins thoughts; the model does not know how to end them.
TEST(Reply, ThoughtsEndWithTheBudget) {
    const TempDir dir;
    const std::string path =
        RewrittenModel(TINY_MOE)
            .set("tokenizer.chat_template",
                 "{% for message in messages %}{% if message.role == 'assistant' %}<|assistant|>"
                 "{% if message.reasoning_content %}<think>\n{{ message.reasoning_content }}\n</think>\n\n{% endif %}"
                 "{{ message.content }}<|end|>{% else %}<|user|>{{ message.content }}<|end|>{% endif %}{% endfor %}"
                 "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}")
            .write(dir / "m.gguf");
    const auto reply = [&](const std::vector<std::string> & args) {
        LoadOptions options = options_for("cpu", Placement::baseline());
        options.path = path;
        options.llama_args = args;
        return Model(options).reply(QUESTION, 60, greedy(), true).message;
    };
    const Message unlimited = reply({});
    EXPECT_NE(unlimited.thoughts, "");
    EXPECT_EQ(unlimited.content, "");
    const Message little = reply({"--reasoning-budget", "6"});
    EXPECT_NE(little.thoughts, "");
    EXPECT_TRUE(unlimited.thoughts.starts_with(little.thoughts)) << little.thoughts;
    EXPECT_NE(little.content, "");
    const Message none = reply({"--reasoning-budget", "0"});
    EXPECT_EQ(none.thoughts, "");
    EXPECT_NE(none.content, "");
}

TEST(Reply, ZeroTokensMeansToTheEndOfTheAnswer) {
    Model model(options_for("cpu", Placement::baseline()));
    const Reply reply = model.reply(QUESTION, 0, greedy(), true);
    EXPECT_EQ(reply.figures.stop_reason, StopReason::end_of_text);
    EXPECT_GT(reply.figures.n_output_tokens, 100);
}

TEST(Reply, AConversationThatIsTooLongSaysTheNumbers) {
    Model model(options_for("cpu", Placement::baseline()));
    std::string text;
    for (int i = 0; i < 300; ++i)
        text += "gradient descent ";
    try {
        (void)model.reply({{"user", text}}, 1, greedy(), true);
        FAIL() << "no error";
    } catch (const Error & error) {
        EXPECT_NE(std::string(error.what()).find("and the context holds 512 with the reply"), std::string::npos)
            << error.what();
    }
}

}  // namespace
}  // namespace shimmy::engine
