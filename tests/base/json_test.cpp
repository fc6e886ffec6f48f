#include "base/json.h"

#include "base/files.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy {
namespace {

TEST(Json, WhatIsWrittenCanBeReadWhateverItHolds) {
    const Json document{{"file", "n\xff.gguf"}, {"text", "ü"}};
    EXPECT_EQ(json_text(document, -1), "{\"file\":\"n\xEF\xBF\xBD.gguf\",\"text\":\"ü\"}");
    EXPECT_EQ(parse_json(json_text(document))["text"], "ü");
}

std::string repeated(const std::string & text, size_t n) {
    std::string result;
    for (size_t i = 0; i < n; ++i)
        result += text;
    return result;
}

TEST(Json, DepthIsLimited) {
    const JsonLimits limits{.depth = 3};
    EXPECT_EQ(parse_json("[[[1]]]", limits)[0][0][0], 1);
    EXPECT_TRUE(parse_json("[[[[1]]]]", limits).is_discarded());
    EXPECT_EQ(json_excess("[[[[1]]]]", limits), "is nested deeper than 3 levels");
    EXPECT_EQ(json_excess("[{\"a\":[1]},[2],[3]]", limits), "") << "beside each other";
    EXPECT_EQ(json_excess("[\"[[[[\\\"[[\"]", limits), "") << "in a text";
    EXPECT_TRUE(parse_json(repeated("[", 100'000)).is_discarded());
    EXPECT_TRUE(parse_json(repeated("{\"a\":", 100'000)).is_discarded());
}

TEST(Json, NumbersOfValuesAndMembersAreLimited) {
    EXPECT_EQ(json_excess("[1,2,3]", {.n_values = 3}), "");
    EXPECT_EQ(json_excess("[1,2,3,4]", {.n_values = 3}), "holds more than 3 values");
    EXPECT_EQ(json_excess(R"({"a":1,"b":2})", {.n_members = 2}), "");
    EXPECT_EQ(json_excess(R"({"a":1,"b":2,"c":3})", {.n_members = 2}), "has an object of more than 2 members");
    EXPECT_EQ(json_excess("[1,2,3]", {.n_members = 2}), "") << "lists are not searched";
    EXPECT_EQ(json_excess("[1,2]", {.n_bytes = 4}), "has more than 4 bytes");
}

TEST(Json, WhatIsNoJsonIsDiscarded) {
    for (const std::string text : {"", "{", "[1,]", "{'a':1}", "\"\xff\""})
        EXPECT_TRUE(parse_json(text).is_discarded()) << text;
}

TEST(Json, AFileIsReadWithinTheLimits) {
    const TempDir dir;
    write_file_atomic(dir / "a.json", "[1, 2]");
    EXPECT_EQ(read_json(dir / "a.json")[1], 2);
    EXPECT_TRUE(read_json(dir / "a.json", {.n_bytes = 5}).is_discarded());
}

}  // namespace
}  // namespace shimmy
