// Files of prompts, conversations and traces.
#include "lab/http/workload.h"

#include "base/error.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::lab {
namespace {

using Turns = std::vector<std::string>;

class WorkloadOf : public ::testing::Test {
protected:
    fs::path file(const std::string & content) {
        write_file_atomic(dir_ / "file", content);
        return dir_ / "file";
    }
    std::vector<Talk> prompts(const std::string & content, size_t n_turns = 0) {
        return read_prompts(file(content), n_turns);
    }
    std::vector<Talk> trace(const std::string & content, double speed = 1.0) {
        return read_trace(file(content), speed);
    }
    // Of the error, behind the file's name.
    template <typename Read>
    std::string error(const Read & read) {
        try {
            read();
        } catch (const UsageError & error) {
            return std::string(error.what()).substr((dir_ / "file").string().size() + 2);
        }
        return "read";
    }

    TempDir dir_;
};

const std::string SHAREGPT =
    R"([{"id": "1", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"},
        {"from": "human", "value": "Bye"}, {"from": "human", "value": " "}]},
       {"id": "2", "conversations": [{"from": "gpt", "value": "nobody asked"}]},
       {"id": "3", "conversations": [{"from": "user", "value": "What?"}]}])";

TEST_F(WorkloadOf, ALineIsAPrompt) {
    const std::vector<Talk> talks = prompts("One line\r\n\n  Another\n");
    ASSERT_EQ(talks.size(), 2U);
    EXPECT_EQ(talks[0].turns, Turns{"One line"});
    EXPECT_EQ(talks[1].turns, Turns{"  Another"});
}

TEST_F(WorkloadOf, ShareGpt) {
    const std::vector<Talk> talks = prompts(SHAREGPT);
    ASSERT_EQ(talks.size(), 2U) << "in one nobody asks";
    EXPECT_EQ(talks[0].turns, (Turns{"Hi", "Bye"}));
    EXPECT_EQ(talks[1].turns, Turns{"What?"});
    EXPECT_EQ(prompts(SHAREGPT, 1)[0].turns, Turns{"Hi"});
}

TEST_F(WorkloadOf, LinesOfJson) {
    const std::vector<Talk> talks = prompts(
        "{\"prompt\": \"a\"}\n\n{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", "
        "\"content\": \"b\"}, {\"role\": \"assistant\", \"content\": \"c\"}, {\"role\": \"user\", \"content\": \"d\"}]}\n");
    ASSERT_EQ(talks.size(), 2U);
    EXPECT_EQ(talks[0].turns, Turns{"a"});
    EXPECT_EQ(talks[1].turns, (Turns{"b", "d"}));
}

TEST_F(WorkloadOf, WhatIsNoPromptIsSaid) {
    EXPECT_EQ(error([&] { prompts(" \n"); }), "is empty");
    EXPECT_EQ(error([&] { prompts("{\"prompt\": \"a\"}\n{\"prompt\": \n"); }), "line 2: is not a JSON object");
    EXPECT_EQ(error([&] { prompts("{\"text\": \"a\"}"); }),
              "line 1: has none of \"conversations\", \"messages\" and \"prompt\"");
    EXPECT_EQ(error([&] { prompts("[{\"conversations\": 3}]"); }), "entry 1: the conversation is not a list");
    EXPECT_EQ(error([&] { prompts("[{\"prompt\": \"a\"}"); }), "is damaged JSON, or larger than 1 GiB");
    EXPECT_EQ(error([&] { prompts("[]"); }), "holds no prompt");
    EXPECT_THROW(read_prompts(dir_ / "none", 1), Error);
}

TEST_F(WorkloadOf, ATraceBeginsAtItsFirst) {
    const std::string lines =
        "{\"timestamp\": 5000, \"prompt\": \"late\", \"max_tokens\": 9}\n"
        "{\"timestamp\": 1000.5, \"messages\": [{\"role\": \"user\", \"content\": \"early\"}], \"output_length\": 7}\n";
    const std::vector<Talk> talks = trace(lines);
    ASSERT_EQ(talks.size(), 2U);
    EXPECT_EQ(talks[0].turns, Turns{"early"});
    EXPECT_EQ(talks[0].at_ms, 0.0);
    EXPECT_EQ(talks[0].max_tokens, 7);
    EXPECT_EQ(talks[1].at_ms, 3999.5);
    EXPECT_EQ(talks[1].max_tokens, 9);
    EXPECT_EQ(trace(lines, 2.0)[1].at_ms, 1999.75);
}

size_t n_words(const std::string & text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), ' ')) + 1;
}

// Mooncake's form: 512 tokens per id, of which the last may be fewer.
TEST_F(WorkloadOf, LengthsAndIdsBecomeTextThatIsSharedAlike) {
    const std::vector<Talk> talks = trace(
        "{\"timestamp\": 0, \"input_length\": 1100, \"output_length\": 5, \"hash_ids\": [1, 2, 3]}\n"
        "{\"timestamp\": 1, \"input_length\": 1500, \"output_length\": 5, \"hash_ids\": [1, 2, 4]}\n"
        "{\"timestamp\": 2, \"input_length\": 6, \"output_length\": 5}\n"
        "{\"timestamp\": 3, \"input_length\": 6, \"output_length\": 5}\n");
    ASSERT_EQ(talks.size(), 4U);
    const std::string & a = talks[0].turns[0];
    const std::string & b = talks[1].turns[0];
    EXPECT_EQ(n_words(a), 1100U);
    EXPECT_EQ(n_words(b), 1500U);
    const auto differs = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first;
    EXPECT_GE(n_words(a.substr(0, static_cast<size_t>(differs - a.begin()))), 1024U) << "two blocks are shared";
    EXPECT_NE(a, b.substr(0, a.size())) << "the third is not";
    EXPECT_NE(talks[2].turns, talks[3].turns) << "without ids nothing is";
}

TEST_F(WorkloadOf, WhatIsNoTraceIsSaid) {
    EXPECT_EQ(error([&] { trace("{\"prompt\": \"a\"}"); }), "line 1: \"timestamp\" is missing, or not a time in ms");
    EXPECT_EQ(error([&] { trace("{\"timestamp\": -1, \"prompt\": \"a\"}"); }),
              "line 1: \"timestamp\" is missing, or not a time in ms");
    EXPECT_EQ(error([&] { trace("{\"timestamp\": 1, \"input_length\": 99999999}"); }),
              "line 1: \"input_length\" is 99999999, expected a number up to 1048576");
    EXPECT_EQ(error([&] { trace("{\"timestamp\": 1, \"input_length\": 3, \"hash_ids\": [\"a\"]}"); }),
              "line 1: \"hash_ids\" holds \"a\"");
    EXPECT_EQ(error([&] { trace("{\"timestamp\": 1, \"messages\": []}"); }), "line 1: asks nothing");
    EXPECT_EQ(error([&] { trace("{\"timestamp\": 1, \"prompt\": \"a\", \"max_tokens\": -3}"); }),
              "line 1: \"max_tokens\" is -3, expected a number up to 1048576");
}

}  // namespace
}  // namespace shimmy::lab
