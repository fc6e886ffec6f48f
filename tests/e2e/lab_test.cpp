// A campaign with axes, and what is done with it afterwards: compare, bundle, verify, import, export.
#include "modelled_gpu.h"
#include "program.h"
#include "small_disk.h"

#include "base/files.h"
#include "temp_dir.h"

#include <fmt/format.h>

#include <set>

namespace shimmy::e2e {
namespace {

std::string campaign_text(const std::string & axes) {
    return fmt::format(R"(
name = "axes"
out_dir = "out"
placements = ["baseline", "offload"]
repeats = 2
max_tokens = 4
n_ctx = 512
timeout_s = 120
[[models]]
path = "{}"
name = "tiny"
quantizations = ["input"]
[[prompts]]
id = "train"
text = "A train travels 60 miles per hour for 2.5 hours. How far does it go?"
[axes]
{})",
                       tiny_moe().string(), axes);
}

TEST(Lab, ADryRunCountsTheRunsOfADesign) {
    const TempDir dir;
    const fs::path campaign = dir / "axes.toml";
    const auto n_runs = [&](const std::string & axes) {
        write_file_atomic(campaign, campaign_text(axes));
        return shimmy_json({"lab", "run", campaign.string(), "--dry-run"})["n_runs_to_do"];
    };
    EXPECT_EQ(n_runs("threads = [1, 2]\nubatch = [64, 128, 256]\n"), 2 * 2 * 6);
    EXPECT_EQ(n_runs("design = \"one-at-a-time\"\nthreads = [1, 2]\nubatch = [64, 128, 256]\n"), 2 * 2 * 4);
    EXPECT_EQ(n_runs("design = \"paired\"\nthreads = [1, 2]\nubatch = [64, 128]\n"), 2 * 2 * 2);
    EXPECT_EQ(n_runs("moe_cache = [\"off\", \"1MiB\"]\n"), 2 * (1 + 2)) << "a baseline has no experts in RAM";
    const std::string text = shimmy({"lab", "run", campaign.string(), "--dry-run"}).out;
    EXPECT_NE(text.find("moe_cache   off, 1MiB\ndesign      full: 2 combination(s)\n"), std::string::npos) << text;
}

// A bundle and an export of this campaign, on a full disk and on one that is read only.
void what_cannot_be_written_leaves_nothing(const fs::path & campaign) {
    if (!can_mount()) return;
    for (const char * disk : {FULL_DISK, READ_ONLY_DISK}) {
        const TempDir dir;
        const std::string prepare = "printf before > old && ln -s old figures.csv && " + std::string(disk);
        for (const std::vector<std::string> & arguments :
             {std::vector<std::string>{"lab", "bundle", campaign.string(), "-o", (dir / "b.tar").string()},
              {"lab", "bundle", campaign.string(), "-o", (dir / "b").string()},
              {"lab", "export", campaign.string(), "-o", (dir / "figures.csv").string()}}) {
            const ProcessResult result = run_on_small_disk(dir.path(), prepare, arguments);
            SCOPED_TRACE(fmt::format("{} {}: {}{}", arguments[1], disk, result.out, result.err));
            EXPECT_NE(result.out.find("exit 1\n"), std::string::npos);
            EXPECT_TRUE(result.out.ends_with("left old\nbefore")) << "nothing else, what was there as it was";
            EXPECT_NE(result.err.rfind("shimmy: " + dir.path().string()), std::string::npos);
        }
    }
}

void a_killed_bundle_goes_with_the_next(const fs::path & campaign) {
    const TempDir dir;
    const std::string bundle = (dir / "b.tar").string();
    for (const char * lifetime_s : {"0.01", "0.02", "0.03", "0.05", "0.1"}) {
        run_process(
            {"timeout", "-s", "KILL", lifetime_s, SHIMMY_PROGRAM, "lab", "bundle", campaign.string(), "-o", bundle},
            RUN_TIMEOUT);
        if (!fs::exists(bundle)) continue;
        EXPECT_TRUE(shimmy_json({"lab", "verify", bundle})["passed"]) << "a bundle is there whole, or not at all";
        fs::remove(bundle);
    }
    EXPECT_EQ(shimmy({"lab", "bundle", campaign.string(), "-o", bundle}).exit_code, 0);
    EXPECT_EQ(n_files(dir.path()), 1U) << "leftovers go with the next run";
}

// A campaign's tasks are scored as `shimmy eval` scores them, and compared as it compares them; that needs no GPU.
TEST(Lab, TasksAreScoredAsEvalDoes) {
    const TempDir dir;
    const fs::path campaign = dir / "tasks.toml";
    const std::string task = std::string(SHIMMY_SOURCE_DIR) + "/examples/eval/arc.jsonl";
    std::string text = campaign_text("threads = 1\n");
    text.replace(text.find("[\"input\"]"), 9, "[\"input\", \"Q2_K\"]");
    write_file_atomic(campaign, "device = \"cpu\"\n" + text + "[[tasks]]\nfile = \"" + task + "\"\n");
    const ProcessResult run = shimmy({"lab", "run", campaign.string(), "--only", "/task/"});
    EXPECT_EQ(run.exit_code, 1) << "the other runs are missing: " << run.err;
    const Json tasks = read_json(dir / "out/summary.json").at("tasks");
    ASSERT_EQ(tasks.size(), 2U) << run.err;
    const Json alone = shimmy_json({"eval", tiny_moe().string(), (dir / "out/models/tiny-Q2_K.gguf").string(), "--task",
                                    task, "--device", "cpu", "--cpu-moe", "--moe-cache", "off"});
    for (size_t i = 0; i < 2; ++i) {
        for (const Json & metric : tasks[i].at("metrics")) {
            const Json & same = alone.at("models")[i].at("metrics").at(metric.at("metric").get<std::string>());
            EXPECT_EQ(metric.at("n_right"), same.at("n_right")) << i;
            EXPECT_EQ(metric.at("ci95"), same.at("ci95")) << i;
        }
    }
    for (size_t i = 0; i < 2; ++i) {
        const Json & compared = tasks[1].at("metrics")[i].at("against_reference");
        const Json & same = alone.at("comparisons")[i];
        EXPECT_EQ(compared.at("n_only_reference_right"), same.at("n_only_first_right"));
        EXPECT_EQ(compared.at("n_only_this_right"), same.at("n_only_second_right"));
        EXPECT_EQ(compared.at("difference_ci95"), same.at("difference_ci95"));
        EXPECT_EQ(compared.at("mcnemar_p"), same.at("mcnemar_p"));
    }
}

// The matrix of a text is that of `shimmy imatrix`, and what is quantized with it that of `shimmy quantize`.
TEST(Lab, AnImportanceMatrixIsMadeOfAText) {
    const TempDir dir;
    const fs::path campaign = dir / "matrix.toml";
    const std::string task = std::string(SHIMMY_SOURCE_DIR) + "/examples/eval/arc.jsonl";
    std::string text = campaign_text("threads = 1\n");
    text.replace(text.find("[\"input\"]"), 9,
                 fmt::format("[\"Q2_K\"]\nimatrix_text = \"{}\"\nimatrix_chunks = 2", EVAL));
    write_file_atomic(campaign, "device = \"cpu\"\n" + text + "[[tasks]]\nlimit = 1\nfile = \"" + task + "\"\n");
    const ProcessResult run = shimmy({"lab", "run", campaign.string(), "--only", "/task/"});
    ASSERT_TRUE(fs::exists(dir / "out/models/tiny-Q2_K.gguf")) << run.err;
    const fs::path matrix = dir / "out/models/tiny.imatrix.gguf";
    EXPECT_EQ(read_json(dir / "out/models/tiny.imatrix.source.json").at("text_sha256"), sha256_file_hex(EVAL));
    const Json by_hand =
        shimmy_json({"imatrix", tiny_moe().string(), "--text", EVAL, "--chunks", "2", "--out",
                     (dir / "own.imatrix.gguf").string(), "--cpu-moe", "--device", "cpu", "--threads", "1"});
    EXPECT_EQ(by_hand["n_chunks"], 2);
    EXPECT_EQ(sha256_file_hex(dir / "own.imatrix.gguf"), sha256_file_hex(matrix));
    (void)shimmy_json({"quantize", tiny_moe().string(), "--types", "Q2_K", "--imatrix", matrix.string(), "--out-dir",
                       dir.path().string()});
    EXPECT_EQ(sha256_file_hex(dir / "tiny-moe-Q2_K.gguf"), sha256_file_hex(dir / "out/models/tiny-Q2_K.gguf"));
}

// Which placement fits which card, as `shimmy plan` has it for the same files; what stands there of a file is kept when
// the file is gone, and made anew when it is damaged.
TEST(Lab, PredictsWhatFitsWhichCard) {
    const TempDir dir;
    const fs::path campaign = dir / "cards.toml", predicted = dir / "out/hardware/tiny.json";
    const std::string task = std::string(SHIMMY_SOURCE_DIR) + "/examples/eval/arc.jsonl";
    std::string text = campaign_text("threads = 1\n");
    text.replace(text.find("[\"input\"]"), 9, "[\"input\", \"Q2_K\"]");
    write_file_atomic(campaign, "device = \"cpu\"\n" + text + "[[tasks]]\nlimit = 1\nfile = \"" + task + "\"\n");
    const std::vector<std::string> run{"lab", "run", campaign.string(), "--only", "/task/"};
    (void)shimmy(run);
    const Json made = read_json(predicted);
    EXPECT_EQ(made["n_ctx"], 512) << "what the model was trained for";
    ASSERT_EQ(made["files"].size(), 2U);
    const std::array files{tiny_moe(), dir / "out/models/tiny-Q2_K.gguf"};
    for (size_t i = 0; i < 2; ++i) {
        const Json & file = made["files"][i];
        EXPECT_EQ(file["sha256"], sha256_file_hex(files[i]));
        ASSERT_EQ(file["cards"].size(), 6U);
        const Json plan = shimmy_json({"plan", files[i].string(), "--gpu-backend", "cpu", "--vram", "8GiB"});
        const Json & card = file["cards"][0];
        EXPECT_EQ(card["card_bytes"], 8ULL << 30U);
        EXPECT_EQ(card["placement"], "baseline");
        EXPECT_EQ(card["vram_bytes"], plan["best"]["vram_bytes"]) << plan["best"];
    }
    fs::remove(files[1]);
    (void)shimmy({"lab", "run", campaign.string(), "--only", "F16/task/"});
    EXPECT_EQ(read_json(predicted), made);
    write_file_atomic(predicted, "{}");
    (void)shimmy({"lab", "run", campaign.string(), "--only", "F16/task/"});
    EXPECT_EQ(read_json(predicted)["files"].size(), 1U);
    EXPECT_EQ(read_json(predicted)["files"][0], made["files"][0]);
}

TEST(Lab, WhatCannotRunIsToldBeforeAnything) {
    const TempDir dir;
    const fs::path campaign = dir / "axes.toml";
    write_file_atomic(campaign, campaign_text("ubatch = [64, 1024]\n"));
    expect_failure({"lab", "run", campaign.string()}, 2, {"axes.toml:", "ubatch 1024 is more than n_ctx 512"});
    write_file_atomic(campaign, campaign_text("moe_backend = [\"on\", \"off\"]\n"));
    expect_failure({"lab", "run", campaign.string(), "--moe-backend", "on"}, 2,
                   {"--moe-backend: the campaign says it itself, as moe_backend under [axes]"});
    EXPECT_FALSE(fs::exists(dir / "out"));
}

TEST(Lab, WithoutAGpuItSaysSoBeforeItBegins) {
    const TempDir dir;
    const fs::path campaign = dir / "axes.toml";
    write_file_atomic(campaign, campaign_text("threads = 1\n"));
    for (const std::vector<std::string> & how :
         {std::vector<std::string>{"--device", "cpu"}, {"--gpu-backend", "cpu"}, {"--device", "Nope0"}}) {
        std::vector<std::string> args{"lab", "run", campaign.string()};
        args.insert(args.end(), how.begin(), how.end());
        expect_failure(args, 1, {"needs a GPU", "shimmy gpu-info", "shimmy bench"});
        EXPECT_FALSE(fs::exists(dir / "out/results"));
    }
}

// Before the runs, and in the exit code after them; other figures are there.
TEST(Lab, ALicenseThatTheHubDoesNotKnowIsTold) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const TempDir dir;
    const fs::path campaign = dir / "axes.toml";
    std::string text = campaign_text("threads = 1\n");
    text.replace(text.find("repeats = 2"), 11, "repeats = 1");
    const std::string name = "name = \"tiny\"\n";
    const auto with_license = [&](const std::string & license) {
        std::string changed = text;
        changed.insert(changed.find(name) + name.size(), "license = \"" + license + "\"\n");
        write_file_atomic(campaign, changed);
        return shimmy({"lab", "run", campaign.string()});
    };
    const ProcessResult unknown = with_license("llama-3.1");
    EXPECT_EQ(unknown.exit_code, 1);
    EXPECT_EQ(unknown.err.find("shimmy: warning: tiny: the Hub does not know the license 'llama-3.1'"), 0U)
        << unknown.err;
    EXPECT_TRUE(fs::exists(dir / "out/summary.json"));
    for (const char * known : {"llama3", "llama3.1", "llama3.2", "llama3.3", "mit"}) {
        const ProcessResult result = with_license(known);
        EXPECT_EQ(result.exit_code, 0) << known << result.err;
        EXPECT_EQ(result.err.find("warning"), std::string::npos) << result.err;
    }
}

