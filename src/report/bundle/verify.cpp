#include "report/bundle/verify.h"

#include "base/error.h"
#include "base/json.h"
#include "base/process/subprocess.h"
#include "base/text/units.h"
#include "base/version.h"
#include "lab/measure/summary_json.h"
#include "lab/plan/plan_file.h"
#include "report/bundle/bundle.h"
#include "report/bundle/links.h"
#include "report/documents/answers.h"
#include "report/figures/experts.h"
#include "report/figures/tables.h"

#include <algorithm>
#include <cstdlib>

namespace shimmy::report {

namespace {

constexpr size_t MOST_PROBLEMS = 5;

// The folder of a bundle: itself, or unpacked for as long as this lives.
class Opened {
public:
    explicit Opened(const fs::path & bundle) : dir_(bundle) {
        if (!fs::exists(bundle)) fail("{}: not there", bundle.string());
        if (fs::is_directory(bundle)) return;
        std::string name = (temporary_dir() / "shimmy-bundle-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) fail("{}: cannot be made", name);
        unpacked_ = name;
        try {
            unpack(bundle);
        } catch (...) {
            remove();
            throw;
        }
    }
    ~Opened() { remove(); }
    Opened(const Opened &) = delete;
    Opened & operator=(const Opened &) = delete;

    const fs::path & dir() const { return dir_; }

private:
    void unpack(const fs::path & bundle) {
        const ProcessResult tar =
            run_process({"tar", "-C", unpacked_.string(), "--no-same-owner", "-xf", fs::absolute(bundle).string()});
        if (!tar.ok()) fail("{}: is neither a folder nor a .tar file that can be unpacked", bundle.string());
        dir_ = unpacked_;
        if (fs::exists(dir_ / MANIFEST)) return;
        for (const fs::directory_entry & entry : fs::directory_iterator(unpacked_)) {
            if (entry.is_directory() && fs::exists(entry.path() / MANIFEST)) dir_ = entry.path();
        }
        if (dir_ == unpacked_) fail("{}: is no bundle: it holds no {}", bundle.string(), MANIFEST);
    }
    void remove() {
        std::error_code ignored;
        if (!unpacked_.empty()) fs::remove_all(unpacked_, ignored);
    }

    fs::path dir_;
    fs::path unpacked_;
};

std::string named(const std::vector<std::string> & problems) {
    std::string text;
    for (size_t i = 0; i < std::min(problems.size(), MOST_PROBLEMS); ++i)
        text += (i == 0 ? "" : "; ") + problems[i];
    if (problems.size() > MOST_PROBLEMS) text += fmt::format("; and {} more", problems.size() - MOST_PROBLEMS);
    return text;
}

BundleCheck check_files(const Manifest & manifest, const fs::path & dir) {
    const std::vector<BundleFile> there = list_files(dir);
    const auto find = [](const std::vector<BundleFile> & files, const std::string & name) {
        return std::find_if(files.begin(), files.end(), [&](const BundleFile & file) { return file.file == name; });
    };
    std::vector<std::string> problems;
    uint64_t n_bytes = 0;
    for (const BundleFile & file : manifest.files) {
        n_bytes += file.size_bytes;
        const auto found = find(there, file.file);
        if (found == there.end()) {
            problems.push_back(file.file + " is missing");
        } else if (found->sha256 != file.sha256 || found->size_bytes != file.size_bytes) {
            problems.push_back(file.file + " was altered");
        }
    }
    for (const BundleFile & file : there) {
        if (find(manifest.files, file.file) == manifest.files.end())
            problems.push_back(file.file + " does not belong to it");
    }
    if (!problems.empty()) return {"files", false, named(problems)};
    return {"files", true,
            fmt::format("{} files, {}: each has its sha256", manifest.files.size(), format_bytes(n_bytes))};
}

// Has every run that gives no figures been left out of the summary, too?
BundleCheck check_runs(const lab::CampaignPlan & plan, const lab::Summary & summary, const Json & stored) {
    const size_t n_missing = stored.at("missing").size();
    const size_t n_valid = stored.at("n_valid_runs");
    const bool passed = n_valid == summary.n_valid_runs && n_missing == summary.missing.size() &&
                        n_valid + n_missing == plan.runs.size();
    if (!passed)
        return {"runs", false,
                fmt::format("of {} planned runs {} have valid results; the summary counts {}, and {} without",
                            plan.runs.size(), summary.n_valid_runs, n_valid, n_missing)};
    return {"runs", true,
            fmt::format("{} of {} runs have results{}", n_valid, plan.runs.size(),
                        n_missing > 0 ? fmt::format("; the summary names the {} without", n_missing) : "")};
}

BundleCheck check_figures(const lab::Summary & summary, const Json & stored) {
    const std::string found = figures_difference(stored, lab::to_json(summary));
    if (!found.empty()) return {"figures", false, "summary.json is not what the results say: " + found};
    return {"figures", true, "recomputed from the results: equal to summary.json"};
}

// A file that follows from the results; `now` is what it should hold.
BundleCheck check_derived(const char * name, const fs::path & file, const std::string & now) {
    const std::string what = file.filename().string();
    if (!fs::exists(file)) return {name, now.empty(), now.empty() ? "there is no " + what : what + " is missing"};
    const bool same = read_file(file) == now;
    return {name, same, fmt::format("{} is {}what the results say", what, same ? "" : "not ")};
}

BundleCheck check_table(const lab::Summary & summary, const fs::path & dir) {
    if (!fs::exists(dir / "results.csv")) return {"table", true, "there is no results.csv"};
    return check_derived("table", dir / "results.csv", results_csv(summary));
}

BundleCheck check_experts(const lab::CampaignPlan & plan, const fs::path & dir) {
    const std::string csv = expert_tensors_csv(plan);
    BundleCheck check = check_derived("experts", dir / "expert_tensors.csv", csv);
    if (!check.passed || csv.empty()) return check;
    const std::string misplaced = misplaced_experts(plan);
    if (!misplaced.empty()) return {"experts", false, misplaced};
    check.text += fmt::format(": {} expert tensors, each where its placement puts it",
                              std::count(csv.begin(), csv.end(), '\n') - 1);
    return check;
}

BundleCheck check_links(const fs::path & dir) {
    const std::vector<std::string> broken = broken_links(dir);
    if (!broken.empty()) return {"links", false, "lead nowhere: " + named(broken)};
    return {"links", true, "every file that a document names is there"};
}

// Every chart as SVG and as PNG.
BundleCheck check_charts(const fs::path & dir) {
    size_t n_charts = 0;
    std::vector<std::string> problems;
    if (fs::is_directory(dir / "charts")) {
        for (const fs::directory_entry & entry : fs::recursive_directory_iterator(dir / "charts")) {
            fs::path other = entry.path();
            if (!entry.is_regular_file()) continue;
            other.replace_extension(entry.path().extension() == ".svg" ? ".png" : ".svg");
            if (!fs::exists(other)) problems.push_back(other.lexically_relative(dir).generic_string() + " is missing");
            n_charts += entry.path().extension() == ".svg" ? 1 : 0;
        }
    }
    std::sort(problems.begin(), problems.end());
    if (!problems.empty()) return {"charts", false, named(problems)};
    return {"charts", true, fmt::format("{} charts, each as SVG and PNG", n_charts)};
}

// What another version computed need not be what this one computes of the same results: that is no fault of the bundle.
BundleCheck of_version(BundleCheck check, const std::string & written_by) {
    if (check.passed || written_by == shimmy_version()) return check;
    check.compared = false;
    check.text = fmt::format("not compared: shimmy {} wrote the bundle, and {} finds otherwise ({})", written_by,
                             shimmy_version(), check.text);
    return check;
}

void check_content(const fs::path & dir, const std::string & written_by, std::vector<BundleCheck> & checks) {
    const auto add_computed = [&](BundleCheck check) { checks.push_back(of_version(std::move(check), written_by)); };
    try {
        const lab::CampaignPlan plan = lab::read_plan(dir);
        const lab::Summary summary = lab::summarize_campaign(plan);
        const Json stored = read_json(dir / "summary.json");
        add_computed(check_runs(plan, summary, stored));
        add_computed(check_figures(summary, stored));
        add_computed(check_table(summary, dir));
        add_computed(check_derived("answers", dir / "answers.md", answers_document(summary)));
        add_computed(check_experts(plan, dir));
    } catch (const Interrupted &) {
        throw;
    } catch (const Error & error) {
        add_computed({"figures", false, error.what()});
    } catch (const Json::exception & error) {
        add_computed({"figures", false, fmt::format("summary.json is damaged ({})", error.what())});
    }
    checks.push_back(check_charts(dir));
    checks.push_back(check_links(dir));
}

}  // namespace

bool Verdict::passed() const {
    return std::all_of(checks.begin(), checks.end(),
                       [](const BundleCheck & check) { return check.passed || !check.compared; });
}

bool Verdict::all_compared() const {
    return std::all_of(checks.begin(), checks.end(), [](const BundleCheck & check) { return check.compared; });
}

Verdict verify_bundle(const fs::path & bundle) {
    const Opened opened(bundle);
    Verdict verdict;
    verdict.manifest = read_manifest(opened.dir());
    verdict.manifest_sha256 = sha256_file_hex(opened.dir() / MANIFEST);
    verdict.checks.push_back(check_files(verdict.manifest, opened.dir()));
    check_content(opened.dir(), verdict.manifest.written_by, verdict.checks);
    return verdict;
}

}  // namespace shimmy::report
