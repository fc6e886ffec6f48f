// What a running campaign says of itself, how long it will take, and the files that it remembers hashes in.
#include "lab/run/run_state.h"

#include "base/error.h"
#include "fabricated_document.h"
#include "lab/plan/hash_cache.h"
#include "lab/plan/hasher.h"
#include "lab/plan/quantized_models.h"
#include "lab/run/estimate.h"
#include "lab/run/quality_run.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <thread>

namespace shimmy::lab {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

RunState state_of(const fs::path & dir) {
    const auto state = read_run_state(dir);
    EXPECT_TRUE(state);
    return state.value_or(RunState());
}

// A phase of ten took t for three: seven are left, at t / 3 each.
TEST(RunStateOf, WhatIsLeftFollowsThePace) {
    const TempDir dir;
    RunStateFile file(dir.path());
    const auto before = Clock::now();
    file.update("quantize", "a", 0, 2);
    EXPECT_FALSE(state_of(dir.path()).left_s) << "nothing is done, so nothing is known";
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    file.update("run", "b", 0, 10);
    const auto start = Clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    const double least_s = seconds_since(start);
    file.update("run", "c", 3, 10);
    const double most_s = seconds_since(before);
    const RunState state = state_of(dir.path());
    ASSERT_TRUE(state.left_s);
    EXPECT_GE(*state.left_s, least_s / 3.0 * 7.0);
    EXPECT_LE(*state.left_s, (most_s - 0.03) / 3.0 * 7.0) << "the phase before does not count";
    EXPECT_EQ(state.phase, "run");
    EXPECT_EQ(state.current, "c");
    EXPECT_EQ(state.n_done, 3U);
    EXPECT_EQ(state.n_total, 10U);
    EXPECT_EQ(state.pid, ::getpid());
    EXPECT_EQ(state.host, host().name);
    EXPECT_LE(state.started_at, state.current_started_at);
    EXPECT_EQ(state.started_at.size(), std::string("2026-01-01T00:00:00Z").size());
    file.update("run", "d", 10, 10);
    EXPECT_EQ(state_of(dir.path()).left_s, 0.0);
}

TEST(RunStateOf, OneProcessHoldsTheFolder) {
    const TempDir dir;
    EXPECT_FALSE(read_run_state(dir.path())) << "no lock";
    {
        RunStateFile file(dir.path());
        EXPECT_FALSE(read_run_state(dir.path())) << "it has not said anything";
        file.update("run", "a", 0, 1);
        try {
            const RunStateFile second(dir.path());
            ADD_FAILURE() << "two hold it";
        } catch (const Error & error) {
            const std::string said = error.what();
            EXPECT_NE(said.find(fmt::format("({} on {}, since ", ::getpid(), host().name)), std::string::npos) << said;
        }
        EXPECT_TRUE(read_run_state(dir.path())) << "the second has not let it go";
        write_file_atomic(dir / "running.json", "{\"pid\": \"no number\"}");
        EXPECT_FALSE(read_run_state(dir.path()));
    }
    EXPECT_FALSE(fs::exists(dir / "running.json"));
    write_file_atomic(dir / "running.json", "{}");  // of one that was killed
    EXPECT_FALSE(read_run_state(dir.path()));
    const RunStateFile next(dir.path());
    EXPECT_THROW(RunStateFile(dir / "absent"), Error);
}

// --- estimates

class EstimateOf : public ::testing::Test {
protected:
    EstimateOf() {
        plan_.campaign = fabricated_campaign(dir_.path());
        plan_.campaign.max_tokens = 50;
        plan_.campaign.load = {{2}, 30, 1};
        write_file_atomic(dir_ / "m.gguf", std::string(1 << 20, 'x'));  // 2^-10 GiB
        plan_.variants = {{"m", "F16", dir_ / "m.gguf", dir_ / "m.gguf"},
                          {"m", "Q2_K", dir_ / "q.gguf", dir_ / "m.gguf"}};
        plan_.runs = plan_runs(plan_.campaign, 2);
        plan_.results.resize(plan_.runs.size());
        hooks_.variant_bytes = [](const Campaign &, const Variant &) { return uint64_t{1} << 29; };  // half a GiB
        hooks_.loaded_bytes = hooks_.variant_bytes;
    }

