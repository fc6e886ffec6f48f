// What of a campaign goes where and what stands against it, for a campaign of several models whose runs are given.
#include "base/error.h"
#include "lab/given_campaign.h"
#include "publish/publisher.h"
#include "publish/record.h"
#include "report/documents/publication.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::publish {
namespace {

using Names = std::vector<std::string>;

class PublicationPlanOf : public ::testing::Test {
protected:
    PublicationPlanOf() : campaign_(given_plan(dir_.path())) {
        options_.owner = "ada";
        options_.max_file_bytes = 1000;
        options_.rerun_command = "shimmy lab run given.toml";
        options_.quiet = true;
        for (size_t i = 0; i < campaign_.variants.size(); ++i)
            write_model(i, campaign_.variants[i].path);
        write_quality();
    }

    void write_model(size_t variant, const fs::path & file) {
        fs::create_directories(file.parent_path());
        const std::string content = "file " + std::to_string(variant);
        write_file_atomic(file, content);
        campaign_.variants[variant].path = file;
        campaign_.sha256[variant] = sha256_hex(content);
    }
    void write_quality() const {
        fs::create_directories(dir_ / "out/quality");
        for (const char * model : {"alpha", "beta"})
            write_file_atomic(dir_ / "out/quality" / (std::string(model) + ".json"),
                              given_quality(campaign_, model).dump());
    }
    PublicationPlan plan() {
        write_quality();
        return plan_publication(campaign_, options_);
    }
    Names ids() {
        Names ids;
        for (const PlannedRepository & repository : plan().repositories) {
            ids.push_back(repository.card.id);
            for (const PlannedModel & model : repository.models)
                ids.back() += " " + model.quantization;
        }
        return ids;
    }
    std::string usage_error() {
        try {
            plan();
        } catch (const UsageError & error) {
            return error.what();
        }
        return "";
    }

