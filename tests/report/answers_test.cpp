// Sample answers and what checks say of them.
#include "report/documents/answers.h"

#include <gtest/gtest.h>

namespace shimmy::report {
namespace {

lab::Cell answered(const std::string & type, engine::Placement placement, const std::string & text,
                   size_t n_distinct = 1) {
    lab::Cell cell{{"m", type, placement}};
    cell.texts = {{"p", text, n_distinct}};
    return cell;
}

class AnswersOf : public ::testing::Test {
protected:
    AnswersOf() {
        summary_.campaign.models = {{"m", "/m.gguf", {}}};
        summary_.campaign.prompts = {{"p", "How far does it go?", "chat", "One | right answer.", "150 Miles"}};
        summary_.variants = {{"m", "Q8_0", "/a.gguf", "", 0, ""}, {"m", "Q2_K", "/b.gguf", "", 0, ""}};
    }
    bool says(const std::string & text) const { return answers_document(summary_).find(text) != std::string::npos; }

    lab::Summary summary_;
};

TEST_F(AnswersOf, SideBySideWithTheirChecks) {
    const auto baseline = engine::Placement::baseline();
    const auto offload = engine::Placement::offload();
    summary_.cells = {answered("Q8_0", baseline, "It goes 150 miles."),
                      answered("Q8_0", offload, "It goes 150 miles.", 2),
                      answered("Q2_K", baseline, "It goes 90 miles."),
                      answered("Q2_K", offload, "and and and and and and and and and and and and and and and and")};
    EXPECT_TRUE(
        says("## m: `p`\n\nHow far does it go?\n\nOne | right answer.\n\n| type | answer | checks | given by |"));
    EXPECT_TRUE(
        says("| Q8_0 | It goes 150 miles. | as expected: 150 Miles<br>differs between repeats (2 texts) | "
             "baseline, in process<br>offload, in process |"))
        << answers_document(summary_);
    EXPECT_TRUE(says("| Q2_K | It goes 90 miles. | NOT as expected: 150 Miles | baseline, in process |"));
    EXPECT_TRUE(says("NOT as expected: 150 Miles<br>BROKEN: repeats")) << answers_document(summary_);
}

TEST_F(AnswersOf, WhatIsNotSaidIsNotMadeUp) {
    summary_.campaign.prompts[0].why = "";
    summary_.campaign.prompts[0].expect = "";
    summary_.cells = {answered("Q8_0", engine::Placement::baseline(), "It goes 150 miles.")};
    EXPECT_TRUE(says("Why it was chosen is not said."));
    EXPECT_TRUE(says("| Q8_0 | It goes 150 miles. | no defect found | baseline, in process |"));
    summary_.cells.clear();
    EXPECT_EQ(answers_document(summary_), "");
}

}  // namespace
}  // namespace shimmy::report