// Against the file as it is now, and with text in it that is markup elsewhere.
TEST(Lab, StatusAndDocumentsOfACampaignThatWasChanged) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const TempDir dir;
    const fs::path campaign = dir / "axes.toml";
    std::string text = campaign_text("threads = 1\n");
    text.replace(text.find("repeats = 2"), 11, "repeats = 1\ncreator = \"<img src=x> [a](javascript:b)\"");
    const std::string question = "A train travels";
    text.insert(text.find(question), "<script>");
    write_file_atomic(campaign, text);
    EXPECT_EQ(shimmy({"lab", "run", campaign.string()}).exit_code, 0);
    EXPECT_EQ(shimmy_json({"lab", "status", campaign.string()})["n_to_do"], 0);
    text.replace(text.find("repeats = 1"), 11, "repeats = 3");
    write_file_atomic(campaign, text);
    const Json status = shimmy_json({"lab", "status", campaign.string()});
    EXPECT_EQ(status["n_runs"], 6);
    EXPECT_EQ(status["n_valid"], 2);
    EXPECT_EQ(status["n_to_do"], 4);
    for (const char * document : {"report.md", "whitepaper.md"}) {
        const std::string written = read_file(dir / "out" / document);
        EXPECT_NE(written.find("&lt;script"), std::string::npos) << document;
        EXPECT_EQ(written.find("<script"), std::string::npos) << document;
        EXPECT_EQ(written.find("<img"), std::string::npos) << document;
        EXPECT_EQ(written.find("[a](javascript"), std::string::npos) << document;
    }
    EXPECT_EQ(read_file(dir / "out/report.html").find("<img src=x>"), std::string::npos);
}

