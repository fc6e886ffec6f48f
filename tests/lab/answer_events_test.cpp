#include "lab/http/answer_events.h"

#include <gtest/gtest.h>

namespace shimmy::lab {
namespace {

std::string content_event(const std::string & text) {
    return "data: " + Json{{"choices", {{{"delta", {{"content", text}}}, {"finish_reason", nullptr}}}}}.dump() + "\n\n";
}

std::string last_events(int n_tokens) {
    return "data: " + Json{{"choices", {{{"delta", Json::object()}, {"finish_reason", "stop"}}}}}.dump() + "\n\n" +
           "data: " + Json{{"choices", Json::array()}, {"usage", {{"completion_tokens", n_tokens}}}}.dump() +
           "\n\ndata: [DONE]\n\n";
}

AnswerEvents read(const std::string & stream) {
    AnswerEvents reader;
    reader.feed(stream, 1.0);
    reader.finish();
    return reader;
}

TEST(AnswerEvents, AWholeStreamHasNoDefect) {
    const AnswerEvents reader = read(content_event("Hél") + ": a comment\n" + content_event("lo") + last_events(2));
    EXPECT_EQ(reader.text(), "Héllo");
    EXPECT_EQ(reader.text_ms().size(), 2U);
    EXPECT_EQ(reader.n_events(), 4);
    EXPECT_EQ(reader.finish_reason(), "stop");
    EXPECT_TRUE(reader.done_last());
    EXPECT_TRUE(reader.defects().empty()) << reader.defects()[0];
}

// The network cuts where it likes; the time of an event is that of its last byte.
TEST(AnswerEvents, EventsMayArriveInPieces) {
    const std::string stream = content_event("é") + content_event("b") + last_events(2);
    for (size_t cut = 1; cut < stream.size(); ++cut) {
        AnswerEvents reader;
        reader.feed(stream.substr(0, cut), 1.0);
        reader.feed(stream.substr(cut), 2.0);
        reader.finish();
        EXPECT_EQ(reader.text(), "éb") << cut;
        EXPECT_TRUE(reader.defects().empty()) << cut;
        EXPECT_EQ(reader.text_ms()[0], cut < content_event("é").size() - 1 ? 2.0 : 1.0) << cut;
    }
}

void expect_defect(const std::string & stream, const std::string & what) {
    const AnswerEvents reader = read(stream);
    ASSERT_FALSE(reader.defects().empty()) << what;
    EXPECT_NE(reader.defects()[0].find(what), std::string::npos) << reader.defects()[0];
}

TEST(AnswerEvents, DefectsAreNamed) {
    expect_defect(content_event("a") + "data: {\"choices\": [\n\n" + last_events(1), "event 2 does not parse");
    expect_defect("data: {\"choices\":[{\"delta\":{\"content\":\"\xC3\"}}]}\n\n" + last_events(1), "does not parse");
    expect_defect("{\"choices\": []}\n" + last_events(0), "is no event");
    expect_defect("data: {\"error\": {\"message\": \"full\"}}\n\n" + last_events(0), "is an error");
    expect_defect(content_event("a"), "no [DONE]");
    expect_defect(content_event("a") + last_events(1) + content_event("b"), "after [DONE]");
    expect_defect(content_event("a") + last_events(1) + "data: [DONE]\n\n", "came 2 times");
    expect_defect(content_event("a") + content_event("b") + last_events(1), "2 events with text for 1 tokens");
    expect_defect(content_event("a") + "data: [DONE]\n\n", "no usage");
    expect_defect(content_event("a") + last_events(1) + "data: x", "no end");
}

TEST(AnswerEvents, ADefectIsOneAndTheRestGoesOn) {
    const AnswerEvents reader =
        read(content_event("a") + "data: [1]\n\ndata: {\"error\": 3}\n\n" + content_event("b") + last_events(2));
    EXPECT_EQ(reader.text(), "ab");
    EXPECT_EQ(reader.n_events(), 6);
    EXPECT_EQ(reader.defects(), (std::vector<std::string>{"event 2 does not parse", "event 3 is an error: 3"}));
    EXPECT_TRUE(reader.done_last());
}

TEST(AnswerEvents, AnAnswerThatBrokeOffIsNoAnswer) {
    EXPECT_EQ(read(content_event("a") + last_events(1)).failure(), "");
    EXPECT_EQ(read(content_event("a")).failure(), "no [DONE]") << "closed midway";
    EXPECT_EQ(read(content_event("a") + "data: [DONE]\n\n").failure(), "no finish_reason");
    EXPECT_EQ(read(content_event("a") + "data: {\"error\": \"full\"}\n\n" + last_events(1)).failure(),
              "event 2 is an error: \"full\"");
    EXPECT_EQ(read(content_event("a") + "data: {\"choices\": [\n\n" + last_events(1)).failure(), "")
        << "a defect alone";
    EXPECT_EQ(read("data: " + std::string(2 << 20, ' ')).failure(), "a line has no end");
    EXPECT_EQ(read("data: " + std::string(100'000, '[') + "\n\n" + last_events(0)).defects().front(),
              "event 1 does not parse");
}

TEST(AnswerEvents, TheEndIsLookedAtAsAWhole) {
    const auto defects = [](const std::string & stream) { return read(stream).defects(); };
    using Defects = std::vector<std::string>;
    EXPECT_EQ(defects(content_event("a") + "data: [DONE]\ndata: [DONE]\n" + content_event("b") + "x"),
              (Defects{"the last line has no end", "[DONE] came 2 times", "something came after [DONE]",
                       "no usage.completion_tokens"}));
    EXPECT_EQ(defects(""), (Defects{"no [DONE]", "no usage.completion_tokens"}));
    EXPECT_EQ(defects("data: {\"usage\": {\"completion_tokens\": -1}}\ndata: [DONE]\n"),
              (Defects{"no usage.completion_tokens"}));
    EXPECT_TRUE(defects(content_event("a") + last_events(1)).empty()) << "as many as tokens";
    EXPECT_FALSE(read(last_events(0) + content_event("late")).done_last());
    EXPECT_FALSE(read(content_event("a")).done_last());
    EXPECT_FALSE(read(last_events(0) + "data: [DONE]\n").done_last());
}

TEST(AnswerEvents, LinesAndFieldsOfEveryForm) {
    const AnswerEvents reader = read(
        "data:{\"choices\":[{\"text\":\"a\"}],\"timings\":{\"prompt_n\":3}}\r\n\r\n"
        "data:  {\"choices\":[{\"delta\":{\"reasoning_content\":\"t\",\"content\":\"u\"}}],\"usage\":null}\n"
        "data: {\"choices\":3}\ndata: {\"choices\":[3]}\ndata: {\"timings\":3}\n"
        "data: {\"choices\":[{\"finish_reason\":\"length\"}],\"usage\":{\"completion_tokens\":2}}\n"
        "data: {\"choices\":[{\"finish_reason\":\"\"}]}\ndata: [DONE]\n");
    EXPECT_EQ(reader.defects(), std::vector<std::string>{});
    EXPECT_EQ(reader.text(), "atu");
    EXPECT_EQ(reader.n_events(), 7);
    EXPECT_EQ(reader.text_ms().size(), 2U);
    EXPECT_EQ(reader.timings(), (Json{{"prompt_n", 3}}));
    EXPECT_EQ(reader.usage(), (Json{{"completion_tokens", 2}}));
    EXPECT_EQ(reader.finish_reason(), "length");
    const AnswerEvents odd = read("event: x\n");
    EXPECT_EQ(odd.defects()[0], "line 'event: x' is no event");
    EXPECT_EQ(read(std::string(50, 'x') + "\n").defects()[0], "line '" + std::string(40, 'x') + "' is no event");
}

TEST(AnswerEvents, TextOfEveryKindOfChoice) {
    EXPECT_EQ(choice_text({{"message", {{"reasoning_content", "t"}, {"content", "a"}}}}), "ta");
    EXPECT_EQ(choice_text({{"delta", 3}}), "");
    EXPECT_EQ(choice_text({{"text", 3}}), "");
    EXPECT_EQ(choice_text({{"delta", Json::object()}, {"text", "b"}}), "");
    EXPECT_EQ(choice_text(Json::array()), "");
    EXPECT_EQ(choice_text({{"message", {{"content", "a"}}}}), "a");
    EXPECT_EQ(choice_text({{"delta", {{"reasoning_content", "t"}}}}), "t");
    EXPECT_EQ(choice_text({{"text", "b"}}), "b");
    EXPECT_EQ(choice_text({{"delta", {{"content", nullptr}}}}), "");
}

}  // namespace
}  // namespace shimmy::lab
