#include "report/bundle/bundle.h"

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/text/text.h"
#include "base/text/toml_reader.h"
#include "base/version.h"
#include "lab/measure/summary_json.h"
#include "lab/plan/plan_file.h"
#include "report/bundle/manifest.h"
#include "report/figures/experts.h"

#include <array>
#include <cmath>
#include <sstream>

namespace shimmy::report {

namespace {

// Figures, and what they depend on. The rest of a summary is paths, and what people wrote for model cards.
constexpr std::array FIGURES{
    "shimmy_version", "llama_cpp_version", "device",       "host",     "n_threads", "first_run_at",
    "last_run_at",    "n_valid_runs",      "rows",         "cells",    "streaming", "load",
    "effects",        "missing",           "interactions", "settings", "variants",  "tasks"};
constexpr double SAME = 1e-9;  // relative: another machine's libm may round otherwise

bool is_path(const std::string & place) {
    const bool listed = place.starts_with("variants/") || place.starts_with("missing/");
    return (listed && place.ends_with("/file")) || place == "settings/quality/text";
}

std::string difference(const Json & stored, const Json & recomputed, const std::string & place) {
    if (is_path(place)) return "";
    if (stored.is_object() && recomputed.is_object()) {
        for (const auto & [key, value] : stored.items()) {
            const std::string inner = place + "/" + key;
            if (!recomputed.contains(key)) return inner + ": not among what the results say";
            std::string found = difference(value, recomputed.at(key), inner);
            if (!found.empty()) return found;
        }
        return "";
    }
    if (stored.is_array() && recomputed.is_array() && stored.size() == recomputed.size()) {
        for (size_t i = 0; i < stored.size(); ++i) {
            std::string found = difference(stored[i], recomputed[i], fmt::format("{}/{}", place, i));
            if (!found.empty()) return found;
        }
        return "";
    }
    if (stored.is_number() && recomputed.is_number()) {
        const double a = stored;
        const double b = recomputed;
        if (std::abs(a - b) <= SAME * std::max(std::abs(a), std::abs(b))) return "";
    }
    if (stored == recomputed) return "";
    constexpr size_t SHOWN = 40;
    return fmt::format("{}: {}, recomputed {}", place, json_text(stored, -1).substr(0, SHOWN),
                       json_text(recomputed, -1).substr(0, SHOWN));
}

void copy_into(const fs::path & from, const fs::path & to) {
    make_folders(to.parent_path());
    write_file_atomic(to, read_file(from));
}

// Documents, charts and quality figures, as far as they are there.
void copy_documents(const fs::path & out_dir, const fs::path & dir) {
    for (const char * name :
         {"summary.json", "results.csv", "report.md", "report.html", "whitepaper.md", "answers.md", "checklist.md"}) {
        if (fs::exists(out_dir / name)) copy_into(out_dir / name, dir / name);
    }
    for (const char * folder : {"cards", "charts", "quality", "hardware", "imported"}) {
        if (!fs::is_directory(out_dir / folder)) continue;
        for (const fs::directory_entry & entry : fs::recursive_directory_iterator(out_dir / folder)) {
            const std::string type = entry.path().extension().string();
            if (entry.is_regular_file() && (type == ".md" || type == ".svg" || type == ".png" || type == ".json"))
                copy_into(entry.path(), dir / entry.path().lexically_relative(out_dir));
        }
    }
}

// The results of the plan's runs, and the command line of each.
void copy_results(const lab::CampaignPlan & plan, const fs::path & dir) {
    std::string commands;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const fs::path file = plan.result_path_of(i);
        if (!fs::exists(file)) continue;
        const fs::path name = file.lexically_relative(plan.campaign.out_dir);
        copy_into(file, dir / name);
        const fs::path trace = lab::trace_path(plan.campaign, plan.variant_of(i), plan.runs[i]);
        if (!trace.empty() && fs::exists(trace))
            copy_into(trace, dir / trace.lexically_relative(plan.campaign.out_dir));
        const Json result = read_json(file);
        const Json::json_pointer command_line("/run/command_line");
        if (!result.is_object() || !result.contains(command_line)) continue;
        std::string line;
        for (const Json & word : result.at(command_line))
            line += (line.empty() ? "" : " ") + shell_quoted(word.get<std::string>());
        commands += fmt::format("# {}\n{}\n", name.generic_string(), line);
    }
    write_file_atomic(dir / "commands.txt", commands);
}

Json environment_document(const lab::CampaignPlan & plan, const Json & summary) {
    Json document = Json::object();
    for (const char * key :
         {"shimmy_version", "llama_cpp_version", "device", "host", "n_threads", "first_run_at", "last_run_at"})
        document[key] = summary.value(key, Json());
    document["program"] = plan.program_version;
    document["gpu_backend"] = plan.backends.gpu;
    document["moe_backend"] = plan.backends.moe;
    document["moe_cache"] = plan.backends.moe_cache;
    document["command"] = plan.command;
    document["models"] = Json::array();
    for (const Json & file : summary.at("variants")) {
        document["models"].push_back({{"model", file.at("model")},
                                      {"quantization", file.at("quantization")},
                                      {"file", fs::path(file.at("file").get<std::string>()).filename().string()},
                                      {"size_bytes", file.at("file_size_bytes")},
                                      {"sha256", file.at("model_sha256")}});
    }
    return document;
}

// The campaign with its prompts in it: a file beside it would not be there on another machine.
std::string self_contained(const lab::Campaign & campaign) {
    toml::table root = parse_toml(campaign.text, campaign.file.string());
    if (!root.contains("prompts_file")) return campaign.text;
    root.erase("prompts_file");
    toml::array prompts;
    for (const lab::Prompt & prompt : campaign.prompts)
        prompts.push_back(toml::table{{"id", prompt.id}, {"text", prompt.text}});
    root.insert("prompts", prompts);
    std::ostringstream text;
    text << root << "\n";
    return text.str();
}

// "bundle/" is "bundle".
fs::path without_slash(const fs::path & path) {
    return path.has_filename() ? path : path.parent_path();
}

void check_target(const fs::path & target) {
    std::error_code ignored;
    const bool is_free = !fs::exists(target) || (fs::is_directory(target, ignored) && fs::is_empty(target, ignored));
    if (!is_free) fail_usage("{}: is there already: choose another --output", target.string());
}

Json checked_summary(const lab::CampaignPlan & plan, const lab::Summary & summary) {
    const fs::path & out_dir = plan.campaign.out_dir;
    const fs::path file = out_dir / "summary.json";
    if (!summary.has_figures()) fail("{}: no run has figures yet: {}", out_dir.string(), plan.command);
    if (!fs::exists(file)) fail("{}: not there: shimmy lab report writes it", file.string());
    const Json stored = read_json(file);
    if (!stored.is_object()) fail("{}: is damaged: shimmy lab report writes it anew", file.string());
    const std::string found = figures_difference(stored, lab::to_json(summary));
    if (!found.empty())
        fail("{}: is not what the results say ({}): shimmy lab report writes it anew", file.string(), found);
    return stored;
}

void make_tar(const fs::path & dir, const fs::path & target) {
    PartFile part(target);
    // The same files give the same bytes.
    const ProcessResult tar =
        run_process({"tar", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0",
                     "-C", dir.parent_path().string(), "-cf", part.path().string(), dir.filename().string()});
    if (!tar.ok()) fail("tar could not write {}: {}", target.string(), tar.err);
    part.commit();
}

}  // namespace

