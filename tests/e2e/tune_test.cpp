// shimmy tune, and the commands that use what it wrote.
#include "base/files.h"
#include "program.h"
#include "server_process.h"
#include "temp_dir.h"
#include "tune/profile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace shimmy::e2e {
namespace {

// Profiles of their own for every test.
class TuneCommand : public testing::Test {
protected:
    TuneCommand() { setenv("XDG_CONFIG_HOME", config_.path().c_str(), 1); }
    ~TuneCommand() override { unsetenv("XDG_CONFIG_HOME"); }

    // What `shimmy --version` says.
    static tune::Versions versions() {
        const Json document =
            shimmy_json({"bench", tiny_moe().string(), "-p", "1", "-n", "0", "-r", "1", "--no-warmup"});
        return {document.at("shimmy_version"), document.at("llama_cpp_version")};
    }

    // Two threads' worth of choices for the embedded model on this machine.
    void write_profile(std::vector<std::string> given = {}) {
        tune::Profile profile;
        profile.model = tune::identify(tiny_moe());
        profile.machine = tune::this_machine();
        profile.versions = versions();
        profile.goal = "chat";
        profile.tuned_at = "2026-11-29T12:00:00Z";
        profile.given = std::move(given);
        profile.n_ctx = 512;
        profile.choices = {{"threads", "3", {"--threads", "3"}, 1.2},
                           {"kv-cache", "q8_0", {"--cache-type-k", "q8_0", "--cache-type-v", "q8_0"}, 1.1},
                           {"plugin", "off", {"--moe-backend", "off"}, 1.1}};
        tune::save(profile, tune::profiles_dir());
    }

    static ProcessResult generate(const std::vector<std::string> & more) {
        std::vector<std::string> args{"generate", tiny_moe().string(), "Hello", "-n", "2", "--json"};
        args.insert(args.end(), more.begin(), more.end());
        return shimmy(args);
    }

    TempDir config_;
};

const char * const LINE =
    "profile: threads 3, kv-cache q8_0, plugin off (shimmy tune --for chat, 2026-11-29; "
    "--no-profile leaves them out)\n";

TEST_F(TuneCommand, GenerateUsesTheProfileAndSaysSo) {
    write_profile();
    const ProcessResult result = generate({});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.err.find(LINE), std::string::npos) << result.err;
    const Json document = Json::parse(result.out);
    EXPECT_EQ(document["n_threads"], 3);
    EXPECT_EQ(document["moe_backend"], false);
    EXPECT_EQ(document["llama_args"], (Json{"--cache-type-k", "q8_0", "--cache-type-v", "q8_0"}));
}

TEST_F(TuneCommand, OptionsOnTheCommandLineWin) {
    write_profile();
    // Before the command's name, in llama.cpp's spelling, and behind "--", too.
    for (const std::vector<std::string> & more :
         std::vector<std::vector<std::string>>{{"--threads", "1", "--flash-attn", "on"},
                                               {"-t", "1", "-fa", "on"},
                                               {"--threads", "1", "--", "-fa", "on"}}) {
        const ProcessResult result = generate(more);
        ASSERT_EQ(result.exit_code, 0) << result.err;
        EXPECT_NE(result.err.find("profile: plugin off (shimmy tune"), std::string::npos) << result.err;
        const Json document = Json::parse(result.out);
        EXPECT_EQ(document["n_threads"], 1);
        EXPECT_EQ(document["llama_args"], (Json{more.size() == 4 ? "--flash-attn" : "-fa", "on"}));
    }
    const ProcessResult before = shimmy({"--moe-backend", "auto", "generate", tiny_moe().string(), "Hello", "-n", "1"});
    EXPECT_NE(before.err.find("profile: threads 3, kv-cache q8_0 (shimmy tune"), std::string::npos) << before.err;
}

TEST_F(TuneCommand, WhenNoProfileIsUsed) {
    write_profile();
    EXPECT_EQ(generate({"--no-profile"}).err.find("profile"), std::string::npos);
    const ProcessResult device = generate({"--device", "cpu"});
    EXPECT_NE(device.err.find("profile not used: it was measured without --device cpu (shimmy tune measures again"),
              std::string::npos)
        << device.err;
    EXPECT_EQ(device.err.find("threads 3"), std::string::npos);
    write_profile({"--device", "cpu", "--threads", "1"});
    const ProcessResult given = generate({"--device", "cpu"});
    EXPECT_NE(given.err.find("profile not used: it was measured with --threads 1"), std::string::npos) << given.err;
    EXPECT_NE(generate({}).err.find("profile: threads 3"), std::string::npos) << "the one of other devices stays";
    const ProcessResult all = generate({"--device", "cpu", "--threads", "1"});
    EXPECT_NE(all.err.find("profile: kv-cache q8_0, plugin off"), std::string::npos) << all.err;
}

