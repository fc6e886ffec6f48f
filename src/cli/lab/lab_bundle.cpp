// shimmy lab bundle and shimmy lab verify: a measurement to hand on, and its check on another machine.
#include "base/error.h"
#include "base/json.h"
#include "base/text/units.h"
#include "cli/lab/lab_commands.h"
#include "publish/campaign_source.h"
#include "report/bundle/bundle.h"
#include "report/bundle/verify.h"

#include <memory>

namespace shimmy::cli {

namespace {

struct BundleArguments {
    std::string campaign;
    std::string output;
};

int run_bundle(const BundleArguments & options, const Globals & globals) {
    const publish::CampaignSource source = publish::find_campaign(options.campaign, "");
    fs::path folder = fs::absolute(source.out_dir).lexically_normal();
    if (!folder.has_filename()) folder = folder.parent_path();  // "out/"
    const fs::path target = options.output.empty() ? folder.filename().string() + "-bundle" : options.output;
    const report::Bundle bundle = report::write_bundle(source.out_dir, target);
    if (globals.json) {
        fmt::print("{}\n", json_text(Json{{"path", bundle.path.string()},
                                          {"n_files", bundle.n_files},
                                          {"n_bytes", bundle.n_bytes},
                                          {"manifest_sha256", bundle.manifest_sha256}}));
    } else {
        fmt::print("{}: {} files, {}\nmanifest sha256: {}\nCheck it with: shimmy lab verify {}\n", bundle.path.string(),
                   bundle.n_files, format_bytes(bundle.n_bytes), bundle.manifest_sha256, bundle.path.string());
    }
    return 0;
}

int run_verify(const std::string & path, const Globals & globals) {
    const report::Verdict verdict = report::verify_bundle(path);
    if (globals.json) {
        Json checks = Json::array();
        for (const report::BundleCheck & check : verdict.checks)
            checks.push_back({{"name", check.name},
                              {"passed", check.compared ? Json(check.passed) : Json(nullptr)},
                              {"text", check.text}});
        fmt::print("{}\n", json_text(Json{{"path", path},
                                          {"campaign", verdict.manifest.campaign},
                                          {"shimmy_version", verdict.manifest.shimmy_version},
                                          {"llama_cpp_version", verdict.manifest.llama_cpp_version},
                                          {"written_by", verdict.manifest.written_by},
                                          {"all_compared", verdict.all_compared()},
                                          {"manifest_sha256", verdict.manifest_sha256},
                                          {"passed", verdict.passed()},
                                          {"checks", checks}}));
    } else {
        fmt::print("{}: campaign {}, measured with shimmy {} over llama.cpp {}\nmanifest sha256: {}\n", path,
                   verdict.manifest.campaign, verdict.manifest.shimmy_version, verdict.manifest.llama_cpp_version,
                   verdict.manifest_sha256);
        for (const report::BundleCheck & check : verdict.checks)
            fmt::print("  {} {}: {}\n",
                       !check.compared ? "?     "
                       : check.passed  ? "ok    "
                                       : "FAILED",
                       check.name, check.text);
        if (!verdict.all_compared())
            fmt::print(
                "The files are those of the manifest; whether the figures follow from them, shimmy {} can tell.\n",
                verdict.manifest.written_by);
    }
    return verdict.passed() ? 0 : EXIT_CODE_FAILED;
}

}  // namespace

void add_lab_bundle(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<BundleArguments>();
    CLI::App * bundle = commands.add(
        "bundle", "pack results, figures, environment and documents of a campaign to hand them on",
        [options, &commands] { return run_bundle(*options, commands.globals()); }, lab);
    bundle->add_option("campaign", options->campaign, "campaign file, or its output folder")
        ->type_name("CAMPAIGN")
        ->required();
    bundle
        ->add_option("--output,-o", options->output,
                     "folder to write, or a file that ends in .tar (default: the campaign's folder with -bundle)")
        ->type_name("PATH");
    bundle->footer(
        "Models stay out, their hashes go in. The results name this machine and the paths of its files: look at them "
        "before you give the bundle away. The bundle is refused if the documents are not those of the results "
        "(shimmy lab report writes them anew).");
}

void add_lab_verify(Commands & commands, CLI::App * lab) {
    auto path = std::make_shared<std::string>();
    CLI::App * verify = commands.add(
        "verify", "check a bundle: nothing missing or altered, figures as the results say",
        [path, &commands] { return run_verify(*path, commands.globals()); }, lab);
    verify->add_option("bundle", *path, "folder or .tar file that shimmy lab bundle wrote")
        ->type_name("BUNDLE")
        ->required();
    verify->footer(
        "Hashes every file, reads the results again, computes the figures from them and compares. The manifest's sha256 "
        "stands for the whole bundle: compare it with the one that its author tells. Exit codes: 0 all passed; 1 "
        "something is missing, altered or does not follow from the results. Of a bundle that another version of shimmy "
        "wrote, what this version computes otherwise is not compared, and said.");
}

}  // namespace shimmy::cli