// What llama-bench itself writes, in each of its forms.
TEST(Lab, FiguresOfLlamaBenchItself) {
    const TempDir dir;
    const std::string bench = (fs::path(SHIMMY_PROGRAM).parent_path() / "llama-bench").string();
    for (const std::string form : {"json", "jsonl", "csv"}) {
        const ProcessResult result = run_process({bench, "-m", tiny_moe().string(), "-p", "16", "-n", "4", "-d", "0,8",
                                                  "-r", "2", "-t", "1", "-ngl", "0", "-ctk", "q8_0", "-o", form},
                                                 RUN_TIMEOUT);
        ASSERT_EQ(result.exit_code, 0) << result.err;
        const fs::path file = dir / ("bench." + form);
        write_file_atomic(file, result.out);
        const Json tests = shimmy_json({"lab", "import", file.string()})["tests"];
        ASSERT_EQ(tests.size(), 4U) << form;
        for (const Json & test : tests) {
            EXPECT_EQ(test["model_filename"], "tiny-moe-f16.gguf");
            EXPECT_EQ(test["type_k"], "q8_0");
            EXPECT_EQ(test["n_threads"], 1);
            EXPECT_EQ(test["samples_ts"].size(), form == "csv" ? 0U : 2U);
            EXPECT_GT(test["avg_ts"].get<double>(), 0.0);
        }
        EXPECT_EQ(tests[0]["n_prompt"], 16);
        EXPECT_EQ(tests[3]["n_gen"], 4);
        EXPECT_EQ(tests[3]["n_depth"], 8);
        if (form != "json") continue;
        const Json written = Json::parse(result.out);
        for (size_t i = 0; i < tests.size(); ++i)
            EXPECT_EQ(tests[i]["samples_ts"], written[i]["samples_ts"]);
    }
}