    size_t run_of(size_t variant, engine::Placement placement, Mode mode = Mode::generate) const {
        for (size_t i = 0; i < plan_.runs.size(); ++i) {
            const lab::Run & run = plan_.runs[i];
            if (run.variant == variant && run.placement == placement && run.mode == mode) return i;
        }
        throw std::logic_error("no such run");
    }
    void took(size_t run, double wall_ms, ResultState state = ResultState::valid) {
        plan_.results[run] = {state, "", {{"run", {{"wall_ms", wall_ms}}}}};
    }

    TempDir dir_;
    CampaignPlan plan_;
    Hooks hooks_;
};

const engine::Placement BASELINE = engine::Placement::baseline();
const engine::Placement OFFLOAD = engine::Placement::offload();

TEST_F(EstimateOf, WhatIsNotMeasuredIsPredicted) {
    const Estimate result =
        estimate(plan_, {1}, {run_of(0, BASELINE), run_of(1, OFFLOAD), run_of(1, BASELINE, Mode::load)}, {}, hooks_);
    EXPECT_EQ(result.disk_bytes, uint64_t{1} << 29);
    EXPECT_EQ(result.scratch_bytes, 0U) << "nothing is searched";
    EXPECT_EQ(result.runs.n_predicted, 3U);
    EXPECT_EQ(result.runs.n_measured, 0U);
    EXPECT_EQ(result.files.n_predicted, 1U);
    EXPECT_EQ(result.n_predicted(), 4U);
    EXPECT_NEAR(result.files.time_s, 5.0, 1e-9);
    // Made at 0.1 GiB/s: 5 s. F16 is read in 2^-10 s and answers 16 tokens cold and 50 warm: 6.6 s. Q2_K: half a second
    // and 6.6 s.
    // The load run: half a second and 30 s.
    EXPECT_NEAR(result.time_s(), 5.0 + (1.0 / 1024 + 6.6) + (0.5 + 6.6) + (0.5 + 30.0), 1e-9);
}

TEST_F(EstimateOf, WhatIsMeasuredIsTheMedianOfRunsLikeIt) {
    std::vector<size_t> like;
    for (size_t i = 0; i < plan_.runs.size(); ++i) {
        if (plan_.runs[i].variant == 0 && plan_.runs[i].placement == OFFLOAD && plan_.runs[i].mode == Mode::generate)
            like.push_back(i);
    }
    ASSERT_EQ(like.size(), 2U);
    took(like[0], 4000.0);
    took(like[1], 8000.0);
    took(run_of(0, BASELINE), 100000.0, ResultState::stale);
    took(run_of(1, OFFLOAD), 200000.0);
    took(run_of(0, OFFLOAD, Mode::load), 300000.0);
    const Estimate result = estimate(plan_, {}, {like[0], run_of(0, BASELINE)}, {}, hooks_);
    EXPECT_EQ(result.runs.n_measured, 1U);
    EXPECT_EQ(result.runs.n_predicted, 1U);
    EXPECT_NEAR(result.time_s(), 6.0 + 1.0 / 1024 + 6.6, 1e-9);
    EXPECT_EQ(result.disk_bytes, 0U);
}

TEST_F(EstimateOf, LengthsAndOtherPointsCount) {
    const Point deep{{"depth", "1000"}, {"max_tokens", "20"}};
    plan_.runs[0].point = deep;
    took(0, 7000.0);
    plan_.runs[1].point = deep;
    plan_.runs[1].placement = plan_.runs[0].placement;
    const size_t same_point = 1;
    const size_t other_point = run_of(1, BASELINE);
    const Estimate measured = estimate(plan_, {}, {same_point}, {}, hooks_);
    EXPECT_NEAR(measured.time_s(), 7.0, 1e-9);
    EXPECT_EQ(measured.runs.n_measured, 1U);
    // Twice 1000 tokens at 100 tokens/s, 16 and 20 tokens at 10 tokens/s, and half a second to read.
    plan_.runs[other_point].point = deep;
    EXPECT_NEAR(estimate(plan_, {}, {other_point}, {}, hooks_).time_s(), 0.5 + 2 * 10.0 + 3.6, 1e-9);
    EXPECT_EQ(estimate_assumptions(plan_.campaign),
              "files are read at 1 GiB/s and made at 0.1 GiB/s, and 10 tokens are generated per second");
    plan_.campaign.axes.list = {{"depth", {"1000"}}};
    EXPECT_EQ(estimate_assumptions(plan_.campaign),
              "files are read at 1 GiB/s and made at 0.1 GiB/s, prompts are computed at 100 tokens/s and 10 tokens are "
              "generated per second");
}

// A quarter of the letters are tokens, 100 of which are computed in a second: 4096 letters take 10.24 s, and one chunk
// of them 5.12 s.
TEST_F(EstimateOf, QualityIsTheFilesAndOnceTheOriginal) {
    write_file_atomic(dir_ / "eval.txt", std::string(4096, 'x'));
    plan_.campaign.quality = {dir_ / "eval.txt", 1};
    plan_.campaign.models[0].path = dir_ / "m.gguf";
    plan_.sha256 = {"a", ""};
    EXPECT_EQ(qualities_to_come(plan_, {}), (std::vector<size_t>{0})) << "the other file is not there";
    EXPECT_EQ(qualities_to_come(plan_, {1}), (std::vector<size_t>{1})) << "the original's figures come with it";
    constexpr double ORIGINAL_S = 1.0 / 1024;  // to read
    const double quantized_s = 0.5;
    Estimate result = estimate(plan_, {}, {}, {1}, hooks_);
    EXPECT_NEAR(result.quality.time_s, quantized_s + 5.12 + ORIGINAL_S + 5.12, 1e-9);
    EXPECT_EQ(result.quality.n_predicted, 1U);
    EXPECT_EQ(result.time_s(), result.quality.time_s);
    EXPECT_NEAR(estimate(plan_, {}, {}, {1, 1}, hooks_).quality.time_s, 2 * (0.5 + 5.12) + ORIGINAL_S + 5.12, 1e-9)
        << "the original's predictions are kept";
    plan_.campaign.quality.chunks = 0;
    EXPECT_NEAR(estimate(plan_, {}, {}, {1}, hooks_).quality.time_s, 0.5 + ORIGINAL_S + 2 * 10.24, 1e-9);
    plan_.campaign.quality.check_offload = true;
    EXPECT_NEAR(estimate(plan_, {}, {}, {1}, hooks_).quality.time_s, 0.5 + ORIGINAL_S + 2 * 10.24 + 2 * (0.5 + 10.24),
                1e-9);
    EXPECT_EQ(qualities_to_come(plan_, {1}), (std::vector<size_t>{1, 0})) << "the original is checked by itself";
    EXPECT_NE(estimate_assumptions(plan_.campaign).find("4 letters in a token of a task or text"), std::string::npos);
    EXPECT_NE(std::string(estimate_leaves_out()).find("hashing"), std::string::npos);
}

TEST_F(EstimateOf, QualityThatWasMeasuredSaysHowLongTheNextTakes) {
    write_file_atomic(dir_ / "eval.txt", std::string(4096, 'x'));
    plan_.campaign.quality = {dir_ / "eval.txt", 1};
    plan_.campaign.models[0].path = dir_ / "m.gguf";
    plan_.program_version = "shimmy 0 (llama.cpp 0.5.0)";
    plan_.sha256 = {"a", "b"};
    const auto entry = [](const char * quant, double wall_ms, bool cached, bool checked) {
        return Json{{"quant", quant},
                    {"sha256", "old"},
                    {"run", {{"wall_ms", wall_ms}, {"base_from_cache", cached}, {"check_offload", checked}}}};
    };
    fs::create_directories(plan_.campaign.out_dir / "quality");
    const Json document{{"text", {{"sha256", sha256_hex(read_file(dir_ / "eval.txt"))}}},
                        {"base", {{"file", (dir_ / "m.gguf").string()}}},
                        {"max_chunks", 1},
                        {"llama_cpp_version", "0.5.0"},
                        {"models",
                         {entry("F16", 9000, false, false), entry("Q8_0", 3000, true, false),
                          entry("Q6_K", 5000, true, false), entry("Q4_K_M", 70000, true, true)}}};
    write_file_atomic(quality_path(plan_.campaign, plan_.campaign.models[0].name), document.dump());
    const Estimate result = estimate(plan_, {}, {}, {1}, hooks_);
    EXPECT_NEAR(result.quality.time_s, 4.0, 1e-9) << "the median of those that found the original's predictions";
    EXPECT_EQ(result.quality.n_measured, 1U);
    EXPECT_EQ(result.quality.n_predicted, 0U);
    plan_.campaign.quality.check_offload = true;
    EXPECT_NEAR(estimate(plan_, {}, {}, {1}, hooks_).quality.time_s, 70.0, 1e-9);
}

TEST_F(EstimateOf, ASearchMakesAndMeasuresManyFiles) {
    write_file_atomic(dir_ / "eval.txt", std::string(4096, 'x'));
    plan_.campaign.models[0].path = dir_ / "m.gguf";
    plan_.campaign.mixes.resize(2);
    for (Mix & mix : plan_.campaign.mixes) {
        mix.target_size = "1GiB";
        mix.text = dir_ / "eval.txt";
        mix.chunks = 1;
    }
    plan_.campaign.mixes[0].name = "small";
    plan_.campaign.mixes[1].name = "large";
    plan_.variants[0] = {"m", "small", dir_ / "small.gguf", dir_ / "m.gguf"};
    plan_.variants[1] = {"m", "large", dir_ / "large.gguf", dir_ / "m.gguf"};
    plan_.sha256 = {"", ""};
    hooks_.n_searched_files = [](const Campaign &, const Variant &) { return size_t{20}; };
    // The original is read in 2^-10 s, a file of its size made in ten times that, and a chunk computed in 5.12 s.
    const double search_s = 1.0 / 1024 + 5.12 + 20 * (10.0 / 1024 + 1.0 / 1024 + 5.12);
    Estimate result = estimate(plan_, {0, 1}, {}, {}, hooks_);
    EXPECT_NEAR(result.files.time_s, 2 * search_s, 1e-9);
    EXPECT_EQ(result.files.n_predicted, 2U);
    EXPECT_EQ(result.scratch_bytes, uint64_t{1} << 20) << "one file of the original's size at a time";
    EXPECT_EQ(result.disk_bytes, uint64_t{1} << 30) << "what the hooks say that both take";
    // One of them is made: the other takes as long.
    plan_.sha256 = {"made", ""};
    write_file_atomic(plan_.variants[0].path, "made");
    write_source_record(plan_.variants[0], "abc", "made", 90000.0);
    result = estimate(plan_, {1}, {}, {}, hooks_);
    EXPECT_NEAR(result.files.time_s, 90.0, 1e-9);
    EXPECT_EQ(result.files.n_measured, 1U);
    EXPECT_EQ(result.n_predicted(), 0U);
    plan_.campaign.mixes[0].chunks = 2;
    EXPECT_NEAR(estimate(plan_, {1}, {}, {}, hooks_).files.time_s, search_s, 1e-9) << "on other chunks";
}

TEST_F(EstimateOf, AMatrixIsComputedOnceForAllQuantizations) {
    write_file_atomic(dir_ / "text.txt", std::string(4096, 'x'));
    plan_.campaign.models[0].path = dir_ / "m.gguf";
    plan_.campaign.models[0].imatrix_text = dir_ / "text.txt";
    plan_.variants[0] = {"m", "Q4_K_M", dir_ / "q4.gguf", dir_ / "m.gguf"};
    EXPECT_NEAR(estimate(plan_, {0, 1}, {}, {}, hooks_).files.time_s, 1.0 / 1024 + 10.24 + 2 * 5.0, 1e-9);
    fs::create_directories(plan_.campaign.out_dir / "models");
    write_file_atomic(imatrix_path(plan_.campaign, plan_.campaign.models[0]), "there");
    EXPECT_NEAR(estimate(plan_, {0, 1}, {}, {}, hooks_).files.time_s, 2 * 5.0, 1e-9);
}

// --- hashes

class HashCacheOf : public ::testing::Test {
protected:
    // Hash of a file, and how many files were read for it.
    std::pair<std::string, int> hash(HashCache & cache, const fs::path & file, bool model = false) {
        int n_read = 0;
        const auto progress = [&](const fs::path &) -> ByteProgress {
            ++n_read;
            return {};
        };
        const std::string sha256 = model ? cache.model_sha256(file, progress) : cache.file_sha256(file, progress);
        return {sha256, n_read};
    }
    TempDir dir_;
};

TEST_F(HashCacheOf, AFileIsReadOncePerState) {
    const fs::path file = dir_ / "a.gguf";
    write_file_atomic(file, "aaa");
    {
        HashCache cache(dir_ / "hashes.json");
        EXPECT_EQ(hash(cache, file), std::pair(sha256_hex("aaa"), 1));
        EXPECT_EQ(hash(cache, file), std::pair(sha256_hex("aaa"), 0));
        cache.save();
    }
    HashCache cache(dir_ / "hashes.json");
    EXPECT_EQ(hash(cache, file).second, 0) << "from the file of the cache";
    const auto time = fs::last_write_time(file);
    write_file_atomic(file, "bbb");
    fs::last_write_time(file, time + std::chrono::nanoseconds(1));
    EXPECT_EQ(hash(cache, file), std::pair(sha256_hex("bbb"), 1)) << "the same size at another time";
    std::ofstream(file, std::ios::app) << "b";
    fs::last_write_time(file, time + std::chrono::nanoseconds(1));
    EXPECT_EQ(hash(cache, file), std::pair(sha256_hex("bbbb"), 1)) << "another size at the same time";
    EXPECT_THROW(hash(cache, dir_ / "absent"), Error);
}

TEST_F(HashCacheOf, ADamagedCacheCountsAsEmpty) {
    const fs::path file = dir_ / "a.gguf";
    write_file_atomic(file, "aaa");
    const std::string key = file.string();
    for (const std::string & content :
         {std::string("{"), std::string("[]"), Json{{key, 3}}.dump(), Json{{key, {{"sha256", 3}}}}.dump(),
          Json{{key, {{"sha256", "x"}, {"size_bytes", 3}}}}.dump()}) {
        write_file_atomic(dir_ / "hashes.json", content);
        HashCache cache(dir_ / "hashes.json");
        EXPECT_EQ(hash(cache, file), std::pair(sha256_hex("aaa"), 1)) << content;
    }
}

TEST_F(HashCacheOf, WhatDidNotChangeIsNotWritten) {
    write_file_atomic(dir_ / "a.gguf", "aaa");
    HashCache cache(dir_ / "hashes.json");
    cache.save();
    EXPECT_FALSE(fs::exists(dir_ / "hashes.json"));
    hash(cache, dir_ / "a.gguf");
    cache.save();
    EXPECT_TRUE(fs::exists(dir_ / "hashes.json"));
    fs::remove(dir_ / "hashes.json");
    cache.save();
    EXPECT_FALSE(fs::exists(dir_ / "hashes.json"));
}

TEST_F(HashCacheOf, OfASplitModelTheSumsOfItsParts) {
    write_file_atomic(dir_ / "m-00001-of-00002.gguf", "one");
    write_file_atomic(dir_ / "m-00002-of-00002.gguf", "two");
    HashCache cache(dir_ / "hashes.json");
    const std::string sums =
        sha256_hex("one") + "  m-00001-of-00002.gguf\n" + sha256_hex("two") + "  m-00002-of-00002.gguf\n";
    EXPECT_EQ(hash(cache, dir_ / "m-00001-of-00002.gguf", true), std::pair(sha256_hex(sums), 2));
    write_file_atomic(dir_ / "whole.gguf", "whole");
    EXPECT_EQ(hash(cache, dir_ / "whole.gguf", true), std::pair(sha256_hex("whole"), 1));
}

// --- records beside files that were made

class RecordOf : public ::testing::Test {
protected:
    RecordOf() { write_file_atomic(variant_.path, "made"); }
    TempDir dir_;
    bool up_to_date(const std::string & input) const {
        return is_up_to_date(variant_, input, [](const fs::path & file) { return sha256_file_hex(file); });
    }
    void write_record() const { write_source_record(variant_, "abc", sha256_file_hex(variant_.path), 1500.0); }
    Variant variant_{"m", "Q2_K", dir_ / "m-Q2_K.gguf", dir_ / "m.gguf"};
};

TEST_F(RecordOf, AFileIsKnownByItsRecord) {
    EXPECT_EQ(source_record_path(variant_), dir_ / "m-Q2_K.source.json");
    EXPECT_FALSE(up_to_date("abc")) << "without a record";
    write_record();
    EXPECT_TRUE(up_to_date("abc"));
    EXPECT_FALSE(up_to_date("other"));
    EXPECT_EQ(recorded_failure(variant_, "abc"), "");
    Json record = Json::parse(read_file(source_record_path(variant_)));
    EXPECT_EQ(record["size_bytes"], 4);
    EXPECT_EQ(record["quantization"], "Q2_K");
    for (const char * key : {"llama_cpp_version", "quantization", "size_bytes"}) {
        Json changed = record;
        changed[key] = "other";
        write_file_atomic(source_record_path(variant_), changed.dump());
        EXPECT_FALSE(up_to_date("abc")) << key;
    }
    write_record();
    write_file_atomic(variant_.path, "mads");
    EXPECT_FALSE(up_to_date("abc")) << "other bytes, as many";
    write_file_atomic(variant_.path, "made");
    EXPECT_TRUE(up_to_date("abc"));
    record.erase("sha256");
    write_file_atomic(source_record_path(variant_), json_text(record));
    EXPECT_TRUE(up_to_date("abc")) << "a record of an earlier version";
    write_file_atomic(variant_.path, "made longer");
    EXPECT_FALSE(up_to_date("abc"));
    fs::remove(variant_.path);
    EXPECT_FALSE(up_to_date("abc")) << "without the file";
}

TEST_F(RecordOf, AFailureIsOfItsInputAndProgram) {
    EXPECT_EQ(recorded_failure(variant_, "abc"), "");
    write_failure_record(variant_, "abc", "no space");
    EXPECT_EQ(recorded_failure(variant_, "abc"), "no space");
    EXPECT_EQ(recorded_failure(variant_, "other"), "");
    EXPECT_FALSE(up_to_date("abc"));
    Json record = Json::parse(read_file(source_record_path(variant_)));
    record["llama_cpp_version"] = "0.0.1";
    write_file_atomic(source_record_path(variant_), record.dump());
    EXPECT_EQ(recorded_failure(variant_, "abc"), "");
    write_file_atomic(source_record_path(variant_), "[");
    EXPECT_EQ(recorded_failure(variant_, "abc"), "");
}

TEST_F(RecordOf, AShapeIsItsTextAndWishes) {
    CampaignModel model;
    model.shape = "olmoe-1b-7b";
    const std::string whole = shape_sha256(model);
    model.n_layers = 2;
    const std::string two = shape_sha256(model);
    model.sparse = true;
    const std::string sparse = shape_sha256(model);
    EXPECT_EQ(whole.size(), 64U);
    EXPECT_NE(whole, two);
    EXPECT_NE(two, sparse);
    model.shape = "phi-3.5-moe";
    EXPECT_NE(shape_sha256(model), sparse);
    Campaign campaign = fabricated_campaign(dir_.path());
    campaign.models = {model};
    Hasher hasher(campaign, /*quiet=*/true);
    EXPECT_EQ(hasher.input_sha256(campaign, {"m", "Q2_K", dir_ / "x", ""}), shape_sha256(model));
    EXPECT_EQ(hasher.input_sha256(campaign, {"m", "Q2_K", dir_ / "x", variant_.path}), sha256_hex("made"));
    // Other weights come of another recipe, or another text that it is found on.
    campaign.mixes = {{"mix", "Q4_K_M", {{"down", "q6_K"}}}, {"best", "", {}, "8GiB", variant_.path, 16}};
    const auto of = [&](const std::string & name) {
        return hasher.input_sha256(campaign, {"m", name, dir_ / "x", variant_.path});
    };
    const std::string mix = of("mix"), best = of("best");
    EXPECT_EQ((std::set<std::string>{mix, best, of("Q2_K")}).size(), 3U);
    campaign.mixes[0].tensor_types[0].type = "q5_K";
    EXPECT_NE(of("mix"), mix);
    campaign.mixes[1].chunks = 8;
    EXPECT_NE(of("best"), best);
    campaign.mixes[1].chunks = 16;
    EXPECT_EQ(of("best"), best);
    write_file_atomic(dir_ / "text", "another");
    campaign.mixes[1].text = dir_ / "text";
    const std::string other_text = of("best");
    EXPECT_NE(other_text, best);
    fs::create_directories(campaign.out_dir);
    hasher.save();
    EXPECT_TRUE(fs::exists(campaign.out_dir / "hashes.json"));
}

TEST(ImportanceMatrix, TheTextOfOneThatWasMadeIsKnownByItsHash) {
    const TempDir dir;
    Campaign campaign = fabricated_campaign(dir.path());
    CampaignModel & model = campaign.models[0];
    EXPECT_EQ(imatrix_text_sha256(campaign, model), "") << "no matrix";
    model.imatrix_text = "calibration.txt";
    EXPECT_EQ(imatrix_text_sha256(campaign, model), "") << "not made yet";
    fs::create_directories(campaign.out_dir / "models");
    write_file_atomic(campaign.out_dir / "models" / (model.name + ".imatrix.source.json"),
                      R"({"text_sha256": "a1b2", "n_chunks": 3})");
    EXPECT_EQ(imatrix_text_sha256(campaign, model), "a1b2");
}

}  // namespace
}  // namespace shimmy::lab
