// shimmy lab init: a campaign file to start from.
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/lab/lab_commands.h"
#include "lab/campaign/campaign.h"
#include "lab/campaign/campaign_template.h"

#include <memory>

namespace shimmy::cli {

namespace {

struct InitArguments {
    std::string file = "campaign.toml";
    std::vector<std::string> models;
    bool force = false;
};

int run_init(const InitArguments & options, const Globals & globals) {
    const fs::path file = options.file;
    if (fs::exists(file) && !options.force) fail_usage("{}: is there already (--force replaces it)", file.string());
    const std::string text = lab::campaign_template(file, options.models);
    const lab::Campaign campaign = lab::parse_campaign(text, file);
    if (file.has_parent_path()) ensure_writable_dir(file.parent_path());
    write_file_atomic(file, text);
    if (globals.json) {
        const Json document{{"file", file.string()}, {"n_models", campaign.models.size()}};
        fmt::print("{}\n", json_text(document));
    } else {
        fmt::print("{}: edit it, then: shimmy lab run {}\n", file.string(), file.string());
    }
    return 0;
}

}  // namespace

void add_lab_init(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<InitArguments>();
    CLI::App * init = commands.add(
        "init", "write a campaign file with every setting explained",
        [options, &commands] { return run_init(*options, commands.globals()); }, lab);
    init->add_option("file", options->file, "file to write")->type_name("CAMPAIGN.toml")->capture_default_str();
    init->add_option(
            "--model", options->models,
            "model: an F16, BF16 or F32 GGUF file, or the name of a reference shape; may be given several times")
        ->type_name("FILE|SHAPE")
        ->allow_extra_args(false);
    init->add_flag("--force", options->force, "replace the file if it is there");
}

}  // namespace shimmy::cli
