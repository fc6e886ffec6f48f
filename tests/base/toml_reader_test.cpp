// Every kind of value: read, absent, of another type, at the ends of its range. Errors name file and line.
#include "base/text/toml_reader.h"

#include <gtest/gtest.h>

namespace shimmy {
namespace {

class Toml : public ::testing::Test {
protected:
    explicit Toml(const std::string & text) : table_(parse_toml(text, "f.toml")), reader_(table_, "f.toml", "thing") {}
    Toml()
        : Toml(R"(text = "t"
number = 3
share = 0.5
yes = true
no = false
empty = ""
list = [4, 5]
none = []
words = ["a", ""]
twice = [1, 2, 1]
mixed = [1, "x"]
[inner]
a = 1
)") {}

    static std::string error_of(const auto & call) {
        try {
            call();
        } catch (const UsageError & error) {
            return error.what();
        }
        return "";
    }

    toml::table table_;
    TomlReader reader_;
};

TEST_F(Toml, Texts) {
    EXPECT_EQ(reader_.required_string("text"), "t");
    EXPECT_EQ(reader_.string("text", "other"), "t");
    EXPECT_EQ(reader_.string("absent", "other"), "other");
    EXPECT_EQ(error_of([&] { reader_.required_string("absent"); }), "f.toml:1: the thing has no 'absent'");
    EXPECT_EQ(error_of([&] { reader_.required_string("empty"); }), "f.toml:6: 'empty' is empty");
    EXPECT_EQ(error_of([&] { reader_.string("empty", "other"); }), "f.toml:6: 'empty' is empty");
    EXPECT_EQ(error_of([&] { reader_.string("number", "other"); }), "f.toml:2: 'number' must be text in quotes");
}

TEST_F(Toml, WholeNumbersHaveARange) {
    EXPECT_EQ(reader_.integer("number", 7, 3, 5), 3);
    EXPECT_EQ(reader_.integer("number", 7, 1, 3), 3);
    EXPECT_EQ(reader_.integer("absent", 7, 1, 3), 7);
    EXPECT_EQ(error_of([&] { reader_.integer("number", 7, 4, 5); }), "f.toml:2: 'number' is 3, must be 4 to 5");
    EXPECT_EQ(error_of([&] { reader_.integer("number", 7, 1, 2); }), "f.toml:2: 'number' is 3, must be 1 to 2");
    EXPECT_EQ(error_of([&] { reader_.integer("share", 7, 0, 9); }), "f.toml:3: 'share' must be a whole number");
}

TEST_F(Toml, NumbersHaveARange) {
    EXPECT_EQ(reader_.number("share", 7, 0.5, 1), 0.5);
    EXPECT_EQ(reader_.number("share", 7, 0, 0.5), 0.5);
    EXPECT_EQ(reader_.number("number", 7, 0, 9), 3.0) << "a whole number is a number";
    EXPECT_EQ(reader_.number("absent", 7, 0, 1), 7.0);
    EXPECT_EQ(error_of([&] { reader_.number("share", 7, 0.6, 1); }), "f.toml:3: 'share' is 0.5, must be 0.6 to 1");
    EXPECT_EQ(error_of([&] { reader_.number("share", 7, 0, 0.4); }), "f.toml:3: 'share' is 0.5, must be 0 to 0.4");
    EXPECT_EQ(error_of([&] { reader_.number("text", 7, 0, 1); }), "f.toml:1: 'text' must be a number");
}

TEST_F(Toml, TrueOrFalse) {
    EXPECT_TRUE(reader_.boolean("yes", false));
    EXPECT_FALSE(reader_.boolean("no", true));
    EXPECT_TRUE(reader_.boolean("absent", true));
    EXPECT_FALSE(reader_.boolean("absent", false));
    EXPECT_EQ(error_of([&] { reader_.boolean("number", true); }), "f.toml:2: 'number' must be true or false");
}

TEST_F(Toml, ListsOfWholeNumbers) {
    EXPECT_EQ(reader_.integers("list", 4, 5), (std::vector<int>{4, 5}));
    EXPECT_EQ(reader_.integers("absent", 4, 5), std::nullopt);
    EXPECT_EQ(error_of([&] { reader_.integers("list", 5, 9); }), "f.toml:7: 'list' is 4, must be 5 to 9");
    EXPECT_EQ(error_of([&] { reader_.integers("list", 0, 4); }), "f.toml:7: 'list' is 5, must be 0 to 4");
    EXPECT_EQ(error_of([&] { reader_.integers("none", 0, 9); }), "f.toml:8: 'none' is an empty list");
    EXPECT_EQ(error_of([&] { reader_.integers("twice", 0, 9); }), "f.toml:10: 'twice' lists 1 twice");
    EXPECT_EQ(error_of([&] { reader_.integers("mixed", 0, 9); }), "f.toml:11: 'mixed' must hold whole numbers");
    EXPECT_EQ(error_of([&] { reader_.integers("number", 0, 9); }), "f.toml:2: 'number' must be a list");
}

TEST_F(Toml, TablesAndElements) {
    EXPECT_EQ(reader_.table("absent"), nullptr);
    ASSERT_NE(reader_.table("inner"), nullptr);
    EXPECT_EQ(reader_.table("inner")->size(), 1U);
    EXPECT_EQ(error_of([&] { reader_.table("text"); }), "f.toml:1: 'text' must be a table, written as [text]");
    EXPECT_EQ(reader_.list("absent"), nullptr);
    const toml::array & words = *reader_.list("words");
    EXPECT_EQ(reader_.element_string(words[0], "words"), "a");
    EXPECT_EQ(error_of([&] { reader_.element_string(words[1], "words"); }), "f.toml:9: 'words' is empty");
    EXPECT_EQ(error_of([&] { reader_.element_table(words[0], "words"); }),
              "f.toml:9: 'words' must be tables, written as [[words]]");
    EXPECT_EQ(reader_.any("absent"), nullptr);
    EXPECT_NE(reader_.any("none"), nullptr);
}

TEST_F(Toml, ErrorsOfAKeyPointToItsLine) {
    EXPECT_EQ(error_of([&] { reader_.fail_at("share", "is odd"); }), "f.toml:3: is odd");
    EXPECT_EQ(error_of([&] { reader_.fail_at("absent", "is odd"); }), "f.toml:1: is odd");
    EXPECT_TRUE(error_of([] { parse_toml("a = 1\nb = = 2\n", "f.toml"); }).starts_with("f.toml:2: "));
}

TEST(TomlFinish, WhatWasNotAskedForIsUnknown) {
    const toml::table table = parse_toml("a = 1\n\nb = 2\n", "f.toml");
    TomlReader reader(table, "f.toml", "thing");
    reader.integer("a", 0, 0, 9);
    reader.any("c");
    try {
        reader.finish();
        FAIL();
    } catch (const UsageError & error) {
        EXPECT_STREQ(error.what(), "f.toml:3: unknown key 'b' in the thing (known: a, c)");
    }
    reader.any("b");
    EXPECT_NO_THROW(reader.finish());
}

}  // namespace
}  // namespace shimmy
