#include "lab/campaign/campaign.h"

#include "base/error.h"
#include "lab/campaign/campaign_template.h"
#include "lab/campaign/languages.h"
#include "lab/plan/quantized_models.h"
#include "lab/run/estimate.h"
#include "lab/run/predicted_vram.h"
#include "lab/run/real_hooks.h"
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

TEST(Campaign, Tasks) {
    const Campaign campaign = parse(MINIMAL + R"(
[[tasks]]
file = "data/arc.jsonl"
[[tasks]]
id = "five"
file = "gsm8k.jsonl"
form = "gsm8k"
use = "code"
shots = 5
shots_file = "train.jsonl"
limit = 100
max_tokens = 64
chat = true
n_ctx = 1024
timeout_s = 60
)");
    ASSERT_EQ(campaign.tasks.size(), 2U);
    const CampaignTask & plain = campaign.tasks[0];
    EXPECT_EQ(plain.id, "arc");
    EXPECT_EQ(plain.file, "/campaigns/data/arc.jsonl");
    EXPECT_EQ(plain.form + plain.use, "");
    EXPECT_EQ(plain.n_shots + plain.limit, 0U);
    EXPECT_EQ(plain.max_tokens, 256);
    EXPECT_EQ(plain.timeout_s, 86400);
    const CampaignTask & five = campaign.tasks[1];
    EXPECT_EQ(five.id, "five");
    EXPECT_EQ(five.form, "gsm8k");
    EXPECT_EQ(five.use, "code");
    EXPECT_EQ(five.n_shots, 5U);
    EXPECT_EQ(five.shots_file, "/campaigns/train.jsonl");
    EXPECT_EQ(five.limit, 100U);
    EXPECT_EQ(five.max_tokens, 64);
    EXPECT_TRUE(five.chat);
    EXPECT_EQ(five.n_ctx, 1024);
    EXPECT_EQ(five.timeout_s, 60);
}

