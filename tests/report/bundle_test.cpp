// Bundles: what is in one, and what verifying one notices.
#include "report/bundle/bundle.h"
#include "report/bundle/manifest.h"
#include "report/bundle/verify.h"

#include "axes_campaign.h"
#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/version.h"
#include "lab/plan/plan_file.h"
#include "report/documents/documents.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::report {
namespace {

class BundleOf : public ::testing::Test {
protected:
    // A measured campaign, with its files as `lab run` leaves them. The prompts are in a file of their own.
    BundleOf() {
        lab::CampaignPlan plan = lab::axes_plan(dir_.path());
        write_file_atomic(dir_ / "prompts.toml", "[[prompts]]\nid = \"a\"\ntext = \"Text | a\"\n");
        std::string text = plan.campaign.text;
        const std::string prompts = "[[prompts]]\nid = \"a\"\ntext = \"Text a\"\n";
        text.replace(text.find(prompts), prompts.size(), "");
        plan.campaign = lab::parse_campaign("prompts_file = \"prompts.toml\"\n" + text, dir_ / "axes.toml");
        plan.program_version = "shimmy 0.1.0 (llama.cpp 0.5.0)";
        plan.command = "shimmy lab run axes.toml";
        for (size_t i = 0; i < plan.runs.size(); ++i) {
            Json & document = plan.results[i].document;
            document["run"] = {{"settings", plan.settings_of(i)},
                               {"started_at", "2026-01-01T00:00:00Z"},
                               {"command_line", {"shimmy", "generate", "--prompt=Text | a"}}};
            const bool offloads = plan.runs[i].placement.offloads();
            if (offloads) document["text"] = "another answer";
            document["expert_tensors"] = {{{"name", "blk.0.ffn_up_exps.weight"},
                                           {"type", "f16"},
                                           {"buffer_type", offloads ? "CPU_Mapped" : "Vulkan0"},
                                           {"host", offloads},
                                           {"bytes", 4096}}};
            fs::create_directories(plan.result_path_of(i).parent_path());
            write_file_atomic(plan.result_path_of(i), document.dump(2) + "\n");
        }
        lab::write_plan(plan);
        write_documents(lab::summarize_campaign(lab::read_plan(out())), out(), "axes.toml", plan.command);
    }

    fs::path out() const { return dir_ / "out"; }
    fs::path bundle() const { return dir_ / "bundle"; }
    fs::path result() const { return bundle() / "results/m/F16/offload/generate/ubatch=512,threads=4/a-2.json"; }

    // Name and text of each check that failed.
    static std::string failures(const fs::path & path) {
        std::string text;
        for (const BundleCheck & check : verify_bundle(path).checks)
            if (!check.passed) text += check.name + ": " + check.text + "\n";
        return text;
    }
    // After a change that the manifest is made to agree with.
    std::string failures_behind_hashes() const {
        Manifest manifest = read_manifest(bundle());
        manifest.files = list_files(bundle());
        write_manifest(manifest, bundle());
        return failures(bundle());
    }
    template <typename Edit>
    static void edit(const fs::path & file, const Edit & change) {
        Json document = read_json(file);
        change(document);
        write_file_atomic(file, json_text(document) + "\n");
    }