TEST_F(TuneCommand, AServerUsesTheProfileOfEachModel) {
    write_profile({"--device", "cpu"});
    ServerProcess server({"--model", tiny_moe().string()});
    EXPECT_EQ(server.started()["n_threads"], 3);
    EXPECT_EQ(server.started()["moe_backend"], false);
    EXPECT_NE(server.process().err().find(": profile: threads 3, kv-cache q8_0, plugin off"), std::string::npos)
        << server.process().err();
    // A table's settings win over the profile, as the command line's do.
    const fs::path models = config_.path() / "models.toml";
    write_file_atomic(models, fmt::format("[tiny]\nmodel = \"{}\"\nthreads = 1\npinned = true\n", tiny_moe().string()));
    ServerProcess tables({"--models-file", models.string(), "--moe-backend", "auto"});
    EXPECT_EQ(tables.started()["n_threads"], 1);
    EXPECT_NE(tables.process().err().find(": profile: kv-cache q8_0 ("), std::string::npos) << tables.process().err();
    const ServerProcess without({"--model", tiny_moe().string(), "--no-profile", "--threads", "2"});
    EXPECT_EQ(without.started()["n_threads"], 2);
}

TEST_F(TuneCommand, Measures) {
    // One setting is left beside speculation, so that it is quick; whatever wins is what the document says.
    const std::vector<std::string> args{"tune",           tiny_moe().string(),
                                        "--minutes",      "0.5",
                                        "--threads",      "1",
                                        "--moe-backend",  "off",
                                        "--ubatch",       "256",
                                        "--gpu-backend",  "cpu",
                                        "--cache-type-k", "f16"};
    std::vector<std::string> with_load = args;
    with_load.insert(with_load.end(), {"--load-mode", "mmap", "--for", "batch"});
    expect_failure(with_load, 2, {"nothing is left to tune"});
    std::vector<std::string> measured{
        "tune", tiny_moe().string(), "--minutes", "0.5",         "--threads", "1", "--ubatch", "256", "--gpu-backend",
        "cpu",  "--cache-type-k",    "f16",       "--load-mode", "mmap"};
    const Json document = shimmy_json(measured);
    ASSERT_EQ(document["settings"].size(), 2U) << document.dump(1);
    const Json & plugin = document["settings"][0];
    EXPECT_EQ(plugin["setting"], "plugin");
    EXPECT_EQ(plugin["values"].size(), 2U);
    EXPECT_EQ(document["settings"][1]["setting"], "speculation");
    EXPECT_EQ(plugin["values"][0]["options"], Json::array());
    EXPECT_EQ(document["goal"]["name"], "chat");
    EXPECT_LE(document["goal"]["n_prompt"].get<int>() + document["goal"]["n_answer"].get<int>(), 512)
        << "what the model was trained for";
    EXPECT_EQ(document["profile"].is_null(), !document["is_better"].get<bool>());
    EXPECT_EQ(document["is_better"].get<bool>(), !document["options"].empty());
    const auto profiles = tune::profiles_dir();
    EXPECT_EQ(n_files(profiles), document["is_better"].get<bool>() ? 1U : 0U);
}

// Known before minutes of measuring, not after.
TEST_F(TuneCommand, AFolderThatTakesNoProfileIsToldFirst) {
    write_file_atomic(config_.path() / "shimmy", "a file in its place");
    expect_failure({"tune", tiny_moe().string(), "--gpu-backend", "cpu"}, 1,
                   {(config_.path() / "shimmy").string(), "--dry-run measures and writes no profile"});
}

TEST_F(TuneCommand, WrongInput) {
    expect_failure({"tune", "none.gguf"}, 1, {"none.gguf"});
    expect_failure({"tune", tiny_moe().string(), "--for", "speed"}, 2, {"speed"});
    expect_failure({"tune", tiny_moe().string(), "--minutes", "0"}, 2, {"--minutes"});
    expect_failure({"tune", tiny_moe().string(), "--cpu-moe", "--device", "none"}, 1, {"cannot be measured", "none"});
}

}  // namespace
}  // namespace shimmy::e2e
