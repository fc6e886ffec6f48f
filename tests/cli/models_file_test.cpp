// Settings of `shimmy serve --models-file`, read and not served.
#include "cli/serve/models_file.h"

#include "base/error.h"
#include "base/files.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::cli {
namespace {

const std::string MODEL = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/tiny-moe-f16.gguf";

class ModelsFile : public ::testing::Test {
protected:
    std::vector<serve::ServedModel> read(const std::string & text) {
        const fs::path file = dir_ / "models.toml";
        write_file_atomic(file, text);
        return models_of_file(file.string(), arguments_, globals_);
    }

    std::string error_of(const std::string & text) {
        try {
            (void)read(text);
        } catch (const UsageError & error) {
            return error.what();
        }
        return "";
    }

    std::string table(const std::string & settings) { return "[moe]\nmodel = '" + MODEL + "'\n" + settings; }

    TempDir dir_;
    ModelArguments arguments_;
    Globals globals_;
};

TEST_F(ModelsFile, EveryTableHasItsOwnSettingsAndTheCommandLinesRest) {
    arguments_.load.n_ctx = 2048;
    arguments_.load.n_threads = 3;
    arguments_.keep_alive = "10m";
    globals_.n_cpu_moe = 2;
    globals_.llama_args = {"--cache-reuse", "64"};
    const auto models = read("[Small_One]\nmodel = '" + MODEL +
                             "'\nctx = 512\nparallel = 4\nplacement = 'cpu-moe'\ncache-type-k = 'q8_0'\n"
                             "no-warmup = true\naliases = ['GPT 4o', 'b']\npinned = true\nkeep-alive = '-1s'\n"
                             "llama-args = ['--top-nsigma', '1']\n\n[other]\nmodel = '" +
                             MODEL + "'\nno-warmup = false\n");
    ASSERT_EQ(models.size(), 2U);
    const serve::ServedModel & other = models[0].name == "other" ? models[0] : models[1];
    const serve::ServedModel & small = models[0].name == "other" ? models[1] : models[0];
    EXPECT_EQ(small.name, "small-one");
    EXPECT_EQ(small.aliases, (std::vector<std::string>{"gpt-4o", "b"}));
    EXPECT_TRUE(small.is_pinned);
    EXPECT_TRUE(small.loads_at_start);
    EXPECT_EQ(small.path, MODEL);
    EXPECT_TRUE(small.has_experts);
    const serve::ModelOptions & options = small.options;
    EXPECT_EQ(options.load.n_ctx, 512U);
    EXPECT_EQ(options.load.n_parallel, 4U);
    EXPECT_EQ(options.load.n_threads, 3);
    EXPECT_FALSE(options.load.warm_up);
    EXPECT_EQ(options.load.placement, engine::Placement::offload());
    EXPECT_EQ(options.load.llama_args,
              (std::vector<std::string>{"--cache-type-k", "q8_0", "--cache-reuse", "64", "--top-nsigma", "1"}));
    EXPECT_FALSE(options.keep_alive) << "-1s: for ever";

    EXPECT_FALSE(other.is_pinned);
    EXPECT_FALSE(other.loads_at_start);
    EXPECT_EQ(other.options.load.n_ctx, 2048U);
    EXPECT_TRUE(other.options.load.warm_up);
    EXPECT_EQ(other.options.load.placement, engine::Placement::partial(2));
    EXPECT_EQ(other.options.keep_alive, std::chrono::minutes(10));
}

TEST_F(ModelsFile, ATtlIsAKeepAlive) {
    EXPECT_EQ(read(table("ttl = '1m30s'\n")).at(0).options.keep_alive, std::chrono::seconds(90));
    EXPECT_EQ(read(table("ttl = 300\n")).at(0).options.keep_alive, std::chrono::seconds(300));
    EXPECT_EQ(read(table("ttl = '0'\n")).at(0).options.keep_alive, std::chrono::seconds(0));
    EXPECT_FALSE(read(table("ttl = -1\n")).at(0).options.keep_alive) << "for ever";
}

TEST_F(ModelsFile, MistakesAreNamedWithTheirLine) {
    const auto expect = [&](const std::string & text, const std::string & part) {
        EXPECT_NE(error_of(text).find(part), std::string::npos) << part << " not in: " << error_of(text);
    };
    expect("", "models.toml: holds no models, written as [name]");
    expect("moe = 3\n", "models.toml:1: 'moe' must be a table");
    expect("[moe\n", "models.toml:1: ");
    expect(table("ctxx = 5\n"), "models.toml:3: there is no setting 'ctxx'; did you mean ctx?");
    expect(table("bind = '0.0.0.0:80'\n"), "models.toml:3: there is no setting 'bind'");
    expect(table("ctx = [5]\n"), "models.toml:3: 'ctx' must be text, a number, true or false");
    expect(table("parallel = 0\n"), "[moe] --parallel: ");
    expect(table("cpu-moe = true\nn-cpu-moe = 3\n"), "[moe] --cpu-moe excludes --n-cpu-moe");
    expect(table("aliases = 'x'\n"), "models.toml:3: 'aliases' must be a list");
    expect(table("keep-alive = 'soon'\n"), "--keep-alive: 'soon' is no duration");
    expect("[moe]\nmodel = '/nowhere.gguf'\n", "models.toml:2: [moe] ");
    expect(table("aliases = ['moe']\n"), "'moe' names two models");
    expect(table("[b]\nmodel = '" + MODEL + "'\naliases = ['MOE']\n"), "'moe' names two models");
}

}  // namespace
}  // namespace shimmy::cli