    TempDir dir_;
    lab::CampaignPlan campaign_;
    PlanOptions options_;
};

TEST_F(PublicationPlanOf, ARepositoryPerFile) {
    EXPECT_EQ(ids(), (Names{"ada/alpha-Q8_0-GGUF Q8_0", "ada/alpha-Q4_K_M-GGUF Q4_K_M", "ada/alpha-Q2_K-GGUF Q2_K",
                            "ada/beta-MXFP4_MOE-GGUF MXFP4_MOE"}))
        << "gamma's weights are random";
    const PublicationPlan whole = plan();
    EXPECT_EQ(whole.obstacles, Names{});
    EXPECT_EQ(whole.notes,
              (Names{"shimmy cannot tell whether the license of beta (beta's own) allows publishing it: read "
                     "https://example.org/license"}));
    const PlannedModel & model = whole.repositories[2].models.at(0);
    EXPECT_EQ(model.model_sha256, sha256_hex("file 2"));
    EXPECT_EQ(model.files, std::vector<fs::path>{campaign_.variants[2].path});
    EXPECT_EQ(model.part_bytes, std::vector<uint64_t>{6});
    EXPECT_FALSE(model.to_be_split());
}

TEST_F(PublicationPlanOf, ARepositoryPerModel) {
    options_.layout = lab::CardLayout::per_model;
    EXPECT_EQ(ids(), (Names{"ada/alpha-GGUF Q8_0 Q4_K_M Q2_K", "ada/beta-GGUF MXFP4_MOE"}));
    EXPECT_EQ(plan().summary.campaign.layout, lab::CardLayout::per_model);
    options_.quantizations = {"Q2_K", "Q8_0"};
    EXPECT_EQ(ids(), (Names{"ada/alpha-GGUF Q8_0 Q2_K"}));
    options_.name = "mine";
    EXPECT_EQ(ids(), (Names{"ada/mine Q8_0 Q2_K"}));
}

TEST_F(PublicationPlanOf, ANameIsOneModels) {
    options_.name = "mine-GGUF";
    EXPECT_EQ(usage_error(),
              "--repo ada/mine-GGUF is one model's, and the campaign has alpha, beta: add --model NAME, or "
              "give --repo ada");
    options_.model = "alpha";
    EXPECT_EQ(ids(), (Names{"ada/mine-Q8_0-GGUF Q8_0", "ada/mine-Q4_K_M-GGUF Q4_K_M", "ada/mine-Q2_K-GGUF Q2_K"}));
    options_.name = "mine";
    options_.quantizations = {"Q2_K"};
    EXPECT_EQ(ids(), (Names{"ada/mine-Q2_K-GGUF Q2_K"}));
    options_.name = "mi--ne";
    EXPECT_NE(usage_error().find("'--'"), std::string::npos);
}

TEST_F(PublicationPlanOf, NothingChosenIsSaid) {
    const std::string none =
        "nothing of the campaign is to be published: --model and --quant choose nothing that it has";
    options_.model = "gamma";
    EXPECT_EQ(usage_error(), none);
    options_.model = "";
    options_.quantizations = {"Q6_K"};
    EXPECT_EQ(usage_error(), none);
    options_.quantizations = {};
    for (lab::CampaignModel & model : campaign_.campaign.models)
        model.shape = "olmoe-1b-7b";
    EXPECT_EQ(usage_error(),
              "nothing of the campaign is to be published: its models are synthetic, with random weights");
}

TEST_F(PublicationPlanOf, MissingRunsAreAnObstacle) {
    for (const size_t run : {0U, 1U, 2U, 3U})
        campaign_.results[run] = {lab::ResultState::absent, "not run yet", {}};
    const std::string all = campaign_.describe_run(0) + " (not run yet); " + campaign_.describe_run(1) +
                            " (not run yet); " + campaign_.describe_run(2) + " (not run yet)";
    EXPECT_EQ(plan().obstacles.at(0),
              "4 runs of the campaign failed or are missing: " + all + "; …: shimmy lab run given.toml");
    campaign_.results[3] = given_plan(dir_.path()).results[3];
    campaign_.results[1].state = lab::ResultState::failed;
    EXPECT_EQ(plan().obstacles.at(0),
              "3 runs of the campaign failed or are missing: " + all + ": shimmy lab run given.toml --retry-failed");
}

TEST_F(PublicationPlanOf, ReasonsOfSeveralCardsAreNamedOnce) {
    for (size_t i = 0; i < campaign_.runs.size(); ++i) {
        const lab::Run & run = campaign_.runs[i];
        if (run.variant == 1 && run.mode == lab::Mode::load)
            campaign_.results[i] = {lab::ResultState::failed, "full", {}};
    }
    const Names obstacles = plan().obstacles;
    ASSERT_EQ(obstacles.size(), 2U) << ::testing::PrintToString(obstacles);
    EXPECT_EQ(obstacles[1], "the card of alpha: Q4_K_M has not all its runs: shimmy lab run given.toml")
        << "load runs are runs";
}

// Who downloads one of several files chooses it by the type in its name.
TEST_F(PublicationPlanOf, AFileAmongSeveralSaysItsType) {
    write_model(2, dir_ / "out/models/alpha-small.gguf");
    EXPECT_EQ(plan().obstacles, Names{}) << "alone in its repository it need not";
    options_.layout = lab::CardLayout::per_model;
    EXPECT_EQ(
        plan().obstacles,
        (Names{fmt::format("{}: the name does not say Q2_K, and a repository with several files is chosen from by it: "
                           "rename the file and its path in the campaign",
                           (dir_ / "out/models/alpha-small.gguf").string())}));
    options_.quantizations = {"Q8_0", "Q2_K"};
    EXPECT_EQ(plan().obstacles.size(), 1U) << "two are several";
}

TEST_F(PublicationPlanOf, AFileAmongSeveralSaysNoOthersType) {
    options_.layout = lab::CardLayout::per_model;
    write_model(2, dir_ / "out/models/alpha-Q4_K_M_or_so-Q2_K.gguf");
    EXPECT_EQ(plan().obstacles, Names{});
    write_model(2, dir_ / "out/models/alpha-Q4_K_M-Q2_K.gguf");
    const Names obstacles = plan().obstacles;
    ASSERT_EQ(obstacles.size(), 1U) << ::testing::PrintToString(obstacles);
    EXPECT_NE(obstacles[0].find("alpha-Q4_K_M-Q2_K.gguf: the name says Q4_K_M, too"), std::string::npos)
        << obstacles[0];
}

TEST_F(PublicationPlanOf, OnlyTheFileThatWasMeasured) {
    const fs::path file = campaign_.variants[2].path;
    write_file_atomic(file, "another");
    EXPECT_EQ(
        plan().obstacles,
        (Names{fmt::format("{}: is not the file that was measured (its sha256 is {}…, the results have {}…): put that "
                           "file back, or measure this one: shimmy lab run given.toml",
                           file.string(), sha256_hex("another").substr(0, 12), sha256_hex("file 2").substr(0, 12))}));
    fs::remove(file);
    EXPECT_EQ(plan().obstacles, (Names{file.string() + ": is not there: shimmy lab run given.toml"}));
    // Its folder was moved: it is looked for where results lie.
    write_model(2, file);
    campaign_.variants[2].path = "/elsewhere/out/models/alpha-Q2_K.gguf";
    const PublicationPlan moved = plan();
    EXPECT_EQ(moved.obstacles, Names{});
    EXPECT_EQ(moved.repositories[2].models[0].files, std::vector<fs::path>{file});
}

TEST_F(PublicationPlanOf, PartsOfASplitModelStayAsTheyAre) {
    const fs::path first = dir_ / "out/models/alpha-Q2_K-00001-of-00002.gguf";
    const fs::path second = dir_ / "out/models/alpha-Q2_K-00002-of-00002.gguf";
    write_file_atomic(first, "first");
    write_file_atomic(second, "second part");
    campaign_.variants[2].path = first;
    campaign_.sha256[2] = sha256_hex(sha256_hex("first") + "  alpha-Q2_K-00001-of-00002.gguf\n" +
                                     sha256_hex("second part") + "  alpha-Q2_K-00002-of-00002.gguf\n");
    options_.max_file_bytes = 11;
    PublicationPlan parts = plan();
    EXPECT_EQ(parts.obstacles, Names{});
    EXPECT_EQ(parts.repositories[2].models[0].files, (std::vector<fs::path>{first, second}));
    EXPECT_EQ(parts.repositories[2].models[0].part_bytes, (std::vector<uint64_t>{5, 11}));
    EXPECT_FALSE(parts.repositories[2].models[0].to_be_split());
    options_.max_file_bytes = 10;
    parts = plan();
    ASSERT_EQ(parts.obstacles.size(), 1U);
    EXPECT_TRUE(parts.obstacles[0].starts_with(second.string() + ": is a part of a split model and larger"))
        << parts.obstacles[0];
}

TEST_F(PublicationPlanOf, SpeedsOfASoftwareDeviceAreNoted) {
    for (lab::StoredResult & result : campaign_.results)
        result.document["device"]["software"] = true;
    EXPECT_EQ(plan().notes.at(0), "the speeds are of a software device, not of a GPU; the card says so");
}

// --- the package

TEST_F(PublicationPlanOf, APackageIsTheCardAndItsFiles) {
    options_.layout = lab::CardLayout::per_model;
    const PublicationPlan whole = plan();
    const Package package = make_package(whole, whole.repositories[0], dir_ / "out", 1000, true, true);
    EXPECT_EQ(package.repo, "ada/alpha-GGUF");
    Names paths;
    for (const hub::NewFile & file : package.files) {
        paths.push_back(file.path);
        EXPECT_EQ(file.is_large, file.path.ends_with(".gguf")) << file.path;
        EXPECT_EQ(file.size_bytes, fs::file_size(file.file));
        EXPECT_EQ(file.sha256, sha256_hex(read_file(file.file)));
    }
    EXPECT_EQ(paths, (Names{"README.md", "quality-speed.svg", "quality-vram.svg", "quality.svg", "speed.svg",
                            "vram.svg", "alpha-Q8_0.gguf", "alpha-Q4_K_M.gguf", "alpha-Q2_K.gguf"}));
    EXPECT_TRUE(package.to_be_split.empty());
    EXPECT_EQ(package.files[0].file, dir_ / "out/publish/alpha-GGUF/README.md");
    EXPECT_TRUE(fs::exists(dir_ / "out/hashes.json"));
}

// People want to make other quantizations with it.
TEST_F(PublicationPlanOf, TheImportanceMatrixGoesWithWhatWasMadeWithIt) {
    const fs::path matrix = dir_ / "alpha.imatrix.gguf";
    campaign_.campaign.models[0].imatrix = matrix;
    options_.layout = lab::CardLayout::per_model;
    const PublicationPlan whole = plan();
    const auto last_file = [&](size_t repository) {
        return make_package(whole, whole.repositories[repository], dir_ / "out", 1000, true, true).files.back();
    };
    EXPECT_EQ(last_file(0).path, "alpha-Q2_K.gguf") << "it is not there";
    write_file_atomic(matrix, "a matrix");
    const hub::NewFile file = last_file(0);
    EXPECT_EQ(file.path, "alpha.imatrix.gguf");
    EXPECT_EQ(file.sha256, sha256_hex("a matrix"));
    EXPECT_TRUE(file.is_large);
    EXPECT_NE(last_file(1).path, "alpha.imatrix.gguf") << "another model";
    PublicationPlan original = whole;
    original.summary.campaign.models[0].path = original.repositories[0].models[0].files[0];
    original.repositories[0].models.resize(1);
    EXPECT_NE(make_package(original, original.repositories[0], dir_ / "out", 1000, true, true).files.back().path,
              "alpha.imatrix.gguf")
        << "the file as it was";
}

TEST_F(PublicationPlanOf, TwoFilesOfOneNameAreNoPackage) {
    write_model(1, dir_ / "Q4_K_M/alpha-Q8_0-Q4_K_M.gguf");
    write_model(0, dir_ / "Q8_0/alpha-Q8_0-Q4_K_M.gguf");
    options_.layout = lab::CardLayout::per_model;
    const PublicationPlan whole = plan();
    try {
        make_package(whole, whole.repositories[0], dir_ / "out", 1000, true, true);
        ADD_FAILURE() << "one would overwrite the other";
    } catch (const Error & error) {
        EXPECT_EQ(std::string(error.what()),
                  "ada/alpha-GGUF: two of its files are named alpha-Q8_0-Q4_K_M.gguf: rename one, "
                  "or choose with --quant");
    }
}

// --- records

TEST_F(PublicationPlanOf, ARecordSaysWhatWasSeen) {
    options_.quantizations = {"Q2_K"};
    options_.model = "alpha";
    const PublicationPlan one = plan();
    Package package;
    package.repo = "ada/x";
    package.files = {{"README.md", "/r", 5, "sha", false}};
    Outcome outcome;
    outcome.commit = {"oid", "http://h/commit", "try/it", ""};
    outcome.checks = {{"a", true, ""}, {"b", false, "why"}};
    EXPECT_FALSE(outcome.verified());
    const Json record = record_of(one.repositories[0], package, outcome, "http://h");
    EXPECT_EQ(record, (Json{{"repo", "ada/x"},
                            {"endpoint", "http://h"},
                            {"model", "alpha"},
                            {"revision", "try/it"},
                            {"commit", "oid"},
                            {"url", "http://h/ada/x/tree/try%2Fit"},
                            {"pull_request_url", nullptr},
                            {"files", {{{"path", "README.md"}, {"size_bytes", 5}, {"sha256", "sha"}}}},
                            {"measured", {{{"quantization", "Q2_K"}, {"model_sha256", sha256_hex("file 2")}}}},
                            {"checks",
                             {{{"what", "a"}, {"passed", true}, {"reason", nullptr}},
                              {{"what", "b"}, {"passed", false}, {"reason", "why"}}}}}));
    outcome.checks.pop_back();
    EXPECT_TRUE(outcome.verified());
    outcome.commit.pull_request_url = "http://h/pr/3";
    EXPECT_EQ(record_of(one.repositories[0], package, outcome, "http://h")["url"], "http://h/pr/3");
    outcome.commit = {"oid", "", "main", ""};
    EXPECT_EQ(record_of(one.repositories[0], package, outcome, "http://h")["url"], "http://h/ada/x");
}

TEST(PublicationRecords, OnePerPlace) {
    const TempDir dir;
    const auto record = [](const std::string & endpoint, const std::string & repo, const std::string & revision,
                           const std::string & commit) {
        return Json{{"repo", repo}, {"endpoint", endpoint}, {"revision", revision}, {"commit", commit}};
    };
    const auto commits = [&] {
        Names found;
        const Json document = Json::parse(read_file(dir / "publish.json"));
        for (const Json & entry : document["repositories"])
            found.push_back(entry.is_object() ? entry["commit"].get<std::string>() : entry.dump());
        return found;
    };
    write_record(dir.path(), record("e", "r", "main", "1"));
    write_record(dir.path(), record("e", "s", "main", "2"));
    write_record(dir.path(), record("e", "r", "b", "3"));
    write_record(dir.path(), record("f", "r", "main", "4"));
    EXPECT_EQ(commits(), (Names{"1", "2", "3", "4"}));
    write_record(dir.path(), record("e", "s", "main", "5"));
    EXPECT_EQ(commits(), (Names{"1", "5", "3", "4"}));
    for (const char * damaged : {"{", "[]", R"({"repositories": 3})"}) {
        write_file_atomic(dir / "publish.json", damaged);
        write_record(dir.path(), record("e", "r", "main", "6"));
        EXPECT_EQ(commits(), (Names{"6"})) << damaged;
    }
    write_file_atomic(dir / "publish.json", R"({"repositories": [3]})");
    write_record(dir.path(), record("e", "r", "main", "7"));
    EXPECT_EQ(commits(), (Names{"3", "7"}));
}

TEST(PublicationRecords, DifferencesAndPages) {
    Difference difference;
    EXPECT_FALSE(difference.is_empty()) << "the repository is to be made";
    difference.exists = true;
    EXPECT_TRUE(difference.is_empty());
    difference.creates_branch = true;
    EXPECT_FALSE(difference.is_empty());
    difference.creates_branch = false;
    difference.added = {{"a", "", 5, "", false}};
    difference.changed = {{"b", "", 7, "", false}, {"c", "", 11, "", false}};
    difference.unchanged = {{"d", "", 100, "", false}};
    EXPECT_TRUE(difference.has_files());
    EXPECT_FALSE(difference.is_empty());
    EXPECT_EQ(difference.bytes(), 23U);
    difference.open_pull_request = hub::Commit{};
    EXPECT_TRUE(difference.is_empty());
    difference.added.clear();
    EXPECT_TRUE(difference.has_files());
    difference.changed.clear();
    EXPECT_FALSE(difference.has_files());
    EXPECT_EQ(page_url("http://h", "u/m", {"o", "", "main", ""}), "http://h/u/m");
}

}  // namespace
}  // namespace shimmy::publish