    TempDir dir_;
};

TEST_F(BundleOf, HoldsWhatAnotherMachineNeeds) {
    const Bundle written = write_bundle(out(), bundle());
    for (const char * name : {"manifest.json",
                              "campaign.toml",
                              "campaign.json",
                              "summary.json",
                              "results.csv",
                              "report.md",
                              "report.html",
                              "whitepaper.md",
                              "environment.json",
                              "commands.txt",
                              "answers.md",
                              "expert_tensors.csv",
                              "charts/m/vram.svg",
                              "charts/m/vram.png",
                              "charts/m/speed.svg",
                              "charts/m/speed.png",
                              "charts/m/axes-threads-decode-rate.svg",
                              "charts/m/axes-threads-decode-rate.png",
                              "charts/m/latency-f16.svg",
                              "charts/m/latency-f16.png"})
        EXPECT_TRUE(fs::is_regular_file(bundle() / name)) << name;
    EXPECT_TRUE(fs::is_regular_file(result()));
    EXPECT_EQ(written.n_files, 11U + 2U * 17U + 1U + 24U) << "with checklist.md and 24 results, without the manifest";
    EXPECT_EQ(read_file(bundle() / "expert_tensors.csv"),
              "model,quantization,placement,tensor,type,buffer,memory,bytes\r\n"
              "m,F16,baseline,blk.0.ffn_up_exps.weight,f16,Vulkan0,VRAM,4096\r\n"
              "m,F16,offload,blk.0.ffn_up_exps.weight,f16,CPU_Mapped,RAM,4096\r\n");
    EXPECT_EQ(written.manifest_sha256, sha256_file_hex(bundle() / "manifest.json"));
    const std::string commands = read_file(bundle() / "commands.txt");
    EXPECT_NE(commands.find("a-2.json\n'shimmy' 'generate' '--prompt=Text | a'\n"), std::string::npos) << commands;
    const Json environment = read_json(bundle() / "environment.json");
    EXPECT_EQ(environment["models"][0]["sha256"], "abc");
    EXPECT_EQ(environment["models"][0]["file"], "m.gguf");
    const std::string answers = read_file(bundle() / "answers.md");
    EXPECT_NE(answers.find("Text | a"), std::string::npos) << answers;
    EXPECT_NE(answers.find("| F16 | an answer | no defect found | baseline, in process, ubatch 256, threads 2<br>"),
              std::string::npos)
        << answers;
    EXPECT_NE(answers.find("| F16 | another answer | no defect found | offload, in process"), std::string::npos)
        << answers;
}

TEST_F(BundleOf, PassesWhereTheCampaignIsNot) {
    write_bundle(out(), bundle());
    fs::remove_all(out());
    fs::remove(dir_ / "prompts.toml");
    const Verdict verdict = verify_bundle(bundle());
    EXPECT_TRUE(verdict.passed()) << failures(bundle());
    ASSERT_EQ(verdict.checks.size(), 8U);
    EXPECT_EQ(verdict.checks[1].text, "24 of 24 runs have results");
    EXPECT_EQ(verdict.checks[5].text,
              "expert_tensors.csv is what the results say: 2 expert tensors, each where its placement puts it");
    EXPECT_EQ(verdict.checks[6].text, "17 charts, each as SVG and PNG") << "seven of each axis, memory, speed, latency";
    EXPECT_EQ(verdict.checks[7].text, "every file that a document names is there");
    EXPECT_EQ(verdict.manifest.campaign, "axes");
}

TEST_F(BundleOf, ATarFileIsTheSame) {
    write_bundle(out(), bundle());
    const Bundle tar = write_bundle(out(), dir_ / "given.tar");
    const TempDir temporary;  // where it is unpacked
    ::setenv("TMPDIR", temporary.path().c_str(), 1);
    const Verdict verdict = verify_bundle(dir_ / "given.tar");
    ::unsetenv("TMPDIR");
    EXPECT_TRUE(fs::is_empty(temporary.path()));
    EXPECT_TRUE(verdict.passed());
    EXPECT_EQ(verdict.manifest_sha256, tar.manifest_sha256);
    write_bundle(out(), dir_ / "again.tar");
    EXPECT_TRUE(verify_bundle(dir_ / "again.tar").passed());
    for (const fs::directory_entry & entry : fs::directory_iterator(dir_.path()))
        EXPECT_NE(entry.path().extension(), ".part") << entry.path();
}

TEST_F(BundleOf, AlterationsAreNoticed) {
    write_bundle(out(), bundle());
    edit(result(), [](Json & document) { document["decode_tps"] = 99.0; });
    EXPECT_NE(
        failures(bundle()).find("files: results/m/F16/offload/generate/ubatch=512,threads=4/a-2.json was altered"),
        std::string::npos)
        << failures(bundle());
    // With hashes that fit, the figures tell.
    EXPECT_NE(failures_behind_hashes().find("figures: summary.json is not what the results say"), std::string::npos);
    EXPECT_NE(failures_behind_hashes().find("table: results.csv is not"), std::string::npos);
    EXPECT_EQ(failures_behind_hashes().find("files:"), std::string::npos);
}

TEST_F(BundleOf, AFigureThatWasMadeUpIsNoticed) {
    write_bundle(out(), bundle());
    edit(bundle() / "summary.json", [](Json & summary) {
        summary["effects"][0]["prefill_percent"]["mean"] =
            summary["effects"][0]["prefill_percent"]["mean"].get<double>() + 1e-4;
    });
    EXPECT_TRUE(failures_behind_hashes().starts_with(
        "figures: summary.json is not what the results say: effects/0/prefill_percent/mean: 100.0001"))
        << failures_behind_hashes();
}

// What follows from the results is computed again; what a document names must be there.
TEST_F(BundleOf, DocumentsThatDoNotFollowAreNoticed) {
    write_bundle(out(), bundle());
    write_file_atomic(bundle() / "answers.md", read_file(bundle() / "answers.md") + "and more\n");
    EXPECT_EQ(failures_behind_hashes(), "answers: answers.md is not what the results say\n");
    fs::remove(bundle() / "answers.md");
    EXPECT_EQ(failures_behind_hashes(),
              "answers: answers.md is missing\nlinks: lead nowhere: whitepaper.md: answers.md\n");
}

TEST_F(BundleOf, ExpertsElsewhereAreNoticed) {
    write_bundle(out(), bundle());
    for (const fs::directory_entry & entry : fs::recursive_directory_iterator(bundle() / "results/m/F16/offload")) {
        if (!entry.is_regular_file()) continue;
        edit(entry.path(), [](Json & document) {
            document["expert_tensors"][0]["host"] = false;
            document["expert_tensors"][0]["buffer_type"] = "Vulkan0";
        });
    }
    std::string csv = read_file(bundle() / "expert_tensors.csv");
    csv.replace(csv.find("CPU_Mapped,RAM"), 14, "Vulkan0,VRAM");
    write_file_atomic(bundle() / "expert_tensors.csv", csv);
    const std::string found = failures_behind_hashes();
    EXPECT_NE(found.find("experts: m F16 offload, "), std::string::npos) << found;
    EXPECT_NE(found.find("blk.0.ffn_up_exps.weight lies in Vulkan0"), std::string::npos) << found;
}

TEST_F(BundleOf, AChartWithoutItsOtherFormIsNoticed) {
    write_bundle(out(), bundle());
    fs::remove(bundle() / "charts/m/speed.png");
    EXPECT_EQ(failures_behind_hashes(), "charts: charts/m/speed.png is missing\n");
    fs::remove(bundle() / "charts/m/speed.svg");
    EXPECT_EQ(failures_behind_hashes(),
              "links: lead nowhere: report.md: charts/m/speed.svg; whitepaper.md: charts/m/speed.svg\n");
}

TEST_F(BundleOf, WhatIsMissingOrAddedIsNoticed) {
    write_bundle(out(), bundle());
    fs::remove(result());
    write_file_atomic(bundle() / "more.txt", "more");
    const std::string found = failures(bundle());
    EXPECT_NE(found.find("a-2.json is missing"), std::string::npos) << found;
    EXPECT_NE(found.find("more.txt does not belong to it"), std::string::npos) << found;
    EXPECT_NE(
        failures_behind_hashes().find("runs: of 24 planned runs 23 have valid results; the summary counts 24, and 0 "
                                      "without"),
        std::string::npos)
        << failures_behind_hashes();
}

TEST_F(BundleOf, RunsThatTheSummaryNamesMayBeMissing) {
    fs::remove(out() / "results/m/F16/offload/generate/ubatch=512,threads=4/a-2.json");
    EXPECT_THROW(write_bundle(out(), bundle()), Error) << "the documents are older than the results";
    write_documents(lab::summarize_campaign(lab::read_plan(out())), out(), "axes.toml", "shimmy lab run axes.toml");
    write_bundle(out(), bundle());
    const Verdict verdict = verify_bundle(bundle());
    EXPECT_TRUE(verdict.passed()) << failures(bundle());
    EXPECT_EQ(verdict.checks[1].text, "23 of 24 runs have results; the summary names the 1 without");
}

TEST_F(BundleOf, NothingIsOverwritten) {
    fs::create_directories(bundle());
    write_file_atomic(bundle() / "mine.txt", "mine");
    EXPECT_THROW(write_bundle(out(), bundle()), UsageError);
    EXPECT_EQ(read_file(bundle() / "mine.txt"), "mine");
    write_file_atomic(dir_ / "mine.tar", "mine");
    EXPECT_THROW(write_bundle(out(), dir_ / "mine.tar"), UsageError);
    fs::remove(bundle() / "mine.txt");
    EXPECT_NO_THROW(write_bundle(out(), bundle())) << "an empty folder is free";
    EXPECT_THROW(write_bundle(out(), dir_ / "bundle/"), UsageError) << "the same folder";
    write_bundle(out(), dir_ / "other/");
    EXPECT_TRUE(fs::exists(dir_ / "other/manifest.json"));
}

// Another version may compute otherwise: that is said, and is no fault of the bundle. Its hashes are checked all the
// same.
TEST_F(BundleOf, OfAnotherVersionIsComparedAsFarAsItAgrees) {
    write_bundle(out(), bundle());
    EXPECT_EQ(read_manifest(bundle()).written_by, shimmy_version());
    edit(bundle() / "manifest.json", [](Json & manifest) { manifest["written_by"] = "9.9.9"; });
    Verdict verdict = verify_bundle(bundle());
    EXPECT_TRUE(verdict.passed());
    EXPECT_TRUE(verdict.all_compared()) << "it computes alike";
    edit(bundle() / "summary.json", [](Json & summary) { summary["cells"][0]["vram_bytes"] = 1; });
    Manifest manifest = read_manifest(bundle());
    manifest.files = list_files(bundle());
    write_manifest(manifest, bundle());
    verdict = verify_bundle(bundle());
    EXPECT_TRUE(verdict.passed());
    EXPECT_FALSE(verdict.all_compared());
    EXPECT_NE(failures(bundle()).find(
                  "figures: not compared: shimmy 9.9.9 wrote the bundle, and " + std::string(shimmy_version()) +
                  " finds otherwise (summary.json is not what the results say: cells/0/vram_bytes: 1"),
              std::string::npos)
        << failures(bundle());
    // A plan of a form that this version does not know.
    write_file_atomic(bundle() / "campaign.json", "{\"campaign\": 3}\n");
    manifest.files = list_files(bundle());
    write_manifest(manifest, bundle());
    verdict = verify_bundle(bundle());
    EXPECT_TRUE(verdict.passed()) << failures(bundle());
    EXPECT_FALSE(verdict.all_compared());
    manifest.written_by = shimmy_version();
    write_manifest(manifest, bundle());
    EXPECT_FALSE(verify_bundle(bundle()).passed()) << "the same version reads what it wrote";
    manifest.written_by = "9.9.9";
    write_manifest(manifest, bundle());
    fs::remove(bundle() / "charts/m/speed.png");
    EXPECT_FALSE(verify_bundle(bundle()).passed()) << "what is missing is missing in any version";
}

// One of before the manifest said who wrote it.
TEST_F(BundleOf, WithoutAWriterItIsOfTheVersionThatMeasured) {
    write_bundle(out(), bundle());
    edit(bundle() / "manifest.json", [](Json & manifest) {
        manifest.erase("written_by");
        manifest["more"] = "of a later version";
    });
    EXPECT_EQ(read_manifest(bundle()).written_by, "0.1.0");
    EXPECT_TRUE(verify_bundle(bundle()).passed());
}

TEST_F(BundleOf, WhatIsNoBundleIsTold) {
    const auto reason = [](const fs::path & path) -> std::string {
        try {
            verify_bundle(path);
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    };
    EXPECT_NE(reason(dir_ / "absent").find("not there"), std::string::npos);
    EXPECT_NE(reason(out()).find("is no bundle"), std::string::npos);
    write_file_atomic(dir_ / "text.tar", "no tar");
    EXPECT_NE(reason(dir_ / "text.tar").find("neither a folder nor a .tar file"), std::string::npos);
    run_process({"tar", "-C", out().string(), "-cf", (dir_ / "other.tar").string(), "report.md"});
    EXPECT_NE(reason(dir_ / "other.tar").find("is no bundle"), std::string::npos);
    write_bundle(out(), bundle());
    edit(bundle() / "manifest.json", [](Json & manifest) { manifest["bundle_format"] = 2; });
    EXPECT_NE(reason(bundle()).find("has format 2, and this shimmy reads format 1"), std::string::npos);
}

}  // namespace
}  // namespace shimmy::report
