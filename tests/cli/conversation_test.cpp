// A conversation's messages: kept, taken back, saved and read.
#include "cli/chat/conversation.h"

#include "base/error.h"
#include "base/json.h"
#include "engine/device/device.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::cli {
namespace {

class ConversationOf : public testing::Test {
protected:
    ConversationOf() : model_(load()), conversation_(model_) {
        conversation_.settings.sampling.temperature = 0.0F;
        conversation_.settings.max_tokens = 6;
    }

    static engine::LoadOptions load() {
        engine::load_backends("cpu");
        engine::LoadOptions options;
        options.path = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/tiny-moe-f16.gguf";
        options.device = "cpu";
        options.n_ctx = 512;
        return options;
    }

    std::string load_error(const std::string & text) {
        write_file_atomic(dir_ / "bad.json", text);
        try {
            conversation_.load(dir_ / "bad.json");
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    }

    TempDir dir_;
    engine::Model model_;
    Conversation conversation_;
};

TEST_F(ConversationOf, QuestionsAndAnswersInTurn) {
    EXPECT_FALSE(conversation_.take_back());
    EXPECT_THROW(conversation_.say_again({}), UsageError);
    const engine::Reply first = conversation_.say("Hello", {});
    const engine::Reply second = conversation_.say("And you?", {});
    ASSERT_EQ(conversation_.messages().size(), 4U);
    EXPECT_EQ(conversation_.messages()[0].content, "Hello");
    EXPECT_EQ(conversation_.messages()[1].content, first.message.content);
    EXPECT_EQ(conversation_.messages()[3].content, second.message.content);
    EXPECT_GE(second.figures.n_reused_tokens, first.figures.n_prompt_tokens);
    EXPECT_TRUE(conversation_.take_back());
    ASSERT_EQ(conversation_.messages().size(), 2U);
    EXPECT_EQ(conversation_.say("And you?", {}).message.content, second.message.content);
    conversation_.clear();
    EXPECT_TRUE(conversation_.messages().empty());
}

TEST_F(ConversationOf, AnotherAnswerHasAnotherSeed) {
    conversation_.settings.sampling.temperature = 2.0F;
    conversation_.settings.max_tokens = 12;
    const std::string first = conversation_.say("Tell me a story.", {}).message.content;
    const std::string again = conversation_.say_again({}).message.content;
    EXPECT_NE(again, first);
    EXPECT_NE(conversation_.say_again({}).message.content, again);
    ASSERT_EQ(conversation_.messages().size(), 2U);
}

TEST_F(ConversationOf, AQuestionThatCannotBeAnsweredIsNotKept) {
    conversation_.say("Hello", {});
    std::string text;
    for (int i = 0; i < 600; ++i)
        text += "word ";
    EXPECT_THROW(conversation_.say(text, {}), Error);
    EXPECT_EQ(conversation_.messages().size(), 2U);
}

TEST_F(ConversationOf, IsSavedAndRead) {
    conversation_.set_system("Be brief.");
    conversation_.say("Hello", {});
    conversation_.save(dir_ / "talk.json");
    Conversation other(model_);
    other.load(dir_ / "talk.json");
    EXPECT_EQ(other.system(), "Be brief.");
    ASSERT_EQ(other.messages().size(), 2U);
    EXPECT_EQ(other.messages()[1].content, conversation_.messages()[1].content);
    EXPECT_NE(load_error("no json").find("is no saved conversation"), std::string::npos);
    EXPECT_NE(load_error("{\"messages\": 3}").find("is no saved conversation"), std::string::npos);
    EXPECT_NE(
        load_error(R"({"messages": [{"role": "assistant", "content": "a"}]})").find("message 1 is of 'assistant'"),
        std::string::npos);
    EXPECT_NE(load_error(R"({"messages": [{"role": "user", "content": "a"}]})").find("has no answer"),
              std::string::npos);
    EXPECT_EQ(conversation_.messages().size(), 2U) << "as it was";
    EXPECT_EQ(load_error(R"({"messages": [{"role": "user", "content": "a"},
                             {"role": "assistant", "content": "b", "thoughts": "c"}]})"),
              "");
    EXPECT_EQ(conversation_.messages()[1].thoughts, "c");
    EXPECT_EQ(conversation_.system(), "");
}

}  // namespace
}  // namespace shimmy::cli
