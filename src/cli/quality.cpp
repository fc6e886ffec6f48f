// shimmy quality: what a quantization costs, as perplexity and KL divergence to the model it was made from.
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/placement_options.h"
#include "gguf/model_info.h"
#include "lab/hash_cache.h"
#include "quality/evaluate.h"
#include "report/table.h"

#include <memory>

namespace shimmy::cli {

namespace {

struct Options {
    std::string base;
    std::vector<std::string> models;
    std::string text;
    int n_chunks = 0;
    engine::LoadOptions load;
};

struct Measured {
    gguf::ModelInfo info;
    std::string file;
    quality::Divergence figures;
};

std::string sha256_of(const std::string & file, bool quiet) {
    lab::HashCache hashes{fs::path()};  // keeps nothing: the lab's own cache belongs to a campaign
    return hashes.model_sha256(file, [quiet](const fs::path & part) -> ByteProgress {
        auto progress = std::make_shared<Progress>("sha256 of " + part.filename().string(), quiet);
        return [progress](uint64_t done, uint64_t total) { progress->update(done, total); };
    });
}

Json to_json(const Measured & measured, bool quiet) {
    const quality::Divergence & d = measured.figures;
    return {{"file", measured.file},
            {"sha256", sha256_of(measured.file, quiet)},
            {"quant", measured.info.quantization},
            {"bits_per_weight", measured.info.bits_per_weight},
            {"ppl", d.ppl},
            {"ppl_error", d.ppl_error},
            {"ppl_ratio", d.ppl_ratio},
            {"mean_kld", d.mean_kld},
            {"mean_kld_error", d.mean_kld_error},
            {"median_kld", d.median_kld},
            {"kld_p90", d.kld_p90},
            {"kld_p99", d.kld_p99},
            {"kld_p999", d.kld_p999},
            {"max_kld", d.max_kld},
            {"rms_delta_p", d.rms_delta_p},
            {"same_top_percent", d.same_top_percent}};
}

void print_table(const std::vector<Measured> & models, const Options & options, size_t n_chunks) {
    report::Table table;
    table.columns = {{"type", report::Table::Align::left},
                     {"bits/weight"},
                     {"perplexity"},
                     {"to base"},
                     {"mean KLD"},
                     {"median"},
                     {"99%"},
                     {"max"},
                     {"same top token"}};
    for (const Measured & model : models) {
        const quality::Divergence & d = model.figures;
        table.rows.push_back({model.info.quantization, fmt::format("{:.2f}", model.info.bits_per_weight),
                              fmt::format("{:.4f} ± {:.4f}", d.ppl, d.ppl_error), fmt::format("{:.4f}x", d.ppl_ratio),
                              fmt::format("{:.5f} ± {:.5f}", d.mean_kld, d.mean_kld_error),
                              fmt::format("{:.5f}", d.median_kld), fmt::format("{:.4f}", d.kld_p99),
                              fmt::format("{:.3f}", d.max_kld), fmt::format("{:.2f}%", d.same_top_percent)});
    }
    fmt::print("{}\n{} chunks of {} tokens of {}; KL divergence to {} in nats, ± one standard error.\n", table.text(),
               n_chunks, options.load.n_ctx, options.text, options.base);
}

int run_quality(Options options, const Globals & globals) {
    const std::string text = read_file(options.text);
    std::vector<std::string> files{
        options.base};  // the base against itself is the figure 0 that all others stand beside
    files.insert(files.end(), options.models.begin(), options.models.end());
    std::vector<Measured> models;
    for (const std::string & file : files)
        models.push_back({gguf::read_model_info(file), file, {}});
    options.load.placement = placement_option(globals);
    load_backends(globals, options.load.device);

    const auto progress_of = [&](const std::string & label) {
        auto progress = std::make_shared<Progress>(label, globals.json);
        return [progress](size_t done, size_t total) { progress->update(done, total); };
    };
    options.load.path = options.base;
    quality::Reference reference(options.load, text, static_cast<size_t>(options.n_chunks),
                                 progress_of("base " + options.base));
    for (Measured & model : models) {
        options.load.path = model.file;
        model.figures = reference.compare(options.load, progress_of(model.file));
    }
    if (!globals.json) {
        print_table(models, options, reference.n_chunks());
        return 0;
    }
    Json entries = Json::array();
    for (const Measured & model : models)
        entries.push_back(to_json(model, true));
    const Json document = {{"base", {{"file", options.base}, {"sha256", entries[0]["sha256"]}}},
                           {"text", {{"file", options.text}, {"sha256", sha256_hex(text)}}},
                           {"n_ctx", options.load.n_ctx},
                           {"n_chunks", reference.n_chunks()},
                           {"models", entries}};
    fmt::print("{}\n", document.dump(2));
    return 0;
}

}  // namespace

void add_quality(Commands & commands) {
    auto options = std::make_shared<Options>();
    options->load.n_ctx = 512;
    CLI::App * command = commands.add("quality", "perplexity of quantized models, and how far they are from their base",
                                      [options, &commands] { return run_quality(*options, commands.globals()); });
    command->add_option("--base", options->base, "the model that the others were quantized from")
        ->type_name("FILE")
        ->required();
    command->add_option("models,--model", options->models, "quantized models (the base itself is always a line)")
        ->type_name("FILE");
    command
        ->add_option("--text", options->text, "evaluation text, UTF-8: natural, and not what the models were tuned on")
        ->type_name("FILE")
        ->required();
    command->add_option("--chunks", options->n_chunks, "chunks of --ctx tokens at most; 0: all of the text")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    add_load_options(*command, options->load);
    command->footer(
        "The second half of every chunk is predicted, as llama-perplexity does it. The base's predictions are kept in "
        "a "
        "temporary file: 4 bytes x vocabulary x half of --ctx per chunk.");
}

}  // namespace shimmy::cli
