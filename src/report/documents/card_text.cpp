#include "report/documents/card_text.h"

#include "base/json.h"
#include "report/documents/licenses.h"
#include "report/figures/pareto.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

namespace {

// Mean KL divergence, nats. Perplexity would not do: a coarse type's can be below the original's by chance.
constexpr double NEARLY_LOSSLESS = 0.01;

std::string yaml_text(const std::string & text) {
    return json_text(Json(text), -1);  // a JSON string is a YAML one
}

bool is_quantized(const lab::Summary & summary, const lab::MeasuredFile & variant) {
    return file_name_of(variant) != summary.model(variant.model).path.filename().string();
}

}  // namespace

std::string file_name_of(const lab::MeasuredFile & variant) {
    return fs::path(variant.parts.empty() ? variant.file : variant.parts.front().file).filename().string();
}

std::string front_matter(const lab::Summary & summary, const CardRepo & repo) {
    const lab::CampaignModel & model = summary.model(repo.model);
    std::string out = "---\n";
    const std::string & license = model.license;
    out += fmt::format("license: {}\n", license);
    if (license == OTHER_LICENSE) {
        const std::string link = license_file(model).empty() ? model.license_link : "LICENSE";
        out += fmt::format("license_name: {}\nlicense_link: {}\n", yaml_text(model.license_name), yaml_text(link));
    }
    const std::string & base_model = model.base_model;
    if (!base_model.empty()) out += fmt::format("base_model: {}\nbase_model_relation: quantized\n", base_model);
    out += "pipeline_tag: text-generation\nlanguage:\n";
    for (const std::string & code : lab::languages_of(summary, model.name))
        out += code == "no" ? "- \"no\"\n" : fmt::format("- {}\n", code);  // YAML takes no for false
    const std::string & creator = summary.campaign.creator;
    if (!creator.empty()) out += fmt::format("quantized_by: {}\n", yaml_text(creator));
    out += "tags:\n- gguf\n- moe\n- mixture-of-experts\n- cpu-moe\n- llama.cpp\n- shimmy\n";
    return out + "---\n";
}

std::string which_to_choose(const lab::Summary & summary, const Quality & quality, const std::string & model) {
    struct Choice {
        std::string type;
        uint64_t bytes;
        double kld;
        double same_top_percent;
    };
    std::vector<Choice> choices;
    for (const lab::MeasuredFile * variant : variants_of(summary, model)) {
        if (const QualityFigures * entry = quality.of(model, variant->quantization))
            choices.push_back(
                {variant->quantization, variant->file_size_bytes, entry->mean_kld, entry->same_top_percent});
    }
    std::sort(choices.begin(), choices.end(), [](const Choice & a, const Choice & b) { return a.bytes < b.bytes; });
    const auto describe = [](const Choice & choice) {
        return fmt::format("mean KLD {:.5f}, the original's choice of the next token at {:.1f}% of the positions",
                           choice.kld, choice.same_top_percent);
    };
    const auto lossless = std::find_if(choices.begin(), choices.end(),
                                       [](const Choice & choice) { return choice.kld <= NEARLY_LOSSLESS; });
    std::string out;
    if (lossless != choices.end()) {
        out += fmt::format(
            "- **{}** is the smallest file that is nearly the original, with a mean KLD of at most {}: {}.\n",
            lossless->type, NEARLY_LOSSLESS, describe(*lossless));
    }
    const Choice & smallest = choices.front();
    if (lossless == choices.end() || smallest.type != lossless->type)
        out += fmt::format("- **{}** takes the least memory: {}.\n", smallest.type, describe(smallest));
    out +=
        "\nBy free VRAM, the file closest to the original among those that fit and decode at no less than half the "
        "speed of the fastest that fits:\n\n" +
        recommendation_table(summary, model, quality).markdown();
    if (summary.conditions.device.software)
        out += "\nThe speeds are a software device's: on a GPU the choice may differ.\n";
    return out +
           "\nWhere everything almost fits, `--n-cpu-moe N` keeps only the experts of the first N layers on the CPU: "
           "`shimmy plan FILE --vram SIZE` names N.\n";
}

