// shimmy chat and run, on a terminal and without one.
#include "base/files.h"
#include "program.h"
#include "temp_dir.h"
#include "terminal.h"

#include <cstdlib>
#include <regex>

namespace shimmy::e2e {
namespace {

const std::string QUESTION = "Explain gradient descent in simple terms.";

std::vector<std::string> chat(std::vector<std::string> more = {}, const std::string & max_tokens = "12") {
    std::vector<std::string> args{"chat", tiny_moe().string(), "--device", "cpu", "--temperature",
                                  "0",    "--max-tokens",      max_tokens};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

// As the figures are: dim.
const std::string DIM = "\033[2m";

class Chat : public testing::Test {
protected:
    Chat() {
        setenv("XDG_STATE_HOME", dir_.path().c_str(), 1);
        setenv("TERM", "xterm", 1);
        unsetenv("NO_COLOR");
    }
    ~Chat() override { unsetenv("XDG_STATE_HOME"); }

    TempDir dir_;
};

// `shimmy ARGS…` with this on standard input.
ProcessResult piped(const std::string & input, std::vector<std::string> args) {
    args.insert(args.begin(), {"sh", "-c", "printf '%s' \"$IN\" | exec \"$0\" \"$@\"", SHIMMY_PROGRAM});
    setenv("IN", input.c_str(), 1);
    return run_process(args, RUN_TIMEOUT);
}

std::string answer() {
    return shimmy_json({"generate", tiny_moe().string(), QUESTION, "--device", "cpu", "--temperature", "0",
                        "--max-tokens", "12"})["text"];
}

size_t count(const std::string & text, const std::string & part) {
    size_t n = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++n;
    return n;
}

TEST_F(Chat, AnswersWithFiguresAndEndsWithTheInput) {
    Terminal terminal(chat());
    ASSERT_TRUE(terminal.shows("> ")) << terminal.screen();
    EXPECT_NE(terminal.screen().find("/help shows the commands"), std::string::npos) << terminal.screen();
    terminal.type(QUESTION + "\n");
    ASSERT_TRUE(terminal.shows(" tokens/s, TTFT ")) << terminal.screen();
    EXPECT_TRUE(terminal.shows(", 12 tokens; ")) << terminal.screen();
    EXPECT_NE(terminal.screen().find(answer().substr(0, 20)), std::string::npos) << terminal.screen();
    EXPECT_NE(terminal.screen().find("cut off by max-tokens"), std::string::npos);
    EXPECT_NE(terminal.screen().find("\033[2m"), std::string::npos) << "figures are dim";
    terminal.type("\x04");
    EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
}

TEST_F(Chat, LinesAreRememberedFromChatToChat) {
    {
        Terminal terminal(chat());
        ASSERT_TRUE(terminal.shows("> "));
        terminal.type("/set top-k 7\n");
        ASSERT_TRUE(terminal.shows(DIM + "top-k 7")) << terminal.screen();
        terminal.type("/exit\n");
        EXPECT_EQ(terminal.wait(), 0);
    }
    EXPECT_NE(read_file(dir_ / "shimmy/chat_history").find("top-k"), std::string::npos);
    Terminal terminal(chat());
    ASSERT_TRUE(terminal.shows("> "));
    terminal.type("\033[A\033[A\n");  // up: /exit, then the line before it
    EXPECT_TRUE(terminal.shows(DIM + "top-k 7")) << terminal.screen();
    terminal.type("/ex\t\n");  // completed
    EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
}

TEST_F(Chat, CtrlCStopsAnAnswerAndNotTheChat) {
    const std::string begin = answer().substr(0, 10);  // before: the answer to stop takes two seconds
    Terminal terminal(chat({"--", "--ignore-eos"}, "0"));
    ASSERT_TRUE(terminal.shows("> "));
    terminal.type(QUESTION + "\n");
    ASSERT_TRUE(terminal.shows(begin)) << terminal.screen();
    terminal.type("\x03");
    ASSERT_TRUE(terminal.shows("; stopped]")) << terminal.screen();
    terminal.type("half a line\x03");
    terminal.type("/set seed 5\n");
    EXPECT_TRUE(terminal.shows(DIM + "seed 5")) << "the line was taken back: " << terminal.screen();
    terminal.type("/exit\n");
    EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
}

TEST_F(Chat, CommandsWithoutATerminal) {
    const std::string file = (dir_ / "talk.json").string();
    const ProcessResult result =
        piped(QUESTION + "\n/system Be brief.\n/regen\n/save " + file + "\n/undo\n/undo\n/load " + file +
                  "\n/moe\n/set\n/nonsense\n/set top-k many\n/help\n",
              chat());
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out.rfind(answer(), 0), 0U) << "plain text, no prompt: " << result.out;
    EXPECT_EQ(result.out.find('\033'), std::string::npos);
    for (const char * part :
         {"system message: Be brief.", "saved in ", "taken back; 0 question(s) are left",
          "there is nothing to take back", "1 question(s) from ", "placement gpu; no VRAM used", "experts were used",
          "max-tokens 12", "think on", "top-k 40", "there is no command /nonsense",
          "/set top-k: 'many' is no value for it", "answer the last question again"})
        EXPECT_NE(result.err.find(part), std::string::npos) << part << " not in: " << result.err;
    EXPECT_EQ(count(result.err, " tokens/s, TTFT "), 2U) << "the question and /regen";
    EXPECT_EQ(result.err.find("/help shows the commands"), std::string::npos) << "nobody is there to read it";
    const Json saved = Json::parse(read_file(file));
    EXPECT_EQ(saved["system"], "Be brief.");
    ASSERT_EQ(saved["messages"].size(), 2U);
    EXPECT_EQ(saved["messages"][0], Json({{"role", "user"}, {"content", QUESTION}}));
    EXPECT_EQ(saved["messages"][1]["role"], "assistant");
}

TEST_F(Chat, ExpertsInUseAreNotAll) {
    EXPECT_NE(piped("/moe\n", chat()).err.find("no experts were computed by libggml-moe"), std::string::npos);
    const std::string said = piped("a\n/moe\n", chat({}, "1")).err;
    std::smatch match;
    ASSERT_TRUE(std::regex_search(said, match,
                                  std::regex("(\\d+) of 48 experts were used; the 4 that are used most have "
                                             "(\\d+)% of the uses")))
        << said;
    EXPECT_GE(std::stoi(match[1]), 4);
    EXPECT_LT(std::stoi(match[1]), 48) << "a few tokens use four of 16 in each of three layers";
    EXPECT_GT(std::stoi(match[2]), 100 * 4 / 48) << "where not all are used, some are used more than others";
}

TEST_F(Chat, TextsOfSeveralLines) {
    const std::string file = (dir_ / "talk.json").string();
    piped("\"\"\"first\nsecond\n\"\"\"\none \\\ntwo\n/save " + file + "\n", chat({}, "1"));
    const Json messages = Json::parse(read_file(file))["messages"];
    ASSERT_EQ(messages.size(), 4U);
    EXPECT_EQ(messages[0]["content"], "first\nsecond");
    EXPECT_EQ(messages[2]["content"], "one \ntwo");
}

TEST_F(Chat, RunAnswersAPrompt) {
    const std::vector<std::string> run{"run", tiny_moe().string(), QUESTION, "--device", "cpu", "--temperature",
                                       "0",   "--max-tokens",      "12"};
    const ProcessResult result = shimmy(run);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, answer() + "\n");
    std::vector<std::string> words = run;
    words.erase(words.begin() + 2);
    EXPECT_EQ(piped(QUESTION, words).out, answer() + "\n");
    expect_failure({"run"}, 2, {"which model?"});
    const ProcessResult no_document = shimmy({"run", tiny_moe().string(), "a", "--json"});
    EXPECT_EQ(no_document.exit_code, 2);
    EXPECT_EQ(Json::parse(no_document.out)["error"]["message"],
              "a chat is no document: leave out --json (shimmy generate --json has one)");
}

TEST_F(Chat, WrongUseIsOneLine) {
    expect_failure({"chat"}, 2, {"which model?"});
    expect_failure({"chat", "/nowhere.gguf"}, 1, {"/nowhere.gguf"});
    expect_failure({"chat", tiny_moe().string(), "--", "--ctx-size", "5"}, 2, {"use --ctx"});
}

}  // namespace
}  // namespace shimmy::e2e
