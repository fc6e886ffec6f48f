#include "cli/table/examples.h"

#include <map>
#include <string>
#include <vector>

namespace shimmy::cli {

namespace {

// By the words of the command.
const std::map<std::string, std::vector<std::string>> EXAMPLES{
    {"chat",
     {"shimmy chat model.gguf", "shimmy chat hf:USER/NAME:Q4_K_M --system \"Be brief.\"",
      "shimmy chat model.gguf --mmproj mmproj.gguf --image photo.png \"What is this?\""}},
    {"run",
     {"shimmy run USER/NAME:Q4_K_M", "shimmy run model.gguf \"Why is the sky blue?\"",
      "cat notes.txt | shimmy run model.gguf"}},
    {"serve",
     {"shimmy serve model.gguf --ctx 16384 --parallel 4", "shimmy serve --models-file models.toml",
      "shimmy serve model.gguf --mmproj mmproj.gguf --spec auto"}},
    {"init", {"shimmy init --template systemd --out deploy"}},
    {"inspect", {"shimmy inspect model.gguf", "shimmy inspect hf:USER/NAME:Q4_K_M --json"}},
    {"plan",
     {"shimmy plan model.gguf --vram 12GiB", "shimmy plan --shape gpt-oss-120b --card rtx-4060 --ram 64GiB",
      "shimmy plan --repo USER/NAME --quant Q4_K_M --vram 12GiB,8GiB --ctx 32768"}},
    {"verify", {"shimmy verify model.gguf --as phi-3.5-moe"}},
    {"synth", {"shimmy synth --shape qwen3-30b-a3b --layers 4 --out small.gguf"}},
    {"quantize",
     {"shimmy quantize model-f16.gguf --types Q4_K_M,Q8_0",
      "shimmy quantize model-f16.gguf --target-vram 8GiB --cpu-moe --text eval.txt"}},
    {"imatrix", {"shimmy imatrix model-f16.gguf --text calibration.txt"}},
    {"quality", {"shimmy quality --base model-f16.gguf --model model-Q4_K_M.gguf --text eval.txt"}},
    {"eval", {"shimmy eval model-f16.gguf model-Q4_K_M.gguf --task mmlu.csv --shots 5"}},
    {"publish", {"shimmy publish campaign.toml --dry-run", "shimmy publish campaign.toml --repo USER/NAME --private"}},
    {"pull", {"shimmy pull hf:USER/NAME:Q4_K_M"}},
    {"check", {"shimmy check model.gguf --cpu-moe", "shimmy check model.gguf --tasks mine.toml --show"}},
    {"tune",
     {"shimmy tune model.gguf", "shimmy tune model.gguf --for agent --minutes 10",
      "shimmy tune model.gguf --device CUDA0,CUDA1"}},
    {"list", {"shimmy list", "shimmy list --short --model-dirs ~/models"}},
    {"discover", {"shimmy discover"}},
    {"probe", {"shimmy probe model.gguf --cpu-moe"}},
    {"gpu-info", {"shimmy gpu-info --json"}},
    {"report-bug", {"shimmy report-bug"}},
    {"completion", {"shimmy completion bash > ~/.local/share/bash-completion/completions/shimmy"}},
    {"reference", {"shimmy reference > CLI.md"}},
    {"lab init", {"shimmy lab init campaign.toml --model model-f16.gguf"}},
    {"lab run", {"shimmy lab run campaign.toml --dry-run", "shimmy lab run campaign.toml --retry-failed"}},
    {"lab report", {"shimmy lab report campaign.toml"}},
    {"lab status", {"shimmy lab status campaign.toml"}},
    {"lab compare", {"shimmy lab compare results-before results-after"}},
    {"lab bundle", {"shimmy lab bundle campaign.toml --output measured.tar"}},
    {"lab verify", {"shimmy lab verify measured.tar"}},
    {"lab import", {"shimmy lab import llama-bench.jsonl --into campaign.toml"}},
    {"lab export", {"shimmy lab export campaign.toml --format csv --output bench.csv"}},
    {"lab http",
     {"shimmy lab http model.gguf --clients 16 --parallel 4",
      "shimmy lab http --url http://127.0.0.1:8000 --rate 2 --arrivals poisson"}},
    {"lab cell", {"shimmy lab cell results 7"}},
};

void add_to(CLI::App & command, const std::string & path) {
    for (CLI::App * inner : command.get_subcommands([](CLI::App *) { return true; }))
        if (!inner->get_name().empty())
            add_to(*inner, path.empty() ? inner->get_name() : path + " " + inner->get_name());
    const auto found = EXAMPLES.find(path);
    if (found == EXAMPLES.end()) return;
    std::string text;
    for (const std::string & example : found->second)
        text += (text.empty() ? "" : "; ") + ("`" + example + "`");
    const std::string notes = command.get_footer();
    command.footer(notes + (notes.empty() ? "" : "\n\n") + (found->second.size() > 1 ? "Examples: " : "Example: ") +
                   text + ".");
}

}  // namespace

void add_examples(CLI::App & app) {
    add_to(app, "");
}

}  // namespace shimmy::cli
