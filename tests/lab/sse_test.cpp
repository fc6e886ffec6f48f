#include "lab/http/sse.h"

#include <gtest/gtest.h>

namespace shimmy::lab {
namespace {

std::string event(const std::string & text) {
    return "data: " + Json{{"choices", {{{"delta", {{"content", text}}}, {"finish_reason", nullptr}}}}}.dump() + "\n\n";
}

std::string last_events(int n_tokens) {
    return "data: " + Json{{"choices", {{{"delta", Json::object()}, {"finish_reason", "stop"}}}}}.dump() + "\n\n" +
           "data: " + Json{{"choices", Json::array()}, {"usage", {{"completion_tokens", n_tokens}}}}.dump() +
           "\n\ndata: [DONE]\n\n";
}

SseReader read(const std::string & stream) {
    SseReader reader;
    reader.feed(stream, 1.0);
    reader.finish();
    return reader;
}

TEST(Sse, AWholeStreamHasNoDefect) {
    const SseReader reader = read(event("Hél") + ": a comment\n" + event("lo") + last_events(2));
    EXPECT_EQ(reader.text(), "Héllo");
    EXPECT_EQ(reader.text_ms().size(), 2U);
    EXPECT_EQ(reader.n_events(), 4);
    EXPECT_EQ(reader.finish_reason(), "stop");
    EXPECT_TRUE(reader.done_last());
    EXPECT_TRUE(reader.defects().empty()) << reader.defects()[0];
}

// The network cuts where it likes; the time of an event is that of its last byte.
TEST(Sse, EventsMayArriveInPieces) {
    const std::string stream = event("é") + event("b") + last_events(2);
    for (size_t cut = 1; cut < stream.size(); ++cut) {
        SseReader reader;
        reader.feed(stream.substr(0, cut), 1.0);
        reader.feed(stream.substr(cut), 2.0);
        reader.finish();
        EXPECT_EQ(reader.text(), "éb") << cut;
        EXPECT_TRUE(reader.defects().empty()) << cut;
        EXPECT_EQ(reader.text_ms()[0], cut < event("é").size() - 1 ? 2.0 : 1.0) << cut;
    }
}

void expect_defect(const std::string & stream, const std::string & what) {
    const SseReader reader = read(stream);
    ASSERT_FALSE(reader.defects().empty()) << what;
    EXPECT_NE(reader.defects()[0].find(what), std::string::npos) << reader.defects()[0];
}

TEST(Sse, DefectsAreNamed) {
    expect_defect(event("a") + "data: {\"choices\": [\n\n" + last_events(1), "event 2 does not parse");
    expect_defect("data: {\"choices\":[{\"delta\":{\"content\":\"\xC3\"}}]}\n\n" + last_events(1), "does not parse");
    expect_defect("{\"choices\": []}\n" + last_events(0), "is no event");
    expect_defect("data: {\"error\": {\"message\": \"full\"}}\n\n" + last_events(0), "is an error");
    expect_defect(event("a"), "no [DONE]");
    expect_defect(event("a") + last_events(1) + event("b"), "after [DONE]");
    expect_defect(event("a") + last_events(1) + "data: [DONE]\n\n", "came 2 times");
    expect_defect(event("a") + event("b") + last_events(1), "2 events with text for 1 tokens");
    expect_defect(event("a") + "data: [DONE]\n\n", "no usage");
    expect_defect(event("a") + last_events(1) + "data: x", "no end");
}

TEST(Sse, TextOfEveryKindOfChoice) {
    EXPECT_EQ(choice_text({{"message", {{"content", "a"}}}}), "a");
    EXPECT_EQ(choice_text({{"delta", {{"reasoning_content", "t"}}}}), "t");
    EXPECT_EQ(choice_text({{"text", "b"}}), "b");
    EXPECT_EQ(choice_text({{"delta", {{"content", nullptr}}}}), "");
}

}  // namespace
}  // namespace shimmy::lab
