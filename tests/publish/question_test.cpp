// `shimmy publish` without --yes, on a terminal.
#include "base/error.h"
#include "publish_fixture.h"

#include "e2e/terminal.h"

namespace shimmy::e2e {
namespace {

constexpr const char * QUESTION = "Publish this? [y/N]";

class Question : public PublishTest {
protected:
    // Nothing but reading has happened.
    void expect_untouched() const {
        EXPECT_EQ(n_changing_requests(), 0U);
        EXPECT_FALSE(fs::exists(campaign_.out() / "publish.json"));
    }
};

TEST_F(Question, YesPublishes) {
    Terminal terminal(arguments());
    ASSERT_TRUE(terminal.shows(QUESTION)) << terminal.screen();
    // What it is about is there before it, and nothing is done yet.
    EXPECT_LT(terminal.screen().find("user/tiny: would be created, public"), terminal.screen().find(QUESTION));
    expect_untouched();
    terminal.type("y\n");
    EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
    EXPECT_NE(terminal.screen().find(fmt::format("{0} of {0} checks passed", N_CHECKS)), std::string::npos)
        << terminal.screen();
    EXPECT_EQ(repository()["n_commits"], 2);
    // Nothing to change is nothing to ask.
    Terminal again(arguments());
    EXPECT_EQ(again.wait(), 0);
    EXPECT_EQ(again.screen().find(QUESTION), std::string::npos) << again.screen();
    EXPECT_NE(again.screen().find("nothing to change"), std::string::npos) << again.screen();
}

TEST_F(Question, EverythingElseDoesNot) {
    for (const char * keys : {"n\n", "\n", "yet\n", "\x04"}) {
        Terminal terminal(arguments());
        ASSERT_TRUE(terminal.shows(QUESTION)) << terminal.screen();
        terminal.type(keys);
        EXPECT_EQ(terminal.wait(), 1) << terminal.screen();
        EXPECT_NE(terminal.screen().find("Nothing was published."), std::string::npos) << terminal.screen();
    }
    expect_untouched();
}

TEST_F(Question, CtrlCIsNoAnswer) {
    Terminal terminal(arguments());
    ASSERT_TRUE(terminal.shows(QUESTION)) << terminal.screen();
    terminal.type("\x03");
    EXPECT_EQ(terminal.wait(), 130) << terminal.screen();
    expect_untouched();
}

TEST_F(Question, TheTokenIsNotOnTheScreen) {
    Terminal terminal(arguments({"-vv"}));
    ASSERT_TRUE(terminal.shows(QUESTION)) << terminal.screen();
    terminal.type("y\n");
    EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
    // The bar is. Its rate is too only if the upload takes longer than the bar's first look.
    EXPECT_NE(terminal.screen().find("uploading tiny-moe-Q4_K_M.gguf"), std::string::npos) << terminal.screen();
    EXPECT_EQ(terminal.screen().find(WRITE_TOKEN), std::string::npos);
}

}  // namespace
}  // namespace shimmy::e2e
