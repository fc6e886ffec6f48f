// Lines and bars on stderr, which is no terminal here.
#include "publish/reporter.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace shimmy::publish {
namespace {

std::string said(bool quiet, const std::function<void(Reporter &)> & doing) {
    testing::internal::CaptureStderr();
    {
        Reporter reporter(quiet);
        doing(reporter);
    }
    return testing::internal::GetCapturedStderr();
}

const auto NOTE = [](Reporter & reporter) { reporter.note("the Hub is busy"); };
const auto NOTE_BESIDE_A_BAR = [](Reporter & reporter) {
    const ByteProgress bar = reporter.bar("sending");
    bar(50, 100);
    NOTE(reporter);
    bar(100, 100);
};

TEST(Reporter, LinesAreShownWithABarAndWithout) {
    EXPECT_EQ(said(false, NOTE), "the Hub is busy\n");
    const std::string beside = said(false, NOTE_BESIDE_A_BAR);
    EXPECT_NE(beside.find("sending"), std::string::npos) << beside;
    EXPECT_NE(beside.find("the Hub is busy\n"), std::string::npos) << beside;
    const std::string after = said(false, [](Reporter & reporter) {
        reporter.bar("sending")(0, 100);
        reporter.end_bar();
        NOTE(reporter);
    });
    EXPECT_TRUE(after.ends_with("the Hub is busy\n")) << after;
}

TEST(Reporter, QuietShowsLinesAndNoBars) {
    EXPECT_EQ(said(true, NOTE), "the Hub is busy\n");
    EXPECT_EQ(said(true, NOTE_BESIDE_A_BAR), "the Hub is busy\n");
}

}  // namespace
}  // namespace shimmy::publish