std::string how_to_run(const lab::Summary & summary, const CardRepo & repo) {
    const std::string file = file_name_of(summary.variant(repo.model, repo.quantizations.front()));
    std::string from_the_hub;
    if (!repo.id.empty()) {
        const std::string which = repo.quantizations.size() > 1 ? ":" + repo.quantizations.front() : "";
        from_the_hub =
            fmt::format(R"(With shimmy, straight from the Hub (downloaded once, and checked), experts on the CPU:

```bash
shimmy generate --model hf:{}{} --prompt "Explain gradient descent in simple terms." --max-tokens 100 --cpu-moe
```

)",
                        repo.id, which);
    }
    return from_the_hub + fmt::format(R"(With shimmy and a downloaded file, experts on the CPU:

```bash
shimmy generate --model {0} --prompt "Explain gradient descent in simple terms." --max-tokens 100 --cpu-moe
```

As a server with OpenAI's API:

```bash
shimmy serve --model {0} --cpu-moe --bind 127.0.0.1:11435
```

With llama.cpp's own server:

```bash
llama-server --model {0} --cpu-moe --host 127.0.0.1 --port 11435
```

From Python, with nothing but its standard library, against either server:

```python
import json
import urllib.request

request = urllib.request.Request(
    "http://127.0.0.1:11435/v1/chat/completions",
    data=json.dumps({{
        "model": "{1}",
        "messages": [{{"role": "user", "content": "Explain gradient descent in simple terms."}}],
        "max_tokens": 100,
    }}).encode(),
    headers={{"Content-Type": "application/json"}},
)
with urllib.request.urlopen(request) as response:
    print(json.load(response)["choices"][0]["message"]["content"])
```

From Node.js, with OpenAI's package (`npm install openai`):

```javascript
import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "http://127.0.0.1:11435/v1", apiKey: "none" }});
const stream = await client.chat.completions.create({{
  model: "{1}",
  messages: [{{ role: "user", content: "Explain gradient descent in simple terms." }}],
  max_tokens: 100,
  stream: true,
}});
for await (const event of stream) process.stdout.write(event.choices[0]?.delta?.content ?? "");
```
)",
                                      file, fs::path(file).stem().string());
}

std::string recipe(const lab::Summary & summary, const std::string & model) {
    const std::string input = summary.model(model).path.filename().string();
    std::string types;
    for (const lab::MeasuredFile * variant : variants_of(summary, model)) {
        if (is_quantized(summary, *variant)) types += (types.empty() ? "" : ",") + variant->quantization;
    }
    if (types.empty())
        return fmt::format("{} is published as its makers quantized it: nothing was quantized again.\n",
                           markdown_code(input));
    return fmt::format(
        "Quantized with llama.cpp {}'s own quantizer, without an importance matrix, from {}:\n\n"
        "```bash\nshimmy quantize {} --types {}\n```\n",
        summary.conditions.llama_cpp_version, markdown_code(input), input, types);
}

std::string credits(const lab::Summary & summary, const CardRepo & repo) {
    const lab::CampaignModel & model = summary.model(repo.model);
    const std::string & base_model = model.base_model;
    std::string out =
        base_model.empty()
            ? fmt::format("- The model: {}.\n", markdown_code(model.path.filename().string()))
            : fmt::format("- The model is [{0}](https://huggingface.co/{0}); its license applies.\n", base_model);
    const std::string & creator = summary.campaign.creator;
    if (!creator.empty()) out += fmt::format("- Quantized and measured by {}.\n", markdown_text(creator));
    return out +
           "- Quantization, inference and keeping experts on the CPU (`--cpu-moe`) are "
           "[llama.cpp](https://github.com/ggml-org/llama.cpp)'s work; shimmy measured them.\n";
}

std::string limits(const lab::Summary & summary, const std::string & model) {
    const lab::Campaign & settings = summary.campaign;
    return fmt::format(
        "- Measured on one machine: {}; {}. Another one has other speeds; VRAM is about the same on the same backend.\n"
        "- Context {} tokens, answers of at most {} tokens, {} prompt(s), {} repeat(s). The model was trained for {} "
        "tokens.\n"
        "- VRAM is what llama.cpp allocates; the driver's own memory comes on top.\n"
        "- Experts on the CPU need free RAM of about their size, or every token reads from the disk.\n"
        "- What the original model gets wrong, these files get wrong too.\n",
        markdown_text(device_line(summary.conditions)), markdown_text(host_line(summary.conditions)), settings.n_ctx,
        settings.max_tokens, settings.prompts.size(), settings.repeats, summary.input(model).n_ctx_train);
}

}  // namespace shimmy::report