// Over HTTP and in process; what was drafted depends on the text, and the text does not depend on what was drafted.
TEST(Lab, AnAxisOfSpeculationRuns) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const TempDir dir;
    const fs::path campaign = dir / "axes.toml";
    write_file_atomic(campaign,
                      "modes = [\"generate\", \"stream\"]\n" + campaign_text("spec_type = [\"off\", \"ngram-mod\"]\n"));
    (void)shimmy({"lab", "run", campaign.string(), "--only", "*/offload/*-1"});
    const fs::path results = dir / "out/results/tiny/F16/offload";
    std::set<std::string> texts;
    for (const std::string mode : {"generate", "stream"}) {
        for (const std::string spec : {"off", "ngram-mod"}) {
            const fs::path file = results / mode / ("spec_type=" + spec) / "train-1.json";
            ASSERT_TRUE(fs::exists(file)) << file;
            const Json run = read_json(file);
            EXPECT_FALSE(run.contains("error")) << run["error"];
            texts.insert(run.value("text", ""));
            const Json speculation = run.value("speculation", Json());
            if (mode == "generate") {
                EXPECT_EQ(speculation.is_null() ? "off" : speculation["kind"], spec);
            }
        }
    }
    EXPECT_EQ(texts.size(), 1U) << "greedy";
}