std::string figures_difference(const Json & stored, const Json & recomputed) {
    for (const char * key : FIGURES) {
        if (!stored.contains(key)) continue;
        if (!recomputed.contains(key)) return std::string(key) + ": not among what the results say";
        std::string found = difference(stored.at(key), recomputed.at(key), key);
        if (!found.empty()) return found;
    }
    return "";
}

Bundle write_bundle(const fs::path & out_dir, const fs::path & given_target) {
    const fs::path target = without_slash(given_target);
    check_target(target);
    lab::CampaignPlan plan = lab::read_plan(out_dir);
    const lab::Summary summary = lab::summarize_campaign(plan);
    const Json stored = checked_summary(plan, summary);
    const bool is_tar = target.extension() == ".tar";
    const fs::path parent = fs::absolute(target).parent_path();
    make_folders(parent);
    const PartFolder staging(parent / (is_tar ? target.stem() : target.filename()));
    const fs::path dir = staging.path() / (is_tar ? target.stem() : target.filename());
    make_folders(dir);
    copy_documents(out_dir, dir);
    copy_results(plan, dir);
    write_file_atomic(dir / "environment.json", json_text(environment_document(plan, stored)) + "\n");
    const std::string experts = expert_tensors_csv(plan);
    if (!experts.empty()) write_file_atomic(dir / "expert_tensors.csv", experts);
    write_file_atomic(dir / "campaign.toml", plan.campaign.text);
    plan.campaign.text = self_contained(plan.campaign);
    plan.campaign.out_dir = dir;
    lab::write_plan(plan);
    const Manifest manifest{plan.campaign.name, stored.value("shimmy_version", ""),
                            stored.value("llama_cpp_version", ""), shimmy_version(), list_files(dir)};
    write_manifest(manifest, dir);
    Bundle bundle{target, manifest.files.size(), 0, sha256_file_hex(dir / MANIFEST)};
    for (const BundleFile & file : manifest.files)
        bundle.n_bytes += file.size_bytes;
    if (is_tar) {
        make_tar(dir, target);
    } else {
        fs::remove(target);  // an empty folder
        fs::rename(dir, target);
    }
    return bundle;
}

}  // namespace shimmy::report
