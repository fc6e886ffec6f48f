// Limits of what is called broken, on both sides of each.
#include "check/degeneration.h"

#include "check/language.h"
#include "check/verse.h"

#include <gtest/gtest.h>

namespace shimmy::check {
namespace {

using Reasons = std::vector<std::string>;

std::string times(const std::string & unit, int n) {
    std::string text;
    for (int i = 0; i < n; ++i)
        text += unit;
    return text;
}

// "w0 w1 … w4 w0 …": `n` words that repeat every `period`.
std::string periodic(int n, int period) {
    std::string text;
    for (int i = 0; i < n; ++i)
        text += "w" + std::to_string(i % period) + " ";
    return text;
}

Reasons found(const std::string & text) {
    return degenerations("Say something.", text);
}

TEST(Loops, OfOneWordFromEight) {
    EXPECT_EQ(found(times("0, ", 7)), Reasons{});
    EXPECT_EQ(found(times("0, ", 8)), Reasons{"repeats \"0,\" 8 times in a row"});
}

TEST(Loops, OfSeveralWordsFromFour) {
    EXPECT_EQ(found("x y " + times("a b ", 3) + "z"), Reasons{});
    EXPECT_EQ(found("x y " + times("a b ", 4) + "z"), Reasons{"repeats \"a b\" 4 times in a row"});
    EXPECT_EQ(found(times("a b ", 4)), Reasons{"repeats \"a b\" 4 times in a row"});
    EXPECT_EQ(found("x a b a b a b y a b a b a b a b a b"), Reasons{"repeats \"a b\" 5 times in a row"})
        << "the longest run";
}

TEST(Loops, OfFortyWordsAtMost) {
    const Reasons of_40 = found(periodic(160, 40));
    ASSERT_EQ(of_40.size(), 2U);
    EXPECT_EQ(of_40[0].find("repeats \"w0 w1 "), 0U) << of_40[0];
    EXPECT_NE(of_40[0].find(" w39\" 4 times in a row"), std::string::npos) << of_40[0];
    EXPECT_EQ(found(periodic(164, 41)), Reasons{"repeats itself: 120 of 161 sequences of 4 words were there before"});
}

TEST(Loops, OfCharactersFromSixtyFour) {
    EXPECT_EQ(found("It " + times("a", 63)), Reasons{});
    EXPECT_EQ(found("It " + times("a", 64)), Reasons{"repeats \"a\" 64 times in a row"});
    EXPECT_EQ(found("It " + times("abcdefgh", 8)), Reasons{"repeats \"abcdefgh\" 8 times in a row"});
    EXPECT_EQ(found("It " + times("abcdefghi", 8)), Reasons{}) << "a word of nine letters";
    EXPECT_EQ(found("It " + times("-", 200)), Reasons{}) << "a rule";
    EXPECT_EQ(found("It " + times("-7", 32)), Reasons{"repeats \"-7\" 32 times in a row"});
    EXPECT_EQ(found("It " + times("ß", 32)), Reasons{"repeats \"ß\" 32 times in a row"});
}

TEST(Loops, MoreThanHalfSeenBefore) {
    EXPECT_EQ(found(periodic(34, 12)), Reasons{}) << "31 sequences are too few";
    EXPECT_EQ(found(periodic(35, 12)), Reasons{"repeats itself: 20 of 32 sequences of 4 words were there before"});
    EXPECT_EQ(found(periodic(35, 16)), Reasons{}) << "16 of 32 is half";
    EXPECT_EQ(found(periodic(36, 16)), Reasons{"repeats itself: 17 of 33 sequences of 4 words were there before"});
}

// The Unicode Standard, table 3-7: the ends of every row, and their neighbours.
TEST(BrokenUtf8, WellFormedByteSequences) {
    for (const char * text :
         {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xE0\xBF\xBF", "\xE1\x80\x80", "\xEC\xBF\xBF",
          "\xED\x80\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBE", "\xF0\x90\x80\x80", "\xF0\xBF\xBF\xBF",
          "\xF1\x80\x80\x80", "\xF3\xBF\xBF\xBF", "\xF4\x80\x80\x80", "\xF4\x8F\xBF\xBF"})
        EXPECT_EQ(found(std::string("a ") + text + " z"), Reasons{}) << text;
    for (const char * text :
         {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x7F", "\xC2\xC0", "\xE0\x9F\xBF", "\xE1\x80",
          "\xE1\x80\x41", "\xE1\x41\x80", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF0\x90\x80",
          "\xF0\x90\x80\x41", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
        EXPECT_EQ(found(std::string("a ") + text + " z"), Reasons{"holds broken UTF-8"}) << text;
        EXPECT_EQ(found(std::string("a ") + text), Reasons{"holds broken UTF-8"}) << text << " at the end";
    }
}

TEST(LanguageSwitch, ScriptsFromEightLettersAndATenth) {
    EXPECT_EQ(language_switch("Say it.", times("д", 7)), "");
    EXPECT_EQ(language_switch("Say it.", times("д", 8)), "changes to Cyrillic script (8 of 8 letters)");
    EXPECT_EQ(language_switch("Say it.", times("a", 72) + times("д", 8)), "") << "a tenth";
    EXPECT_EQ(language_switch("Say it.", times("a", 71) + times("д", 8)),
              "changes to Cyrillic script (8 of 79 letters)");
    EXPECT_EQ(language_switch("Что?", times("д", 80)), "");
    EXPECT_EQ(language_switch("Что?", times("a", 80)), "") << "Latin is code, names and formulas everywhere";
}

TEST(LanguageSwitch, EveryScriptByItsFirstAndLastLetter) {
    const std::vector<std::pair<std::string, std::vector<const char *>>> scripts{
        {"Greek", {"\u0370", "\u03FF"}},
        {"Cyrillic", {"\u0400", "\u052F"}},
        {"Armenian", {"\u0530", "\u058F"}},
        {"Hebrew", {"\u0590", "\u05FF"}},
        {"Arabic", {"\u0600", "\u077F"}},
        {"Devanagari", {"\u0900", "\u097F"}},
        {"Bengali", {"\u0980", "\u09FF"}},
        {"Tamil", {"\u0B80", "\u0BFF"}},
        {"Thai", {"\u0E00", "\u0E7F"}},
        {"Georgian", {"\u10A0", "\u10FF"}},
        {"Hangul", {"\u1100", "\u11FF", "\uAC00", "\uD7AF"}},
        {"Kana", {"\u3040", "\u30FF"}},
        {"Han", {"\u3400", "\u9FFF"}},
    };
    for (const auto & [script, letters] : scripts) {
        for (const char * letter : letters)
            EXPECT_EQ(language_switch("Say it.", times(letter, 9)),
                      "changes to " + script + " script (9 of 9 letters)");
    }
    for (const char * letter : {"\u036F", "\u0780", "\u0B7F", "\u0C00", "\u0DFF", "\u0E80", "\u303F", "\u3100",
                                "\u33FF", "\uA000", "\uABFF", "\uD7B0", "é", "\u1E00", "\u1EFF", "\u024F"})
        EXPECT_EQ(language_switch("Say it.", times(letter, 9)), "") << letter;
}

TEST(LanguageSwitch, SmallWordsFromFiveAndTwiceAsMany) {
    const std::string prompt = "What is the answer to this?";
    EXPECT_EQ(language_switch(prompt, "Der Hund und das Haus ist"), "");
    EXPECT_EQ(language_switch(prompt, "Der Hund und das Haus ist, nicht?"), "changes from English to German");
    EXPECT_EQ(language_switch(prompt, "the and of der und das ist ein eine"), "") << "six and three";
    EXPECT_EQ(language_switch(prompt, "the and of der und das ist ein eine mit"), "changes from English to German");
    EXPECT_EQ(language_switch("42", "Der Hund und das Haus ist nicht ein Ding"), "") << "asked in no language";
    EXPECT_EQ(language_switch("Was ist das und wird es nicht?", "the and of to is that it"),
              "changes from German to English");
}

TEST(VerseForm, LimitsOnBothSides) {
    const std::string poem = "one two\nthree\n\nfour\nfive six seven\n\n\neight\n";  // stanzas of 2, 2 and 1 lines
    EXPECT_EQ(verse_defects(poem, {5, 3, 0, 3}), Reasons{});
    EXPECT_EQ(verse_defects(poem, {6, 3, 0, 3}), Reasons{"has 5 lines, not 6"});
    EXPECT_EQ(verse_defects(poem, {5, 4, 0, 3}), Reasons{"has 3 stanzas, not 4"});
    EXPECT_EQ(verse_defects(poem, {5, 3, 2, 3}), Reasons{"has a stanza of 1 lines, not 2"});
    EXPECT_EQ(verse_defects(poem, {5, 3, 3, 3}), Reasons{"has a stanza of 2 lines, not 3"}) << "said once";
    EXPECT_EQ(verse_defects(poem, {5, 3, 0, 2}), Reasons{"has a line of 3 words, more than 2: prose"});
    EXPECT_EQ(verse_defects(poem, {5, 3, 0, 1}), Reasons{"has a line of 2 words, more than 1: prose"}) << "said once";
    EXPECT_EQ(verse_defects("```\na\n```\n", {1, 1, 0, 3}), Reasons{"is code, not verse"}) << "said once";
    EXPECT_EQ(verse_defects(poem, {6, 4, 2, 2}),
              (Reasons{"has 5 lines, not 6", "has 3 stanzas, not 4", "has a stanza of 1 lines, not 2",
                       "has a line of 3 words, more than 2: prose"}));
    EXPECT_EQ(verse_defects("a b c d e\n```\n", {3, 1, 0, 4}),
              (Reasons{"has 2 lines, not 3", "has a line of 5 words, more than 4: prose"}));
}

}  // namespace
}  // namespace shimmy::check