// The first repeat with experts in RAM leaves its routing; `plan --trace` replays it, and a bundle takes it along.
TEST(Lab, TheRoutingOfARunIsRecordedWhenAsked) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const TempDir dir;
    const fs::path campaign = dir / "traced.toml";
    write_file_atomic(campaign, "expert_trace = true\n" + campaign_text("threads = 1\n"));
    const Json summary = shimmy_json({"lab", "run", campaign.string(), "--moe-backend", "on"});
    EXPECT_TRUE(summary["missing"].empty()) << summary["missing"];
    std::vector<std::string> traces;
    for (const fs::directory_entry & entry : fs::recursive_directory_iterator(dir / "out")) {
        if (entry.path().string().ends_with(".trace.csv"))
            traces.push_back(fs::relative(entry.path(), dir / "out").string());
    }
    ASSERT_EQ(traces, (std::vector<std::string>{"results/tiny/F16/offload/generate/train-1.trace.csv"}));
    const fs::path trace = dir / "out" / traces[0];
    const Json run = read_json(dir / "out/results/tiny/F16/offload/generate/train-1.json");
    uint64_t hits = 0;
    for (const Json & use : run["expert_use"])
        hits += use["hits"].get<uint64_t>();
    const std::string text = read_file(trace);
    EXPECT_EQ(static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n')), hits + 2)
        << "a line per token, layer and slot, as the run's counters have it";
    const Json plan = shimmy_json({"plan", tiny_moe().string(), "--trace", trace.string(), "--bandwidth", "60GB/s",
                                   "--vram-bandwidth", "450GB/s", "--link-bandwidth", "22GB/s", "--ctx", "256"});
    EXPECT_EQ(plan["n_decode_tokens"], run["n_output_tokens"].get<int>() - 1) << plan;
    EXPECT_FALSE(plan["sizes"].empty());
    const fs::path bundle = dir / "bundle";
    EXPECT_EQ(shimmy({"lab", "bundle", campaign.string(), "-o", bundle.string()}).exit_code, 0);
    EXPECT_EQ(read_file(bundle / traces[0]), text);
    EXPECT_TRUE(shimmy_json({"lab", "verify", bundle.string()})["passed"]);
}

