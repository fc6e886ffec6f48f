#include "lab/campaign/campaign.h"

#include "base/error.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::lab {
namespace {

constexpr const char * FILE_NAME = "/campaigns/demo.toml";

Campaign parse(const std::string & text) {
    return parse_campaign(text, FILE_NAME);
}

// Message of the UsageError that `text` must cause.
std::string error_of(const std::string & text) {
    try {
        parse(text);
    } catch (const UsageError & error) {
        return error.what();
    }
    ADD_FAILURE() << "accepted: " << text;
    return "";
}

void expect_error(const std::string & text, const std::string & place, const std::string & reason) {
    const std::string message = error_of(text);
    EXPECT_TRUE(message.starts_with(std::string(FILE_NAME) + ":" + place + ":")) << message;
    EXPECT_NE(message.find(reason), std::string::npos) << message;
}

const std::string MINIMAL = "name = \"demo\"\n[[models]]\npath = \"tiny_F16.gguf\"\n";

TEST(Campaign, DefaultsOfTheShortestFile) {
    const Campaign campaign = parse(MINIMAL);
    EXPECT_EQ(campaign.name, "demo");
    EXPECT_EQ(campaign.out_dir, "/campaigns/demo");
    ASSERT_EQ(campaign.models.size(), 1U);
    EXPECT_EQ(campaign.models[0].path, "/campaigns/tiny_F16.gguf");
    EXPECT_EQ(campaign.models[0].name, "tiny-f16");
    EXPECT_EQ(campaign.models[0].quantizations, (std::vector<std::string>{"F16", "Q8_0", "Q4_K_M", "Q2_K"}));
    ASSERT_EQ(campaign.placements.size(), 2U);
    EXPECT_EQ(campaign.placements[0], engine::Placement::baseline());
    EXPECT_EQ(campaign.placements[1], engine::Placement::offload());
    ASSERT_EQ(campaign.prompts.size(), 5U);
    EXPECT_EQ(campaign.prompts[0].id, "fibonacci");
    EXPECT_EQ(campaign.prompts[4].id, "quantum-computing");
    EXPECT_EQ(campaign.repeats, 1);
    EXPECT_EQ(campaign.device, "gpu");
}

TEST(Campaign, EveryKey) {
    const Campaign campaign = parse(R"(
name = "all"
out_dir = "../out"
quantizations = ["q8_0", "input"]
placements = ["baseline", "n_cpu_moe=3", "offload"]
repeats = 3
temperature = 1
seed = 4294967295
max_tokens = 64
n_ctx = 512
threads = 2
device = "Vulkan0"
timeout_s = 60
[[models]]
path = "/models/a.gguf"
name = "a"
[[models]]
path = "b.gguf"
quantizations = ["input"]
[[prompts]]
id = "hello"
text = "Say hello."
)");
    EXPECT_EQ(campaign.out_dir, "/out");
    EXPECT_EQ(campaign.models[0].quantizations, (std::vector<std::string>{"Q8_0", "input"}));
    EXPECT_EQ(campaign.models[0].path, "/models/a.gguf");
    EXPECT_EQ(campaign.models[1].quantizations, (std::vector<std::string>{"input"}));
    EXPECT_EQ(campaign.placements[1], engine::Placement::partial(3));
    EXPECT_EQ(campaign.repeats, 3);
    EXPECT_DOUBLE_EQ(campaign.temperature, 1.0);
    EXPECT_EQ(campaign.seed, 4294967295U);
    EXPECT_EQ(campaign.max_tokens, 64);
    EXPECT_EQ(campaign.n_ctx, 512);
    EXPECT_EQ(campaign.n_threads, 2);
    EXPECT_EQ(campaign.device, "Vulkan0");
    EXPECT_EQ(campaign.timeout_s, 60);
    ASSERT_EQ(campaign.prompts.size(), 1U);
    EXPECT_EQ(campaign.prompts[0].text, "Say hello.");
}

TEST(Campaign, ErrorsNameTheLine) {
    expect_error("name = \"demo\"\nname = 3\n", "2", "");
    expect_error("repeets = 3\n" + MINIMAL, "1", "unknown key 'repeets'");
    expect_error(MINIMAL + "naem = \"x\"\n", "4", "unknown key 'naem'");
    expect_error("repeats = \"3\"\n" + MINIMAL, "1", "whole number");
    expect_error("repeats = 0\n" + MINIMAL, "1", "must be 1 to 1000");
    expect_error("temperature = \"hot\"\n" + MINIMAL, "1", "must be a number");
    expect_error("temperature = -0.5\n" + MINIMAL, "1", "must be 0 to 10");
    expect_error("max_tokens = 1\n" + MINIMAL, "1", "'max_tokens' is 1");
    expect_error("seed = -1\n" + MINIMAL, "1", "'seed' is -1");
    expect_error("device = \"\"\n" + MINIMAL, "1", "'device' is empty");
}

TEST(Campaign, ErrorsOfLists) {
    expect_error("quantizations = []\n" + MINIMAL, "1", "empty list");
    expect_error("quantizations = \"Q2_K\"\n" + MINIMAL, "1", "must be a list");
    expect_error("quantizations = [\n  \"Q2_K\",\n  \"Q2_X\"]\n" + MINIMAL, "3", "Q2_X");
    expect_error("quantizations = [\"Q2_K\", \"q2_k\"]\n" + MINIMAL, "1", "listed twice");
    expect_error("quantizations = [4]\n" + MINIMAL, "1", "must be text");
    expect_error("languages = [\"en\", \"english\"]\n" + MINIMAL, "1", "language 'english': a code of ISO 639");
    expect_error("languages = [\"EN\"]\n" + MINIMAL, "1", "ISO 639");
    expect_error("languages = [\"xx\"]\n" + MINIMAL, "1", "ISO 639");
    expect_error("languages = [\"en\", \"en\"]\n" + MINIMAL, "1", "language 'en' is listed twice");
    expect_error("languages = []\n" + MINIMAL, "1", "empty list");
    expect_error("placements = [\"baseline\", \"cpu\"]\n" + MINIMAL, "1", "not a placement");
    expect_error("placements = [\"baseline\"]\n" + MINIMAL, "1", "one that offloads");
    expect_error("placements = [\"offload\"]\n" + MINIMAL, "1", "needs \"baseline\"");
    expect_error("prompts = []\n" + MINIMAL, "1", "empty list");
    expect_error("prompts = [\"hello\"]\n" + MINIMAL, "1", "must be tables");
    expect_error(MINIMAL + "[[prompts]]\nid = \"a\"\n", "4", "no 'text'");
    expect_error(MINIMAL + "[[prompts]]\nid = \"a/b\"\ntext = \"x\"\n", "4", "file name");
    expect_error(MINIMAL + "[[prompts]]\nid = \"a\"\ntext = \"x\"\n[[prompts]]\nid = \"a\"\ntext = \"y\"\n", "7",
                 "listed twice");
}

TEST(Campaign, KeysForHttpLoadAndDocuments) {
    const Campaign campaign = parse(R"(
name = "all"
modes = ["stream", "no-stream", "generate"]
creator = "Ada"
repo_owner = "ada"
layout = "per-model"
languages = ["en", "zh"]
[load]
clients = [1, 8]
duration_s = 5
[quality]
text = "eval.txt"
chunks = 20
[[models]]
path = "a.gguf"
base_model = "microsoft/Phi-3.5-MoE-instruct"
license = "mit"
languages = ["multilingual", "no", "yue"]
expected_architecture = "phimoe"
[[models]]
shape = "gpt-oss-20b"
layers = 2
sparse = true
[[models]]
shape = "my-shape.toml"
)");
    EXPECT_EQ(campaign.modes, (std::vector<Mode>{Mode::stream, Mode::no_stream, Mode::generate}));
    EXPECT_EQ(campaign.layout, CardLayout::per_model);
    EXPECT_EQ(campaign.models[0].languages, (std::vector<std::string>{"multilingual", "no", "yue"}));
    EXPECT_EQ(campaign.models[1].languages, (std::vector<std::string>{"en", "zh"}));
    EXPECT_EQ(campaign.load.clients, (std::vector<int>{1, 8}));
    EXPECT_EQ(campaign.load.duration_s, 5);
    EXPECT_EQ(campaign.quality.text, "/campaigns/eval.txt");
    EXPECT_EQ(campaign.quality.chunks, 20);
    EXPECT_EQ(campaign.models[0].base_model, "microsoft/Phi-3.5-MoE-instruct");
    EXPECT_EQ(campaign.models[0].expected_architecture, "phimoe");
    EXPECT_FALSE(campaign.models[0].is_synthetic());
    EXPECT_TRUE(campaign.models[1].is_synthetic());
    EXPECT_EQ(campaign.models[1].name, "gpt-oss-20b");
    EXPECT_EQ(campaign.models[1].n_layers, 2);
    EXPECT_EQ(campaign.models[2].shape, "/campaigns/my-shape.toml");
    EXPECT_EQ(campaign.models[2].name, "my-shape");
}

TEST(Campaign, ErrorsOfHttpLoadAndDocuments) {
    expect_error("modes = [\"http\"]\n" + MINIMAL, "1", "unknown mode 'http'");
    expect_error("modes = [\"stream\", \"stream\"]\n" + MINIMAL, "1", "listed twice");
    expect_error("layout = \"both\"\n" + MINIMAL, "1", "per-model");
    expect_error(MINIMAL + "[load]\nclients = [0]\n", "5", "must be 1 to");
    expect_error(MINIMAL + "[load]\nclients = [2, 2]\n", "5", "twice");
    expect_error(MINIMAL + "[load]\nusers = [2]\n", "5", "unknown key 'users'");
    expect_error(MINIMAL + "[quality]\nchunks = 3\n", "4", "no 'text'");
    expect_error(MINIMAL + "shape = \"gpt-oss-20b\"\n", "2", "'path'");
    expect_error(MINIMAL + "layers = 2\n", "2", "belong to a 'shape'");
    expect_error("load = 3\n" + MINIMAL, "1", "must be a table");
}

TEST(Campaign, PromptsOfAFile) {
    const TempDir dir;
    write_file_atomic(dir.path() / "prompts.toml", "[[prompts]]\nid = \"a\"\ntext = \"x\"\n");
    const std::string text = "prompts_file = \"prompts.toml\"\n" + MINIMAL;
    const Campaign campaign = parse_campaign(text, dir.path() / "c.toml");
    ASSERT_EQ(campaign.prompts.size(), 1U);
    EXPECT_EQ(campaign.prompts[0].id, "a");
    expect_error(text + "[[prompts]]\nid = \"a\"\ntext = \"y\"\n", "5", "not both");
    write_file_atomic(dir.path() / "prompts.toml", "[[prompts]]\nid = \"a\"\n");
    EXPECT_THROW(parse_campaign(text, dir.path() / "c.toml"), UsageError);
}

TEST(Campaign, ErrorsOfModels) {
    expect_error("name = \"demo\"\n", "1", "no [[models]]");
    expect_error("[[models]]\npath = \"a.gguf\"\n", "1", "no 'name'");
    expect_error("name = \"a b\"\n[[models]]\npath = \"a.gguf\"\n", "1", "'name'");
    expect_error("name = \"demo\"\n[[models]]\nname = \"a\"\n", "2", "'path'");
    expect_error("name = \"demo\"\n[[models]]\npath = \"x/a.gguf\"\n[[models]]\npath = \"y/A.gguf\"\n", "4",
                 "'a' is listed twice");
    expect_error("name = \"demo\"\n[[models]]\npath = \"a.gguf\"\nname = \"../a\"\n", "2", "file name");
}

TEST(Campaign, ALicenseOfItsOwnHasANameAndALink) {
    const Campaign file =
        parse(MINIMAL + "license = \"other\"\nlicense_name = \"own\"\nlicense_link = \"LICENSE-x\"\n");
    EXPECT_EQ(file.models[0].license_name, "own");
    EXPECT_EQ(file.models[0].license_link, "/campaigns/LICENSE-x");
    const std::string url = "https://example.org/license";
    const Campaign link =
        parse(MINIMAL + "license = \"other\"\nlicense_name = \"own\"\nlicense_link = \"" + url + "\"\n");
    EXPECT_EQ(link.models[0].license_link, url);
    expect_error(MINIMAL + "license = \"mit\"\nlicense_name = \"own\"\n", "2", "license = \"other\"");
}

TEST(Campaign, MissingFileIsNotAUsageError) {
    EXPECT_THROW(read_campaign("/no/such/campaign.toml"), Error);
}

TEST(Campaign, ExamplesAreValid) {
    const fs::path examples = fs::path(SHIMMY_SOURCE_DIR) / "examples";
    const Campaign tiny = read_campaign(examples / "tiny-moe.toml");
    EXPECT_EQ(tiny.models.size(), 1U);
    EXPECT_EQ(tiny.prompts.size(), 3U);
    EXPECT_DOUBLE_EQ(tiny.temperature, 0.0);
    const Campaign reference = read_campaign(examples / "reference-models.toml");
    EXPECT_EQ(reference.models.size(), 3U);
}

}  // namespace
}  // namespace shimmy::lab
