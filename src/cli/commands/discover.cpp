// shimmy discover: every GGUF in the folders that are searched, and the folders themselves.
#include "base/text/text.h"
#include "cli/command.h"
#include "cli/placement_options.h"
#include "cli/print/model_list.h"
#include "library/search_dirs.h"

#include <fmt/format.h>

#include <memory>

namespace shimmy::cli {

namespace {

constexpr size_t MAX_PATH_CHARS = 4096;

int run_discover(bool llm_only, const Globals & globals) {
    const auto dirs = library::search_dirs(library::read_environment(), globals.model_dirs);
    library::Catalog catalog = library::read_catalog(dirs);
    if (llm_only) keep_llms(catalog);
    if (globals.json) {
        Json document = model_list_document(catalog);
        Json searched = Json::array();
        for (const library::SearchDir & dir : dirs) {
            searched.push_back(
                {{"path", dir.path.string()}, {"source", dir.source}, {"exists", fs::is_directory(dir.path)}});
        }
        document["searched"] = std::move(searched);
        fmt::print("{}\n", json_text(document));
        return 0;
    }
    print_warnings(catalog);
    fmt::print("Searched:\n");
    for (const library::SearchDir & dir : dirs) {
        fmt::print("  {:<12} {}{}\n", dir.source, printable(dir.path.string(), MAX_PATH_CHARS),
                   fs::is_directory(dir.path) ? "" : " (not there)");
    }
    fmt::print("\n{} model(s) found\n{}", catalog.models.size(), model_list_text(catalog));
    return 0;
}

}  // namespace

void add_discover(Commands & commands) {
    auto llm_only = std::make_shared<bool>(false);
    CLI::App * command = commands.add("discover", "search this machine for models",
                                      [llm_only, &commands] { return run_discover(*llm_only, commands.globals()); });
    add_model_dirs_option(*command, commands.globals());
    command->add_flag("--llm-only", *llm_only, "leave out projectors, adapters, vocabularies and embedding models");
    command->footer(
        "Searched, with up to three folders below: `--model-dirs`, `./models`, the folder of `SHIMMY_BASE_GGUF`, "
        "`SHIMMY_MODEL_PATHS` (separated by `;`), `OLLAMA_MODELS`, `HF_HUB_CACHE`, `HF_HOME/hub`, "
        "`~/.cache/huggingface/hub`, `~/.ollama/models`, `/usr/share/ollama/.ollama/models`, `~/.lmstudio/models`, "
        "`~/.cache/lm-studio/models`, `~/.cache/llama.cpp`, `~/models` and `~/.local/share/shimmy/models`. Unreadable folders and incomplete files are reported on stderr. A split "
        "model is one entry; a file that several links lead to is listed once.");
}

}  // namespace shimmy::cli