// From the recipe to the card, under the name that it has in the campaign.
TEST(Lab, AMixIsMeasuredUnderItsName) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const TempDir dir;
    const fs::path campaign = dir / "mix.toml";
    const auto write_campaign = [&](const std::string & type) {
        write_file_atomic(campaign, fmt::format(R"(
name = "mix"
out_dir = "out"
repeats = 1
max_tokens = 4
n_ctx = 512
quantizations = ["down", "Q4_0"]
[[models]]
path = "{}"
name = "tiny"
license = "mit"
[[prompts]]
id = "train"
text = "How far does it go?"
[quality]
text = "{}"
chunks = 1
[[mixes]]
name = "down"
type = "Q4_0"
tensor_types = ["ffn_down_exps={}"]
)",
                                                tiny_moe().string(), EVAL, type));
    };
    write_campaign("Q8_0");
    const Json summary = shimmy_json({"lab", "run", campaign.string()});
    EXPECT_TRUE(summary["missing"].empty()) << summary["missing"];
    ASSERT_EQ(summary["variants"].size(), 2U);
    const auto variant = [&](const std::string & quantization) {
        for (const Json & one : summary["variants"])
            if (one["quantization"] == quantization) return one;
        return Json::object();
    };
    EXPECT_FALSE(variant("Q4_0").contains("mix"));
    EXPECT_EQ(variant("down")["mix"], "Q4_0 with ffn_down_exps=q8_0");
    EXPECT_GT(variant("down")["file_size_bytes"], variant("Q4_0")["file_size_bytes"]);
    std::map<std::string, double> kld;
    const Json quality = read_json(dir / "out/quality/tiny.json");
    for (const Json & entry : quality["models"])
        kld[entry["quant"]] = entry["mean_kld"];
    ASSERT_EQ(kld.count("down") + kld.count("Q4_0"), 2U);
    EXPECT_LT(kld["down"], kld["Q4_0"]);
    const std::string card = read_file(dir / "out/cards/tiny-down-GGUF/README.md");
    EXPECT_NE(card.find("--types Q4_0 --tensor-type 'ffn_down_exps=q8_0'  # renamed to tiny-down.gguf\n"),
              std::string::npos)
        << card;
    EXPECT_NE(card.find("--types Q4_0\n"), std::string::npos) << card;
    const auto n_runs_to_do = [&] {
        return shimmy_json({"lab", "run", campaign.string(), "--dry-run"})["n_runs_to_do"];
    };
    EXPECT_EQ(n_runs_to_do(), 0) << quality["models"].dump(1);
    EXPECT_EQ(quality["models"].back()["run"]["base_from_cache"], true) << "the first of the two left it there";
    write_campaign("Q6_K");
    EXPECT_EQ(n_runs_to_do(), 2) << "another recipe, other weights";
    const Json estimate = shimmy_json({"lab", "run", campaign.string(), "--dry-run"})["estimate"];
    EXPECT_EQ(estimate["n_qualities_from_measured_times"], 1) << estimate;
    EXPECT_EQ(estimate["n_qualities_predicted"], 0) << estimate;
    EXPECT_GT(estimate["quality_ms"], 0.0);
    const std::string text = shimmy({"lab", "run", campaign.string(), "--dry-run"}).out;
    EXPECT_NE(
        text.find("1 file(s) to make, 2 of 4 runs to do (-v lists them), quality of 1 file(s) to measure\ndisk: "),
        std::string::npos)
        << text;
    EXPECT_NE(text.find("\nfrom measured times for the quality of 1 file(s)\nnot counted: "), std::string::npos)
        << text;
}

