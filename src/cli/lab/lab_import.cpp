// shimmy lab import and shimmy lab export: figures from and for programs that speak llama-bench's form.
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/lab/lab_commands.h"
#include "lab/import/llama_bench.h"
#include "lab/import/llama_bench_export.h"
#include "lab/plan/plan_file.h"
#include "publish/campaign_source.h"
#include "report/figures/imported.h"

#include <memory>

namespace shimmy::cli {

namespace {

struct ImportArguments {
    std::string file;
    std::string campaign;
};

int run_import(const ImportArguments & options, const Globals & globals) {
    const lab::ImportedFile imported = lab::read_llama_bench(options.file);
    std::string stored;
    if (!options.campaign.empty()) {
        const publish::CampaignSource source = publish::find_campaign(options.campaign, "");
        if (!fs::is_directory(source.out_dir))
            fail("{}: there is no such folder yet: run the campaign first", source.out_dir.string());
        stored = lab::store_imported(imported, source.out_dir).string();
    }
    if (globals.json) {
        Json document = lab::to_json(imported);
        document["stored"] = stored.empty() ? Json(nullptr) : Json(stored);
        fmt::print("{}\n", json_text(document));
        return 0;
    }
    fmt::print("{}: {} test(s) of llama-bench\n\n{}\n", options.file, imported.tests.size(),
               report::imported_table(imported).text());
    if (stored.empty()) {
        fmt::print("Shown only: --into CAMPAIGN puts it beside the campaign's own figures.\n");
    } else {
        fmt::print("{}: written; shimmy lab report {} shows it in the documents.\n", stored, options.campaign);
    }
    return 0;
}

struct ExportArguments {
    std::string campaign;
    std::string format = "json";
    std::string output;
};

int run_export(const ExportArguments & options) {
    const publish::CampaignSource source = publish::find_campaign(options.campaign, "");
    const Json tests = lab::llama_bench_tests(lab::read_plan(source.out_dir));
    const std::string text = options.format == "csv" ? lab::llama_bench_csv(tests) : json_text(tests) + "\n";
    if (options.output.empty()) {
        fmt::print("{}", text);
    } else {
        write_file_atomic(options.output, text);
        fmt::print("{}: {} test(s)\n", options.output, tests.size());
    }
    return 0;
}

}  // namespace

void add_lab_import(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<ImportArguments>();
    CLI::App * command = commands.add(
        "import", "read llama-bench's JSON, JSON lines or CSV, and put it beside a campaign's figures",
        [options, &commands] { return run_import(*options, commands.globals()); }, lab);
    command->add_option("file", options->file, "what llama-bench -o json, jsonl or csv wrote")
        ->type_name("FILE")
        ->required();
    command->add_option("--into", options->campaign, "campaign file, or its output folder (default: show it only)")
        ->type_name("CAMPAIGN");
    command->footer(
        "Imported figures stand in tables of their own in report.md, report.html and whitepaper.md, marked as "
        "llama-bench's, after those that the campaign measured of model files of the same name. They change no figure of "
        "the campaign. To take one out again, remove its file under imported/ of the campaign's folder.");
}

void add_lab_export(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<ExportArguments>();
    CLI::App * command = commands.add(
        "export", "write a campaign's figures in llama-bench's form", [options] { return run_export(*options); }, lab);
    command->add_option("campaign", options->campaign, "campaign file, or its output folder")
        ->type_name("CAMPAIGN")
        ->required();
    command->add_option("--format", options->format, "llama-bench's form")
        ->check(CLI::IsMember({"json", "csv"}))
        ->capture_default_str();
    command->add_option("--output,-o", options->output, "file to write (default: standard output)")->type_name("FILE");
    command->footer(
        "Runs in process (mode generate): a test for the prefill of each prompt length, and one for the decoding behind "
        "it. build_commit tells shimmy and its llama.cpp.");
}

}  // namespace shimmy::cli
