// shimmy serve --models-file: each model as its table says.
#include "base/files.h"
#include "server_process.h"
#include "temp_dir.h"

#include <thread>

namespace shimmy::e2e {
namespace {

class ServeModelsFile : public testing::Test {
protected:
    std::string file(const std::string & text) {
        write_file_atomic(dir_ / "models.toml", text);
        return (dir_ / "models.toml").string();
    }

    static Json complete(const ServerProcess & server, const std::string & model) {
        return server.post("/v1/completions", {{"model", model}, {"prompt", "a"}, {"max_tokens", 2}}).json();
    }

    static Json status(const ServerProcess & server, const std::string & model) {
        return server.curl("/api/models/" + model + "/status").json();
    }

    const std::string path_ = "model = '" + tiny_moe().string() + "'\n";
    TempDir dir_;
};

TEST_F(ServeModelsFile, PinnedModelsStayAndOthersCome) {
    ServerProcess server({"--models-file",
                          file("[first]\n" + path_ + "ctx = 256\nparallel = 2\npinned = true\nno-warmup = true\n" +
                               "[second]\n" + path_ + "aliases = ['gpt-4o-mini', 'Best Model']\nno-warmup = true\n" +
                               "[third]\n" + path_ + "no-warmup = true\n"),
                          "--max-loaded", "2"});
    EXPECT_EQ(server.started()["n_ctx"], 256);
    EXPECT_EQ(server.started()["models"], Json({"first", "second", "third"}));
    EXPECT_EQ(status(server, "first")["n_parallel"], 2);
    EXPECT_EQ(status(server, "first")["pinned"], true);
    EXPECT_EQ(status(server, "second")["state"], "unloaded");
    EXPECT_EQ(complete(server, "GPT-4o-mini")["choices"].size(), 1U);
    EXPECT_EQ(complete(server, "best-model:latest")["choices"].size(), 1U);
    const Json second = status(server, "second");
    EXPECT_EQ(second["state"], "ready");
    EXPECT_EQ(second["n_ctx"], 512) << "as the command line says";
    EXPECT_EQ(second["n_loads"], 1);
    EXPECT_EQ(second["aliases"], Json({"gpt-4o-mini", "best-model"}));
    EXPECT_EQ(complete(server, "third")["choices"].size(), 1U);
    EXPECT_EQ(status(server, "second")["state"], "unloaded")
        << "it made room: the first, used less recently, is pinned";
    EXPECT_EQ(status(server, "first")["state"], "ready");
    EXPECT_EQ(status(server, "first")["n_loads"], 1);
}

TEST_F(ServeModelsFile, PinnedModelsKeepOthersOutWhereThereIsRoomForNoMore) {
    const std::string models = "[first]\n" + path_ + "pinned = true\nno-warmup = true\n[second]\n" + path_;
    const ServerProcess server({"--models-file", file(models), "--max-loaded", "1"});
    const HttpReply reply = server.post("/v1/completions", {{"model", "second"}, {"prompt", "a"}, {"max_tokens", 2}});
    EXPECT_EQ(reply.status, 503);
    EXPECT_NE(reply.body.find("second cannot be loaded: --max-loaded is 1"), std::string::npos) << reply.body;
    EXPECT_EQ(complete(server, "first")["choices"].size(), 1U);
    EXPECT_EQ(status(server, "second")["state"], "unloaded");
    expect_failure({"serve", "--models-file", file(models + "pinned = true\n"), "--max-loaded", "1"}, 2,
                   {"2 models are pinned, and --max-loaded is 1"});
}

TEST_F(ServeModelsFile, AModelThatNobodyUsesGoesAfterItsTime) {
    ServerProcess server({"--models-file", file("[brief]\n" + path_ + "keep-alive = '50ms'\nno-warmup = true\n" +
                                                "[lasting]\n" + path_ + "no-warmup = true\n")});
    EXPECT_EQ(complete(server, "lasting")["choices"].size(), 1U);
    EXPECT_EQ(complete(server, "brief")["choices"].size(), 1U);
    Json brief;
    for (int i = 0; i < 300 && brief["state"] != "unloaded"; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        brief = status(server, "brief");
    }
    EXPECT_EQ(brief["state"], "unloaded");
    EXPECT_EQ(brief["n_loads"], 1);
    EXPECT_EQ(status(server, "lasting")["state"], "ready");
    EXPECT_EQ(complete(server, "brief")["choices"].size(), 1U) << "and comes again";
}

TEST_F(ServeModelsFile, MistakesAreFoundBeforeAnythingIsLoaded) {
    expect_failure({"serve", "--models-file", file("[first]\n" + path_ + "tempo = 3\n")}, 2,
                   {"models.toml:3: there is no setting 'tempo'"});
}

}  // namespace
}  // namespace shimmy::e2e