TEST(Lab, AxesFromTheFileToABundle) {
    SKIP_WITHOUT_MODULE();
    const BesideModelledGpu gpu;
    const TempDir dir;
    const fs::path campaign = dir / "axes.toml";
    const std::string out = (dir / "out").string();
    write_file_atomic(
        campaign,
        campaign_text("design = \"one-at-a-time\"\ndepth = [0, 16]\nthreads = [1, 2]\nload_mode = \"none\"\n"));
    const Json summary = shimmy_json({"lab", "run", campaign.string()});
    EXPECT_EQ(summary["n_valid_runs"], 2 * 2 * 3);
    EXPECT_TRUE(summary["missing"].empty()) << summary["missing"];
    ASSERT_EQ(summary["cells"].size(), 6U);
    std::set<int> threads;
    for (const Json & cell : summary["cells"]) {
        const Json run = read_json(dir / "out" / cell["samples"][0]["file"].get<std::string>());
        EXPECT_EQ(run["n_threads"], cell["axes"]["threads"]);
        EXPECT_EQ(run.value("depth", 0), cell["axes"]["depth"].get<int>());
        EXPECT_EQ(run["llama_args"], (Json{"--load-mode", "none"}));
        threads.insert(run["n_threads"].get<int>());
    }
    EXPECT_EQ(threads, (std::set<int>{1, 2}));
    EXPECT_EQ(summary["effects"].size(), 4U) << "two axes, two placements";
    EXPECT_NE(read_file(dir / "out/report.md").find("depth 16 against 0"), std::string::npos);

    const Json same = shimmy_json({"lab", "compare", out, out});
    EXPECT_EQ(same["n_changed"], 0);
    EXPECT_EQ(same["cells"].size(), 6U);
    EXPECT_TRUE(same["environment_differences"].empty());

    const std::string tar = (dir / "given.tar").string();
    const Json bundle = shimmy_json({"lab", "bundle", campaign.string(), "--output", tar});
    const Json verdict = shimmy_json({"lab", "verify", tar});
    EXPECT_TRUE(verdict["passed"]) << verdict;
    EXPECT_EQ(verdict["manifest_sha256"], bundle["manifest_sha256"]);
    expect_failure({"lab", "bundle", campaign.string(), "-o", tar}, 2, {"given.tar: is there already"});

    what_cannot_be_written_leaves_nothing(campaign);
    a_killed_bundle_goes_with_the_next(campaign);

    const std::string csv = (dir / "own.csv").string();
    EXPECT_EQ(shimmy({"lab", "export", campaign.string(), "--format", "csv", "-o", csv}).exit_code, 0);
    const Json imported = shimmy_json({"lab", "import", csv, "--into", campaign.string()});
    EXPECT_EQ(imported["tests"].size(), 2U * 6U);
    EXPECT_EQ(shimmy({"lab", "report", campaign.string()}).exit_code, 1) << "the model has no license, so no card";
    EXPECT_NE(read_file(dir / "out/report.md").find("## Imported measurements"), std::string::npos);
    EXPECT_EQ(Json::parse(read_file(dir / "out/summary.json")), summary) << "figures of others change none";
}

}  // namespace
}  // namespace shimmy::e2e