TEST(Campaign, ErrorsOfTasks) {
    const std::string task = MINIMAL + "[[tasks]]\nfile = \"arc.jsonl\"\n";
    expect_error(MINIMAL + "[[tasks]]\nid = \"x\"\n", "4", "no 'file'");
    expect_error(task + "use = \"fun\"\n", "6", "must be one of chat, code, long-prompts, rag");
    expect_error(task + "form = \"quiz\"\n", "6", "must be one of hellaswag");
    expect_error(task + "shots_file = \"a.jsonl\"\n", "6", "needs 'shots'");
    expect_error(task + "shots = 1001\n", "6", "must be 0 to 1000");
    expect_error(task + "[[tasks]]\nfile = \"other/arc.jsonl\"\n", "6", "task id 'arc' is listed twice");
    expect_error(task + "id = \"a b\"\n", "4", "becomes a file name");
    expect_error(task + "lines = 3\n", "6", "lines");
    expect_error(MINIMAL + "[[prompts]]\nid = \"a\"\ntext = \"b\"\nuse = \"fun\"\n", "7", "must be one of chat");
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

// The smallest and the largest value of every number, and what lies beyond.
TEST(Campaign, BoundsOfNumbers) {
    struct Bounds {
        const char * key;
        const char * least;
        const char * below;
        const char * most;
        const char * above;
    };
    for (const Bounds & bounds : {Bounds{"repeats", "1", "0", "1000", "1001"},
                                  {"temperature", "0", "-0.1", "10", "10.1"},
                                  {"seed", "0", "-1", "4294967295", "4294967296"},
                                  {"max_tokens", "2", "1", "2147483647", "2147483648"},
                                  {"n_ctx", "1", "0", "2147483647", "2147483648"},
                                  {"threads", "0", "-1", "4096", "4097"},
                                  {"timeout_s", "1", "0", "604800", "604801"}}) {
        const auto with = [&](const char * value) { return fmt::format("{} = {}\n", bounds.key, value) + MINIMAL; };
        EXPECT_NO_THROW(parse(with(bounds.least))) << bounds.key;
        EXPECT_NO_THROW(parse(with(bounds.most))) << bounds.key;
        expect_error(with(bounds.below), "1", bounds.key);
        expect_error(with(bounds.above), "1", bounds.key);
    }
    const auto load = [](const char * line) { return MINIMAL + "[load]\n" + line + "\n"; };
    EXPECT_EQ(parse(load("clients = [1, 1024]")).load.clients, (std::vector<int>{1, 1024}));
    expect_error(load("clients = [1025]"), "5", "must be 1 to 1024");
    expect_error(load("duration_s = 0"), "5", "duration_s");
    expect_error(load("repeats = 1001"), "5", "repeats");
    EXPECT_EQ(parse(load("duration_s = 604800")).load.duration_s, 604800);
    expect_error(MINIMAL + "[quality]\ntext = \"t\"\nchunks = -1\n", "6", "chunks");
    const std::string shape = "name = \"demo\"\n[[models]]\nshape = \"gpt-oss-20b\"\n";
    expect_error(shape + "layers = 0\n", "4", "layers");
    EXPECT_EQ(parse(shape + "layers = 1\n").models[0].n_layers, 1);
}

TEST(Campaign, EveryDefault) {
    const Campaign campaign = parse(MINIMAL);
    EXPECT_EQ(campaign.modes, std::vector<Mode>{Mode::generate});
    EXPECT_TRUE(campaign.load.clients.empty());
    EXPECT_TRUE(campaign.quality.text.empty());
    EXPECT_EQ(campaign.layout, CardLayout::per_quant);
    EXPECT_EQ(campaign.temperature, 0.0);
    EXPECT_EQ(campaign.seed, 42U);
    EXPECT_EQ(campaign.max_tokens, 100);
    EXPECT_EQ(campaign.n_ctx, 4096);
    EXPECT_EQ(campaign.n_threads, 0);
    EXPECT_EQ(campaign.timeout_s, 3600);
    EXPECT_EQ(campaign.file, FILE_NAME);
    EXPECT_EQ(campaign.text, MINIMAL);
    EXPECT_TRUE(campaign.models[0].languages.empty());
    EXPECT_FALSE(campaign.models[0].sparse);
    EXPECT_EQ(campaign.models[0].n_layers, 0);
    EXPECT_EQ(campaign.models[0].source(), "/campaigns/tiny_F16.gguf");
    const Campaign load = parse(MINIMAL + "[load]\n");
    EXPECT_EQ(load.load.clients, (std::vector<int>{1, 4, 16}));
    EXPECT_EQ(load.load.duration_s, 30);
    EXPECT_EQ(load.load.repeats, 1);
    const Campaign quality = parse(MINIMAL + "[quality]\ntext = \"../t.txt\"\n");
    EXPECT_EQ(quality.quality.text, "/t.txt");
    EXPECT_EQ(quality.quality.chunks, 0);
    EXPECT_FALSE(quality.quality.check_offload);
    EXPECT_TRUE(parse(MINIMAL + "[quality]\ntext = \"t\"\ncheck_offload = true\n").quality.check_offload);
    EXPECT_EQ(parse("creator = \"Ada\"\nrepo_owner = \"ada\"\n" + MINIMAL).creator, "Ada");
    EXPECT_EQ(parse("creator = \"Ada\"\nrepo_owner = \"ada\"\n" + MINIMAL).repo_owner, "ada");
    EXPECT_EQ(parse("layout = \"per-quant\"\n" + MINIMAL).layout, CardLayout::per_quant);
}

TEST(Campaign, NamesThatBecomeFiles) {
    const auto named = [](const std::string & name) {
        return "name = \"" + name + "\"\n[[models]]\npath = \"a.gguf\"\n";
    };
    for (const char * name : {"a", "A-b_c.9", "0"})
        EXPECT_EQ(parse(named(name)).name, name);
    for (const char * name : {".a", "a/b", "a b", "ä", "a:b"})
        expect_error(named(name), "1", "'name'");
    const Campaign shapes = parse(
        "name = \"d\"\n[[models]]\nshape = \"olmoe-1b-7b\"\n[[models]]\nshape = \"x/Y.toml\"\n"
        "[[models]]\nshape = \"olmoe-1b-7b\"\nname = \"other\"\nsparse = true\n");
    EXPECT_EQ(shapes.models[0].name, "olmoe-1b-7b");
    EXPECT_EQ(shapes.models[0].source(), "olmoe-1b-7b");
    EXPECT_EQ(shapes.models[1].name, "y");
    EXPECT_EQ(shapes.models[2].name, "other");
    EXPECT_TRUE(shapes.models[2].sparse);
    EXPECT_TRUE(shapes.models[0].path.empty());
    expect_error("name = \"d\"\n[[models]]\npath = \"a.gguf\"\nsparse = true\n", "2", "belong to a 'shape'");
}

TEST(Campaign, WhatDescribesALicenseNeedsOther) {
    expect_error(MINIMAL + "license_link = \"https://x\"\n", "2", "license = \"other\"");
    expect_error(MINIMAL + "license_name = \"x\"\n", "2", "license = \"other\"");
    EXPECT_EQ(parse(MINIMAL + "license = \"other\"\n").models[0].license, "other");
    EXPECT_EQ(parse(MINIMAL + "license = \"mit\"\n").models[0].license_link, "");
}

TEST(Campaign, Words) {
    EXPECT_STREQ(to_string(Mode::generate), "generate");
    EXPECT_STREQ(to_string(Mode::stream), "stream");
    EXPECT_STREQ(to_string(Mode::no_stream), "no-stream");
    EXPECT_STREQ(to_string(Mode::load), "load");
    EXPECT_STREQ(to_string(CardLayout::per_quant), "per-quant");
    EXPECT_STREQ(to_string(CardLayout::per_model), "per-model");
    expect_error("modes = [\"load\"]\n" + MINIMAL, "1", "unknown mode 'load'");  // [load] asks for those
    EXPECT_EQ(parse("quantizations = [\"INPUT\"]\n" + MINIMAL).models[0].quantizations[0], "input");
}

TEST(Languages, CodesOfTheHub) {
    for (const char * code : {"en", "aa", "zu", "de", "yue", "multilingual", "code"})
        EXPECT_TRUE(is_language_code(code)) << code;
    for (const char * code : {"", "e", "EN", "xx", "english", "e1", "n ", " e", "zho1", "a b"})
        EXPECT_FALSE(is_language_code(code)) << code;
    using Codes = std::vector<std::string>;
    EXPECT_EQ(card_languages({}), Codes{"en"});
    EXPECT_EQ(card_languages({"Klingon"}), Codes{"en"});
    EXPECT_EQ(card_languages({"fr", "de", "fr", "x"}), (Codes{"fr", "de"}));
}

// What `lab init` writes is a campaign with the defaults that it names.
TEST(CampaignTemplate, IsACampaign) {
    const TempDir dir;
    const Campaign campaign = parse_campaign(campaign_template(dir / "my try.toml", {}), dir / "my try.toml");
    EXPECT_EQ(campaign.name, "my-try");
    EXPECT_EQ(campaign.out_dir, dir / "my-try");
    ASSERT_EQ(campaign.models.size(), 1U);
    EXPECT_EQ(campaign.models[0].shape, "olmoe-1b-7b");
    EXPECT_EQ(campaign.models[0].n_layers, 2);
    EXPECT_FALSE(campaign.models[0].sparse);
    EXPECT_EQ(campaign.repeats, 3);
    EXPECT_EQ(campaign.models[0].quantizations, (std::vector<std::string>{"Q4_K_M", "Q2_K"}));
    for (const auto & [file, name] : {std::pair{"a.toml", "a"},
                                      {".toml", "campaign"},
                                      {"a.b_c-d.toml", "a.b_c-d"},
                                      {"ä.toml", "--"},
                                      {"..x.toml", "campaign"}})
        EXPECT_EQ(parse_campaign(campaign_template(dir / file, {}), dir / file).name, name) << file;
}

TEST(CampaignTemplate, NamesModelsFromWhereItLies) {
    const TempDir dir;
    const std::string quoted = (dir / "my \"models\" \\ all/c.gguf").string();
    const fs::path file = dir / "campaigns/x.toml";
    const Campaign campaign =
        parse_campaign(campaign_template(file, {quoted, "phi-3.5-moe", (dir / "models/d.gguf").string()}), file);
    ASSERT_EQ(campaign.models.size(), 3U);
    EXPECT_EQ(campaign.models[0].path, quoted);
    EXPECT_EQ(campaign.models[1].shape, "phi-3.5-moe");
    EXPECT_EQ(campaign.models[2].path, dir / "models/d.gguf");
    EXPECT_NE(campaign_template(file, {(dir / "models/d.gguf").string()}).find("path = \"../models/d.gguf\""),
              std::string::npos);
    // Every line that is commented out is one of a campaign, too.
    std::string all = campaign_template(file, {"phi-3.5-moe"});
    for (const char * line : {"# creator", "# repo_owner", "# languages", "# [[prompts]]", "# id =", "# text = \"Write",
                              "# [load]", "# clients", "# duration_s", "# repeats"}) {
        const size_t at = all.find(line);
        ASSERT_NE(at, std::string::npos) << line;
        all.erase(at, 2);
    }
    const Campaign more = parse_campaign(all, file);
    EXPECT_EQ(more.creator, "Ada Lovelace");
    EXPECT_EQ(more.prompts[0].id, "stars");
    EXPECT_EQ(more.load.clients.size(), 3U);
}

// It runs as it is: no more context than any of its models has, and no more than is usual.
TEST(CampaignTemplate, ContextIsThatOfTheModels) {
    const TempDir dir;
    const fs::path file = dir / "x.toml";
    const std::string tiny = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/tiny-moe-f16.gguf";  // trained with 512
    const auto n_ctx = [&](const std::vector<std::string> & models) {
        return parse_campaign(campaign_template(file, models), file).n_ctx;
    };
    EXPECT_EQ(n_ctx({}), 2048);
    EXPECT_EQ(n_ctx({"phi-3.5-moe", (dir / "none.gguf").string()}), 2048);
    EXPECT_EQ(n_ctx({tiny}), 512);
    EXPECT_EQ(n_ctx({tiny, "phi-3.5-moe"}), 512);
    EXPECT_EQ(n_ctx({"phi-3.5-moe", tiny}), 512);
}

TEST(Campaign, MissingFileIsNotAUsageError) {
    EXPECT_THROW(read_campaign("/no/such/campaign.toml"), Error);
}

TEST(Campaign, ExamplesAreValid) {
    const fs::path examples = fs::path(SHIMMY_SOURCE_DIR) / "examples";
    const Campaign tiny = read_campaign(examples / "tiny-moe.toml");
    EXPECT_EQ(tiny.models.size(), 1U);
    EXPECT_EQ(tiny.prompts.size(), 1U);
    EXPECT_DOUBLE_EQ(tiny.temperature, 0.0);
    const Campaign reference = read_campaign(examples / "reference-models.toml");
    EXPECT_EQ(reference.models.size(), 3U);
}

// The three shapes at full depth, with the column of a card that people compare with: the predicted VRAM.
TEST(Campaign, TheReferenceShapesPlanAndTellTheirVram) {
    Campaign campaign = read_campaign(fs::path(SHIMMY_SOURCE_DIR) / "examples/reference-shapes.toml");
    const TempDir dir;
    campaign.out_dir = dir / "out";
    CampaignOptions options;
    options.dry_run = true;
    options.quiet = true;
    const Hooks hooks = real_hooks({});
    const CampaignPlan plan = plan_campaign(campaign, options, hooks);
    ASSERT_EQ(plan.variants.size(), 7U);
    for (const InputInfo & input : plan.inputs)
        EXPECT_TRUE(input.n_layer == 32 || input.n_layer == 24 || input.n_layer == 28) << input.n_layer;
    EXPECT_EQ(plan.runs.size(), 7U * 2U * 2U);
    const Estimate time = estimate(plan, variants_to_make(plan, options), runs_to_make(plan, options), {}, hooks);
    EXPECT_EQ(time.disk_bytes, 0U) << "sparse";
    EXPECT_LE(time.time_s(), 600.0) << "ten minutes, loading every file at its full size at 1 GiB/s";
    EXPECT_GT(time.time_s(), 300.0) << "holes are read, too";
    constexpr uint64_t CARD = 80ULL << 30;
    for (const PredictedVram & file : predict_vram(plan)) {
        ASSERT_EQ(file.vram_bytes.size(), 2U) << file.model << " " << file.quantization << ": " << file.reason;
        EXPECT_LT(file.vram_bytes[0], CARD);
        EXPECT_LT(file.vram_bytes[1] * 2, file.vram_bytes[0]) << "most of it is experts";
    }
}

TEST(Campaign, ImportanceMatrices) {
    const Campaign campaign = parse(MINIMAL +
                                    "imatrix = \"m.dat\"\n[[models]]\npath = \"b.gguf\"\nimatrix_text = "
                                    "\"c.txt\"\nimatrix_chunks = 9\n");
    EXPECT_EQ(campaign.models[0].imatrix, "/campaigns/m.dat");
    EXPECT_EQ(imatrix_path(campaign, campaign.models[0]), "/campaigns/m.dat");
    EXPECT_EQ(campaign.models[1].imatrix_text, "/campaigns/c.txt");
    EXPECT_EQ(campaign.models[1].imatrix_chunks, 9);
    EXPECT_EQ(imatrix_path(campaign, campaign.models[1]), "/campaigns/demo/models/b.imatrix.gguf");
    expect_error(MINIMAL + "imatrix = \"m.dat\"\nimatrix_text = \"c.txt\"\n", "2", "give one of the two");
    expect_error(MINIMAL + "imatrix_chunks = 3\n", "2", "needs 'imatrix_text'");
    expect_error("name = \"d\"\n[[models]]\nshape = \"phi-3.5-moe\"\nimatrix = \"m.dat\"\n", "2", "are random");
}

constexpr const char * A_MIX =
    "[[mixes]]\nname = \"down6\"\ntype = \"q4_k_m\"\n"
    "tensor_types = [\"ffn_down_exps=Q6_K\", \"attn=q8_0\"]\n";
constexpr const char * A_SEARCH = "[[mixes]]\nname = \"best\"\ntarget_size = \"8GiB\"\ntext = \"eval.txt\"\n";

TEST(Campaign, Mixes) {
    const std::string head = "name = \"demo\"\nquantizations = [\"Q8_0\", \"Down6\", \"best\"]\n";
    const Campaign campaign = parse(head + "[[models]]\npath = \"a.gguf\"\n" + A_MIX + A_SEARCH);
    EXPECT_EQ(campaign.models[0].quantizations, (std::vector<std::string>{"Q8_0", "down6", "best"}));
    ASSERT_EQ(campaign.mixes.size(), 2U);
    EXPECT_EQ(campaign.mixes[0].recipe(), "Q4_K_M with ffn_down_exps=q6_K, attn=q8_0");
    EXPECT_EQ(campaign.mixes[1].recipe(), "the best types for at most 8GiB, measured on 16 chunks of eval.txt");
    EXPECT_EQ(campaign.mixes[1].text, "/campaigns/eval.txt");
    EXPECT_EQ(find_mix(campaign, "Q8_0"), nullptr);
    EXPECT_EQ(find_mix(campaign, "best"), &campaign.mixes[1]);
    const InputInfo f16{"F16", false, 16, 4, 8192};
    const std::vector<Variant> variants = plan_variants(campaign, {f16});
    ASSERT_EQ(variants.size(), 3U);
    EXPECT_EQ(variants[1].path, "/campaigns/demo/models/a-down6.gguf");
    EXPECT_EQ(file_type(campaign, variants[0]), "Q8_0");
    EXPECT_EQ(file_type(campaign, variants[1]), "Q4_K_M");
    EXPECT_EQ(file_type(campaign, variants[2]), "");
}

TEST(Campaign, MixesThatAreNone) {
    const auto mix = [](const std::string & keys) { return MINIMAL + "[[mixes]]\n" + keys; };
    const std::string types = "type = \"Q4_K_M\"\ntensor_types = [\"a=Q6_K\"]\n";
    expect_error(mix(types), "4", "has no 'name'");
    expect_error(mix("name = \"a b\"\n" + types), "4", "becomes a file name");
    expect_error(mix("name = \"q8_0\"\n" + types), "4", "a quantization of llama.cpp has that name");
    expect_error(mix("name = \"Input\"\n" + types), "4", "has that name");
    expect_error(mix("name = \"m\"\n"), "4", "either 'type' and 'tensor_types', or 'target_size' and 'text'");
    expect_error(mix("name = \"m\"\ntype = \"Q4_K_M\"\n"), "4", "'tensor_types' for what differs");
    expect_error(mix("name = \"m\"\ntensor_types = [\"a=Q6_K\"]\n"), "4", "has a 'type'");
    expect_error(mix("name = \"m\"\n" + types + "target_size = \"8GiB\"\ntext = \"e\"\n"), "4", "a mix has either");
    expect_error(mix("name = \"m\"\n" + types + "text = \"e\"\n"), "4", "for it alone");
    expect_error(mix("name = \"m\"\n" + types + "chunks = 2\n"), "4", "for it alone");
    expect_error(mix("name = \"m\"\ntarget_size = \"8GiB\"\n"), "4", "needs 'text'");
    expect_error(mix("name = \"m\"\ntarget_size = \"8XB\"\ntext = \"e\"\n"), "4", "'target_size'");
    expect_error(mix("name = \"m\"\ntype = \"Q4_X\"\ntensor_types = [\"a=Q6_K\"]\n"), "4", "Q4_X");
    expect_error(mix("name = \"m\"\ntype = \"Q4_K_M\"\ntensor_types = [\"(=Q6_K\"]\n"), "7", "(");
    expect_error(mix("name = \"m\"\n" + types) + "[[mixes]]\nname = \"M\"\n" + types, "8", "is defined twice");
    expect_error(mix("name = \"m\"\ncolour = 1\n" + types), "6", "colour");
    expect_error("name = \"d\"\nquantizations = [\"none\"]\n[[models]]\npath = \"a\"\n" + std::string(A_MIX), "2",
                 "none");
    const Campaign shape =
        parse("name = \"d\"\nquantizations = [\"down6\"]\n[[models]]\nshape = \"phi-3.5-moe\"\n" + std::string(A_MIX));
    EXPECT_THROW((void)plan_variants(shape, {{"Q4_K_M", false, 16, 32, 131072}}), Error);
}

}  // namespace
}  // namespace shimmy::lab
