// shimmy pull: a model from the Hugging Face Hub into the cache that all of its clients share.
#include "hub/download/pull.h"

#include "base/process/progress.h"
#include "base/text/units.h"
#include "cli/command.h"
#include "cli/model_name.h"

#include <memory>

namespace shimmy::cli {

namespace {

int run_pull(const std::string & name, const Globals & globals) {
    const hub::PulledModel model = pull_with_progress(canonical_model_name(name), globals.json);
    if (globals.json) {
        Json files = Json::array();
        for (const fs::path & file : model.files)
            files.push_back(file.string());
        const Json document{{"files", files},
                            {"commit", model.commit},
                            {"size_bytes", model.size_bytes},
                            {"fetched_bytes", model.fetched_bytes}};
        fmt::print("{}\n", json_text(document));
        return 0;
    }
    for (const fs::path & file : model.files)
        fmt::print("{}\n", file.string());
    return 0;
}

}  // namespace

void add_pull(Commands & commands) {
    auto name = std::make_shared<std::string>();
    CLI::App * command = commands.add("pull", "download a model from the Hugging Face Hub",
                                      [name, &commands] { return run_pull(*name, commands.globals()); });
    command
        ->add_option("name", *name,
                     "USER/NAME of the repository; USER/NAME:QUANT or USER/NAME:FILE.gguf if it holds several; "
                     "USER/NAME@REVISION:QUANT for another revision than main; or its address on the Hub")
        ->type_name("MODEL")
        ->required();
    command->footer(
        "Prints the paths of the files, which are in the cache that all clients of the Hub share (HF_HUB_CACHE, "
        "HF_HOME). An interrupted download continues where it stopped; every file's hash is checked. --model "
        "hf:USER/NAME:QUANT does the same wherever a model is named. Environment: HF_TOKEN for private repositories, "
        "HF_ENDPOINT, HF_HUB_OFFLINE to use the cache only.");
}

}  // namespace shimmy::cli
