// What people give: prompts from everywhere, models whose template is a trap, options that would do nothing.
#include "base/files.h"
#include "engine/rewritten_model.h"
#include "expected_file.h"
#include "program.h"
#include "server_process.h"
#include "temp_dir.h"
#include "terminal.h"

#include <fmt/ranges.h>

#include <gtest/gtest.h>

namespace shimmy::e2e {
namespace {

const std::string PROMPT = "A train travels 60 miles per hour for 2.5 hours. How far does it go?";

std::vector<std::string> generate(const std::string & model, std::vector<std::string> more) {
    std::vector<std::string> args{"generate", model,           "--device", "cpu",          "--threads",
                                  "1",        "--temperature", "0",        "--max-tokens", "8"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

std::string text_of(std::vector<std::string> more) {
    return shimmy_json(generate(tiny_moe().string(), std::move(more)))["text"];
}

class Prompts : public testing::Test {
protected:
    std::string file(const std::string & content) {
        const fs::path path = dir_ / "prompt.txt";
        write_file_atomic(path, content);
        return path.string();
    }
    // With the file on standard input.
    ProcessResult piped(const std::string & file, std::vector<std::string> more) {
        std::vector<std::string> args = generate(tiny_moe().string(), std::move(more));
        args.insert(args.begin(), {"sh", "-c", "f=\"$1\"; shift; exec \"$0\" \"$@\" <\"$f\"", SHIMMY_PROGRAM, file});
        return run_process(args, RUN_TIMEOUT);
    }

    TempDir dir_;
};

TEST_F(Prompts, ComeFromEverywhereAndAreTheSame) {
    const std::string expected = text_of({"--prompt", PROMPT});
    EXPECT_EQ(text_of({PROMPT}), expected);
    EXPECT_EQ(text_of({"--prompt-file", file(PROMPT)}), expected);
    EXPECT_EQ(text_of({"--prompt-file", file("\xEF\xBB\xBF" + PROMPT)}), expected) << "a byte order mark is no text";
    for (const std::vector<std::string> & how :
         {std::vector<std::string>{"--prompt-file", "-"}, {"--prompt", "-"}, {"-"}, {}}) {
        EXPECT_EQ(piped(file(PROMPT), how).out, expected) << fmt::format("{}", fmt::join(how, " "));
        EXPECT_EQ(piped(file("\xEF\xBB\xBF" + PROMPT), how).out, expected);
    }
}

TEST_F(Prompts, ThatAreNoneAreNamed) {
    const std::string model = tiny_moe().string();
    expect_failure(generate(model, {"--prompt-file", file("")}), 2, {"--prompt-file: ", "prompt.txt holds no prompt"});
    expect_failure(generate(model, {"--prompt-file", file("\xEF\xBB\xBF")}), 2, {"prompt.txt holds no prompt"});
    expect_failure(generate(model, {"--prompt-file", file(std::string("\xFF\xFEh\0i\0", 6))}), 1,
                   {"prompt.txt: is UTF-16", "iconv"});
    expect_failure(generate(model, {"--prompt-file", (dir_ / "gone").string()}), 1, {"gone: no such file"});
    expect_failure(generate(model, {"--prompt-file", dir_.path().string()}), 1, {"is a folder, not a file"});
    expect_failure(generate(model, {"--prompt-file", "/dev/zero"}), 1, {"/dev/zero: is larger than 1 GiB"});
    for (const std::vector<std::string> & how :
         {std::vector<std::string>{"--prompt-file", "-"}, {"--prompt", "-"}, {}}) {
        const ProcessResult empty = piped(file(""), how);
        EXPECT_EQ(empty.exit_code, 2);
        EXPECT_NE(empty.err.find("standard input holds no prompt"), std::string::npos) << empty.err;
    }
}

TEST_F(Prompts, ThatDoNotComeCanBeInterrupted) {
    std::vector<std::string> args = generate(tiny_moe().string(), {});
    const std::string script =
        "mkfifo \"$1\"; exec 3<>\"$1\"; shift; exec timeout --preserve-status -s INT 1 \"$0\" \"$@\" <&3";
    args.insert(args.begin(), {"sh", "-c", script, SHIMMY_PROGRAM, (dir_ / "pipe").string()});
    const ProcessResult result = run_process(args, RUN_TIMEOUT);
    EXPECT_EQ(result.exit_code, 130) << result.err;
    EXPECT_EQ(result.err, "shimmy: interrupted\n");
}

TEST_F(Prompts, ASystemMessageNeedsATemplate) {
    expect_failure(generate(tiny_moe().string(), {"--raw", "--system", "Be brief.", PROMPT}), 2, {"--raw", "--system"});
    const std::string bare =
        engine::RewrittenModel(tiny_moe()).remove("tokenizer.chat_template").write(dir_ / "bare.gguf");
    expect_failure(generate(bare, {"--system", "Be brief.", PROMPT}), 2, {"bare.gguf", "no chat template", "--system"});
    EXPECT_EQ(shimmy(generate(bare, {PROMPT})).exit_code, 0);
}

TEST_F(Prompts, TwoBeginningsOfATextAreTold) {
    const auto warned = [](const std::string & prompt) {
        const ProcessResult result = shimmy(generate(tiny_moe().string(), {"--raw", "--prompt", prompt}));
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return result.err.find("the token that begins a text") != std::string::npos;
    };
    EXPECT_TRUE(warned("<|bos|>Hello"));
    EXPECT_FALSE(warned("Hello<|bos|>"));
    EXPECT_FALSE(warned("Hello"));
    EXPECT_EQ(shimmy(generate(tiny_moe().string(), {PROMPT})).err.find("warning"), std::string::npos)
        << "the template of the model writes none of its own";
}

TEST_F(Prompts, BeyondTheContextGetAdviceThatWorks) {
    std::string text;
    for (int i = 0; i < 100; ++i)
        text += PROMPT;
    expect_failure(generate(tiny_moe().string(), {"--prompt-file", file(text)}), 1,
                   {"the context holds 512", "the model was trained for no more"});
    expect_failure(generate(tiny_moe().string(), {"--ctx", "256", "--prompt-file", file(text)}), 1,
                   {"the context holds 256", "raise --ctx (up to 512)"});
}

// A program that comes with the model: it may neither hang nor take all memory, and what does without it goes on.
TEST(Templates, WithoutEndAreStopped) {
    const TempDir dir;
    engine::RewrittenModel model(tiny_moe());
    model.set("tokenizer.chat_template", "{% for i in range(999999999) %}x{% endfor %}");
    const std::string path = model.write(dir / "endless.gguf");
    expect_failure({"chat", path, "--device", "cpu", PROMPT}, 1,
                   {"endless.gguf: its chat template takes more than 10 s or 2 GiB", "--raw"});
    const ProcessResult json = shimmy(generate(path, {PROMPT, "--json"}));
    EXPECT_EQ(json.exit_code, 1);
    const Json error = Json::parse(json.out, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(error.is_object() && error.contains("error")) << json.out;
    EXPECT_EQ(error["error"]["exit_code"], 1);
    EXPECT_EQ(shimmy(generate(path, {"--raw", PROMPT})).exit_code, 0);
    EXPECT_EQ(shimmy({"probe", path, "--device", "cpu"}).exit_code, 0);
}

TEST(Templates, ThatCallThemselvesAreALine) {
    const TempDir dir;
    engine::RewrittenModel model(tiny_moe());
    model.set("tokenizer.chat_template", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}");
    expect_failure(generate(model.write(dir / "deep.gguf"), {PROMPT}), 1, {"deep.gguf: "});
}

TEST(Tokenizers, ThatDoNotSayHowTheySplitAreTold) {
    const TempDir dir;
    const std::string path = engine::RewrittenModel(tiny_moe()).remove("tokenizer.ggml.pre").write(dir / "old.gguf");
    const ProcessResult result = shimmy(generate(path, {PROMPT}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.err.find("old.gguf: does not say how its tokenizer splits text"), std::string::npos) << result.err;
    EXPECT_EQ(shimmy_json({"inspect", path})["weaknesses"].size(), 1U);
    EXPECT_EQ(shimmy_json({"inspect", tiny_moe().string()})["weaknesses"].size(), 0U);
    EXPECT_NE(shimmy({"inspect", path}).out.find("warning: does not say"), std::string::npos);
}

TEST(ExpertCache, ThatCannotBeIsRefusedOrTold) {
    const std::string model = tiny_moe().string();
    for (const std::vector<std::string> & args :
         {generate(model, {PROMPT, "--moe-backend", "off", "--moe-cache", "1GiB"}),
          {"serve", model, "--moe-backend", "off", "--moe-cache", "1GiB"},
          {"probe", model, "--moe-backend", "off", "--moe-cache", "1GiB"}})
        expect_failure(args, 2, {"--moe-cache 1GiB: ", "--moe-backend off"});
    EXPECT_EQ(shimmy(generate(model, {PROMPT, "--moe-backend", "off", "--moe-cache", "off"})).exit_code, 0);
    const ProcessResult on_cpu = shimmy(generate(model, {PROMPT, "--moe-cache", "1GiB"}));
    EXPECT_EQ(on_cpu.exit_code, 0);
    EXPECT_NE(on_cpu.err.find("--moe-cache 1GiB: there is no cache: the model runs on the CPU alone"),
              std::string::npos)
        << on_cpu.err;
    EXPECT_EQ(shimmy(generate(model, {PROMPT})).err.find("warning"), std::string::npos);
}

TEST(Loading, IsShownOnATerminalAndGoneAfterwards) {
    const std::string line = "loading tiny-moe-f16.gguf: ";
    Terminal terminal(generate(tiny_moe().string(), {PROMPT}));
    EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
    const std::string & screen = terminal.screen();
    const size_t shown = screen.find(line);
    ASSERT_NE(shown, std::string::npos) << screen;
    EXPECT_NE(screen.find('%', shown), std::string::npos);
    const size_t last = screen.rfind(line);
    const size_t cleared = screen.find("\r\x1b[K", last);
    ASSERT_NE(cleared, std::string::npos);
    EXPECT_EQ(screen.substr(last, cleared - last).find('\n'), std::string::npos) << "one line";
    EXPECT_NE(screen.find("prompt tokens", cleared), std::string::npos);

    EXPECT_EQ(shimmy(generate(tiny_moe().string(), {PROMPT})).err.find("loading"), std::string::npos);
    Terminal json(generate(tiny_moe().string(), {PROMPT, "--json"}));
    EXPECT_EQ(json.wait(), 0);
    EXPECT_EQ(json.screen().find(line), std::string::npos) << json.screen();
}

// What the makers of a model recommend is used as llama.cpp's programs use it: where nothing else is asked for.
TEST(Sampling, IsThatOfTheFileWhereNothingElseIsAskedFor) {
    const TempDir dir;
    const std::string model = (dir / "m.gguf").string();
    engine::RewrittenModel(tiny_moe())
        .set("general.sampling.temp", 0.25F)
        .set("general.sampling.top_k", 7U)
        .set("general.sampling.top_p", 7.0F)  // no share
        .set("general.sampling.min_p", "much")
        .write(model);
    const auto run = [&](const std::vector<std::string> & more) {
        std::vector<std::string> args{"generate", model, "Hello", "-n", "1", "--device", "cpu", "--json"};
        args.insert(args.end(), more.begin(), more.end());
        return shimmy(args);
    };
    const ProcessResult plain = run({});
    const Json document = Json::parse(plain.out);
    EXPECT_EQ(document["temperature"], 0.25);
    EXPECT_NE(plain.err.find("sampling as the model's file recommends: --temperature 0.25 --top-k 7\n"),
              std::string::npos)
        << plain.err;
    const ProcessResult own = run({"--temperature", "0.5", "--top-k", "40"});
    EXPECT_EQ(Json::parse(own.out)["temperature"], 0.5);
    EXPECT_EQ(own.err.find("recommends"), std::string::npos) << own.err;
    EXPECT_EQ(shimmy_json({"inspect", model})["sampling"], "--temperature 0.25 --top-k 7");
    EXPECT_EQ(shimmy_json({"inspect", tiny_moe().string()})["sampling"], nullptr);
    // llama.cpp's server takes the same from the file.
    const ServerProcess server({"--model", model});
    const Json settings = server.curl("/props").json()["default_generation_settings"]["params"];
    EXPECT_NEAR(settings["temperature"].get<double>(), 0.25, 1e-6);
    EXPECT_EQ(settings["top_k"], 7);
}

TEST(Inspect, EveryLineOfTheEmbeddedModel) {
    const TempDir dir;
    expect_as("e2e/expected/inspect.txt", shimmy({"inspect", tiny_moe().string()}).out, dir.path());
}

TEST(PromptFormat, IsWhatTheServerMakesOfAConversation) {
    const Json inspected = shimmy_json({"inspect", tiny_moe().string(), "--prompt-format"});
    const ServerProcess server({"--model", tiny_moe().string()});
    const Json messages{{{"role", "system"}, {"content", "{system prompt}"}},
                        {{"role", "user"}, {"content", "{prompt}"}}};
    const std::string prompt = server.post("/apply-template", {{"messages", messages}}).json()["prompt"];
    const std::string format = inspected["prompt_format"];
    EXPECT_TRUE(format.ends_with(prompt)) << format << "\nserver: " << prompt;
    EXPECT_LE(format.size(), prompt.size() + 16) << "at most the first token in front";
    EXPECT_NE(prompt.find("{prompt}"), std::string::npos);
    EXPECT_FALSE(shimmy_json({"inspect", tiny_moe().string()}).contains("prompt_format"));

    const TempDir dir;
    const std::string model = (dir / "m.gguf").string();
    const auto with_template = [&](const std::string & text) {
        engine::RewrittenModel(tiny_moe()).set("tokenizer.chat_template", text).write(model);
        return std::vector<std::string>{"inspect", model, "--prompt-format"};
    };
    expect_failure(with_template("{{ nonsense( }}"), 1, {model, "chat template"});
    expect_failure(with_template(""), 1, {model, "no chat template"});
    const std::string no_system =
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "[{{ m.content }}]{% endfor %}";
    std::vector<std::string> args = with_template(no_system);
    EXPECT_EQ(shimmy_json(args)["prompt_format"], "[{system prompt}\n{prompt}]") << "as llama.cpp helps itself";
}

// `shimmy list` prints the name; every command that takes a model knows it.
TEST(ModelNames, AreTheSameInEveryCommand) {
    const TempDir dir;
    const TempDir here;
    const fs::path models = dir / "models";
    fs::create_directory(models);
    const fs::path file = models / "tiny-moe-f16.gguf";
    fs::create_symlink(tiny_moe(), file);
    const std::string name = shimmy_json({"list", "--model-dirs", models.string()})["models"][0]["name"];
    const auto named = [&](std::vector<std::string> args) {
        args.insert(args.end(), {"--model-dirs", models.string(), "--json"});
        args.insert(args.begin(), {"sh", "-c", "cd \"$0\" && exec \"$@\"", here.path().string(), SHIMMY_PROGRAM});
        const ProcessResult result = run_process(args, RUN_TIMEOUT);
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    };
    EXPECT_EQ(named({"inspect", name})["size_bytes"], fs::file_size(tiny_moe()));
    EXPECT_EQ(named({"plan", "--model", name, "--gpu-backend", "cpu"})["disk_bytes"], fs::file_size(tiny_moe()));
    EXPECT_EQ(named({"probe", name, "--gpu-backend", "cpu"})["name"], name);
    const Json quality = named({"quality", "--base", name, "--text", EVAL, "--chunks", "1", "--gpu-backend", "cpu"});
    EXPECT_EQ(quality["base"]["file"], file.string());
    // What is made of a name belongs to who asked, not into a folder of models that may be Ollama's.
    EXPECT_EQ(named({"quantize", name, "--types", "Q8_0"})["files"][0]["path"], "./tiny-moe-Q8_0.gguf");
    EXPECT_EQ(named({"imatrix", name, "--text", EVAL, "--chunks", "1", "--gpu-backend", "cpu"})["path"],
              "./tiny-moe-f16.imatrix.gguf");
    EXPECT_EQ(n_files(models), 1U);
    EXPECT_EQ(n_files(here.path()), 2U);
    expect_failure({"inspect", "tiny-mow", "--model-dirs", models.string()}, 1, {"did you mean " + name});
}

}  // namespace
}  // namespace shimmy::e2e
