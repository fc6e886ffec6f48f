// shimmy eval on the embedded model, and llama.cpp's own llama-perplexity on the same files beside it.
#include "base/files.h"
#include "base/process/child_process.h"
#include "program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <sstream>
#include <thread>

namespace shimmy::e2e {
namespace {

const std::string PERPLEXITY = fs::path(SHIMMY_PROGRAM).parent_path() / "perplexity";

std::string example(const std::string & name) {
    return std::string(SHIMMY_SOURCE_DIR) + "/examples/eval/" + name;
}

std::vector<std::string> lines_of(const std::string & text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

// A file for --multiple-choice: the HellaSwag questions, with as many endings as the number of the question says.
std::string multiple_choice_file() {
    const std::vector<std::string> lines = lines_of(read_file(example("hellaswag.txt")));
    const auto number = [](size_t n) {
        const auto value = static_cast<uint32_t>(n);
        std::string bytes(sizeof(value), '\0');
        std::memcpy(bytes.data(), &value, sizeof(value));
        return bytes;
    };
    const auto text = [&](const std::string & bytes) { return number(bytes.size()) + bytes; };
    const size_t n = lines.size() / 6;
    std::string positions;
    std::string questions;
    for (size_t i = 0; i < n; ++i) {
        positions += number(4 + 4 * n + questions.size());
        const size_t right = std::stoul(lines[6 * i + 1]);
        const size_t n_endings = i % 3 == 0 ? right + 1 : 4;  // two at least
        const size_t n_used = std::max<size_t>(n_endings, 2);
        questions += text(lines[6 * i]) + number(n_used);
        for (size_t j = 0; j < n_used; ++j)
            questions += text(lines[6 * i + 2 + j]);
        for (size_t j = 0; j < n_used; ++j)
            questions += number(j == right ? 1 : 0);
        questions += number(0);
    }
    return number(n) + positions + questions;
}

class Eval : public ::testing::Test {
protected:
    Eval() { ::setenv("SHIMMY_CACHE", (dir_ / "cache").c_str(), 1); }
    ~Eval() override { ::unsetenv("SHIMMY_CACHE"); }

    // Of llama-perplexity: the columns of its lines that begin with a number and a tab.
    std::vector<std::vector<std::string>> perplexity(const std::vector<std::string> & more) {
        std::vector<std::string> argv{PERPLEXITY, "-m", tiny_moe().string(), "-dev", "none", "-c", "512"};
        argv.insert(argv.end(), more.begin(), more.end());
        const ProcessResult result = run_process(argv, RUN_TIMEOUT);
        EXPECT_EQ(result.exit_code, 0) << result.err;
        std::vector<std::vector<std::string>> rows;
        for (const std::string & line : lines_of(result.out)) {
            if (line.empty() || line.find('\t') == std::string::npos || line[0] < '0' || line[0] > '9') continue;
            std::istringstream in(line);
            std::vector<std::string> columns;
            for (std::string column; in >> column;)
                columns.push_back(column);
            rows.push_back(std::move(columns));
        }
        return rows;
    }
    // Of the same model, by ggml's own kernels.
    static Json eval(std::vector<std::string> more) {
        more.insert(more.begin(), {"eval", tiny_moe().string(), "--device", "cpu", "--moe-backend", "off"});
        return shimmy_json(more);
    }
    // Percent of the first i + 1 questions.
    static std::vector<double> running_share(const Json & document, const std::string & metric) {
        std::vector<double> shares;
        double n_right = 0.0;
        for (const Json & question : document["models"][0]["questions"]) {
            n_right += question["right"][metric].get<bool>() ? 1.0 : 0.0;
            shares.push_back(100.0 * n_right / static_cast<double>(shares.size() + 1));
        }
        return shares;
    }

    TempDir dir_;
};

TEST_F(Eval, HellaswagIsThatOfLlamaPerplexity) {
    for (const std::string n : {"0", "9"}) {
        std::vector<std::string> args{"--hellaswag", "-f", example("hellaswag.txt")};
        if (n != "0") args.insert(args.end(), {"--hellaswag-tasks", n});
        const auto theirs = perplexity(args);
        const Json ours = eval({"--task", example("hellaswag.txt"), "--limit", n});
        const std::vector<double> shares = running_share(ours, "acc_norm");
        ASSERT_EQ(shares.size(), n == "0" ? 24U : 9U);
        ASSERT_EQ(theirs.size(), shares.size());
        for (size_t i = 0; i < shares.size(); ++i)
            EXPECT_NEAR(std::stod(theirs[i][1]), shares[i], 1e-6) << "question " << i << ", in its random order";
        const Json & ci = ours["models"][0]["metrics"]["acc_norm"]["ci95"];
        EXPECT_NEAR(std::stod(theirs.back()[2].substr(1)), 100.0 * ci[0].get<double>(), 1e-3);
        EXPECT_NEAR(std::stod(theirs.back()[3]), 100.0 * ci[1].get<double>(), 1e-3);
        if (n != "0") continue;
        EXPECT_GT(shares.back(), 30.0) << "a test of what is neither chance nor everything";
        EXPECT_LT(shares.back(), 100.0);
    }
}

TEST_F(Eval, WinograndeIsThatOfLlamaPerplexity) {
    // As a binary file: of a text it drops the last line.
    for (const std::string n : {"0", "7"}) {
        const auto theirs = perplexity({"--winogrande", "-bf", example("winogrande.csv"), "--winogrande-tasks", n});
        const Json ours = eval({"--task", example("winogrande.csv"), "--limit", n});
        const Json & questions = ours["models"][0]["questions"];
        ASSERT_EQ(questions.size(), n == "0" ? 24U : 7U);
        ASSERT_EQ(theirs.size(), questions.size());
        const std::vector<double> shares = running_share(ours, "acc");
        for (size_t i = 0; i < questions.size(); ++i) {
            EXPECT_NEAR(std::stod(theirs[i][1]), shares[i], 1e-3) << i;
            for (size_t choice = 0; choice < 2; ++choice)
                EXPECT_NEAR(std::stod(theirs[i][2 + choice]), questions[i]["normalized"][choice].get<double>(), 2e-3)
                    << questions[i].dump();
            EXPECT_EQ(std::stoul(theirs[i][4]), questions[i]["chosen"][0].get<size_t>() + 1);
        }
    }
}

TEST_F(Eval, MultipleChoiceIsThatOfLlamaPerplexity) {
    const std::string file = (dir_ / "choices.bin").string();
    write_file_atomic(file, multiple_choice_file());
    for (const std::string n : {"0", "7"}) {
        const auto theirs = perplexity({"--multiple-choice", "-bf", file, "--multiple-choice-tasks", n});
        const std::vector<double> shares = running_share(eval({"--task", file, "--limit", n}), "acc_norm");
        ASSERT_EQ(shares.size(), n == "0" ? 24U : 7U);
        ASSERT_EQ(theirs.size(), shares.size());
        for (size_t i = 0; i < shares.size(); ++i)
            EXPECT_NEAR(std::stod(theirs[i][1]), shares[i], 1e-6) << i;
    }
}

// A continuation's likelihood does not depend on what it is computed beside.
TEST_F(Eval, ChoicesInGroupsAreThoseOfOneBatch) {
    const Json together = eval({"--task", example("arc.jsonl"), "--ctx", "512"});
    const Json apart = eval({"--task", example("arc.jsonl"), "--ctx", "512", "--batch", "3", "--ubatch", "3"});
    for (size_t i = 0; i < 12; ++i) {
        const Json & a = together["models"][0]["questions"][i]["log_likelihoods"];
        const Json & b = apart["models"][0]["questions"][i]["log_likelihoods"];
        ASSERT_EQ(a.size(), b.size());
        for (size_t j = 0; j < a.size(); ++j)
            EXPECT_NEAR(a[j].get<double>(), b[j].get<double>(), 0.02) << i;
    }
}

TEST_F(Eval, ModelsAreComparedOnTheSameQuestions) {
    const Json document = shimmy_json({"eval", tiny_moe().string(), tiny_moe("Q2_K").string(), "--device", "cpu",
                                       "--task", example("arc.jsonl"), "--shots", "2", "--limit", "8"});
    EXPECT_EQ(document["task"]["form"], "arc");
    EXPECT_EQ(document["task"]["n_questions"], 8);
    EXPECT_EQ(document["task"]["n_shots"], 2);
    EXPECT_NEAR(document["task"]["random_chance"].get<double>(), 0.28, 0.03);
    ASSERT_EQ(document["models"].size(), 2U);
    EXPECT_EQ(document["models"][1]["quant"], "Q2_K");
    EXPECT_EQ(document["models"][0]["sha256"].get<std::string>().size(), 64U);
    EXPECT_EQ(document["models"][0]["questions"][0]["question"], 3) << "two were examples";
    ASSERT_EQ(document["comparisons"].size(), 2U) << "acc and acc_norm";
    const Json & paired = document["comparisons"][0];
    EXPECT_EQ(paired["metric"], "acc");
    int only_first = 0;
    int only_second = 0;
    for (size_t i = 0; i < 8; ++i) {
        const bool first = document["models"][0]["questions"][i]["right"]["acc"];
        const bool second = document["models"][1]["questions"][i]["right"]["acc"];
        only_first += first && !second ? 1 : 0;
        only_second += second && !first ? 1 : 0;
    }
    EXPECT_EQ(paired["n_only_first_right"], only_first);
    EXPECT_EQ(paired["n_only_second_right"], only_second);
    EXPECT_EQ(paired["n_questions"], 8);
}

TEST_F(Eval, AnswersInWords) {
    const Json document = shimmy_json({"eval", tiny_moe().string(), "--device", "cpu", "--task", example("gsm8k.jsonl"),
                                       "--chat", "--max-tokens", "120", "--limit", "4"});
    const Json & model = document["models"][0];
    EXPECT_EQ(model["metrics"]["exact_match"]["n_right"], 0) << "it was never shown the mark ####";
    EXPECT_GE(model["metrics"]["flexible_match"]["n_right"], 1) << model.dump(1);
    EXPECT_EQ(model["questions"][1]["answer"], "150");
    EXPECT_EQ(model["questions"][1]["found"][1], "150") << model["questions"][1].dump();
    EXPECT_EQ(model["questions"][1]["right"]["flexible_match"], true);
    EXPECT_EQ(model["questions"][1]["found"][0], "") << "no mark, no strict answer";
}

TEST_F(Eval, PeopleSeeSharesIntervalsAndTheTest) {
    const ProcessResult result = shimmy({"eval", tiny_moe().string(), tiny_moe("Q2_K").string(), "--device", "cpu",
                                         "--task", example("winogrande.csv")});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    for (const char * part : {"24 questions of the form llama-winogrande; guessing gets 50.0%", "acc [95% interval]",
                              "tiny-moe-f16.gguf", "Q2_K", "McNemar p = ", " points ["})
        EXPECT_NE(result.out.find(part), std::string::npos) << part << " not in: " << result.out;
}

TEST_F(Eval, AnInterruptGivesTheFiguresSoFar) {
    std::string lines;
    for (int i = 0; i < 400; ++i)
        lines += R"({"question": "Count on and on: 1, 2, 3", "answer": "4"})"
                 "\n";
    write_file_atomic(dir_ / "long.jsonl", lines);
    ChildProcess process({SHIMMY_PROGRAM, "eval", tiny_moe().string(), tiny_moe("Q8_0").string(), "--device", "cpu",
                          "--task", (dir_ / "long.jsonl").string(), "--max-tokens", "8"});
    const auto deadline = std::chrono::steady_clock::now() + RUN_TIMEOUT;
    while (process.err().find("10%") == std::string::npos && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(process.stop(std::chrono::seconds(60)), 130) << process.err();
    std::string out;
    while (const auto line = process.read_line(std::chrono::seconds(1)))
        out += *line + "\n";
    EXPECT_NE(out.find("400 questions of the form gsm8k"), std::string::npos) << out;
    EXPECT_NE(out.find("tiny-moe-f16.gguf"), std::string::npos) << out;
    EXPECT_EQ(out.find("Q8_0"), std::string::npos) << "the second was not begun";
    EXPECT_NE(process.err().find("the questions asked so far"), std::string::npos) << process.err();
}

TEST_F(Eval, WrongUseSaysSo) {
    const std::string model = tiny_moe().string();
    expect_failure({"eval", model, "--task", "no-such.jsonl"}, 1, {"no-such.jsonl"});
    expect_failure({"eval", "no-such.gguf", "--task", example("arc.jsonl")}, 1, {"no-such.gguf", "no such file"});
    write_file_atomic(dir_ / "bad.jsonl", "{\"question\": \"?\", \"answerKey\": \"A\"}\n");
    expect_failure({"eval", model, "--task", (dir_ / "bad.jsonl").string()}, 2, {"bad.jsonl", "line 1", "choices"});
    expect_failure({"eval", model, "--task", example("arc.jsonl"), "--chat"}, 2, {"--chat", "choices"});
    expect_failure({"eval", model, "--task", example("arc.jsonl"), "--shots", "12"}, 2, {"--shots 12", "--shots-file"});
    expect_failure({"eval", model, "--task", example("arc.jsonl"), "--shots-file", example("arc.jsonl")}, 2,
                   {"--shots-file", "--shots N"});
    expect_failure({"eval", model, "--task", example("arc.jsonl"), "--form", "mmlu"}, 2, {"arc.jsonl", "form mmlu"});
    expect_failure({"eval", model, "--device", "cpu", "--task", example("gsm8k.jsonl"), "--shots", "11"}, 1,
                   {"question 12", "642 tokens with its 11 examples", "give fewer --shots (the model was trained"});
    expect_failure({"eval", model, "--device", "cpu", "--task", example("gsm8k.jsonl"), "--shots", "11", "--chat"}, 1,
                   {"question 12", "with its 11 examples", "give fewer --shots (the model was trained"});
    expect_failure(
        {"eval", model, "--device", "cpu", "--task", example("arc.jsonl"), "--ctx", "256", "--shots", "10"}, 1,
        {"question 11", "with its 10 examples", "holds 256", "give fewer --shots, or raise --ctx (up to 512)"});
}

}  // namespace
}  // namespace shimmy::e2e
