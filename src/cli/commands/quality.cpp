// shimmy quality: what a quantization costs, as perplexity and KL divergence to the model it was made from.
#include "base/error.h"
#include "base/files.h"
#include "base/host/cache_dir.h"
#include "base/json.h"
#include "base/process/progress.h"
#include "base/text/text_file.h"
#include "base/text/units.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/model_hash.h"
#include "cli/model_name.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "cli/print/quality_document.h"
#include "engine/device/device.h"
#include "engine/llama/version.h"
#include "engine/load/load_options.h"
#include "engine/load/placement.h"
#include "engine/run/describe.h"
#include "quality/measurement.h"
#include "quality/offload_check.h"

#include <algorithm>
#include <memory>
#include <span>

namespace shimmy::cli {

namespace {

struct QualityArguments {
    std::string base;
    std::vector<std::string> models;
    std::string text;
    int n_chunks = 0;
    bool check_offload = false;
    std::string check_device;
    std::string cache_size = "20GiB";
    engine::LoadOptions load;
};

fs::path cache_folder(const QualityArguments & options) {
    const fs::path dir = cache_dir();
    const bool keeps = parse_bytes(options.cache_size, "--cache-size") > 0;
    return dir.empty() || !keeps ? fs::path() : dir / "quality";
}

// What the options ask for. `hashes` must live as long.
quality::MeasurementOptions measurement_options(const QualityArguments & options, const Globals & globals,
                                                const std::string & text, ModelHashes & hashes) {
    quality::MeasurementOptions wanted;
    wanted.load = options.load;
    wanted.check_device = options.check_device;
    wanted.text = text;
    wanted.cache_bytes = parse_bytes(options.cache_size, "--cache-size");
    wanted.cache_folder = cache_folder(options);
    wanted.sha256 = [&hashes](const std::string & file) { return hashes.sha256(file); };
    wanted.progress = [quiet = globals.json](const std::string & label) -> quality::OnChunk {
        const auto shown = std::make_shared<Progress>(label, quiet);
        return [shown](size_t done, size_t total) { shown->update(done, total); };
    };
    wanted.on_note = [](const std::string & note) { fmt::print(stderr, "shimmy: {}\n", note); };
    return wanted;
}

// The base is there to be compared with, and may be larger than the card: it is checked where it stands alone.
std::span<const MeasuredModel> offload_candidates(const std::vector<MeasuredModel> & models) {
    return std::span(models).subspan(models.size() > 1 ? 1 : 0);
}

std::vector<OffloadCheck> check_offload(quality::Measurement & measurement, const std::vector<MeasuredModel> & models,
                                        const QualityArguments & options) {
    std::vector<OffloadCheck> checks;
    if (!options.check_offload) return checks;
    for (const MeasuredModel & model : offload_candidates(models)) {
        const quality::Comparison offload = measurement.offload_against_baseline(model.file, options.n_chunks);
        checks.push_back(
            {model.file, model.info.quantization, offload.figures, quality::offload_kld_bound(model.info)});
    }
    return checks;
}

void require_offload_checkable(const std::vector<MeasuredModel> & models, const Globals & globals,
                               const QualityArguments & options) {
    if (!options.check_offload) return;
    for (const MeasuredModel & model : offload_candidates(models)) {
        if (!model.info.cpu_moe_applies())
            fail_usage("--check-offload: {} has no expert tensors: there is nothing to offload", model.file);
    }
    engine::load_backends(globals.gpu_backend);
    const std::string & device = options.check_device.empty() ? options.load.device : options.check_device;
    if (!engine::find_device(device).is_gpu())
        fail_usage("--check-offload needs a GPU to take the experts from (a software one: --check-device gpu)");
}

Json document(const QualityArguments & options, engine::Placement placement, const std::string & text,
              const quality::Reference & reference, const std::vector<MeasuredModel> & models,
              const std::vector<OffloadCheck> & checks) {
    Json entries = Json::array();
    for (const MeasuredModel & model : models)
        entries.push_back(to_json(model));
    Json offload = Json::array();
    for (const OffloadCheck & check : checks)
        offload.push_back(to_json(check));
    Json result = {{"base", {{"file", options.base}, {"sha256", models.front().sha256}}},
                   {"text", {{"file", options.text}, {"sha256", sha256_hex(text)}}},
                   {"shimmy_version", shimmy_version()},
                   {"llama_cpp_version", engine::llama_cpp_version()},
                   {"placement", engine::to_string(placement)},
                   {"device", engine::device_json(engine::find_device(options.load.device))},
                   {"n_ctx", options.load.n_ctx},
                   {"max_chunks", options.n_chunks},
                   {"n_chunks", reference.n_chunks()},
                   {"base_from_cache", reference.from_cache()},
                   {"models", entries}};
    if (options.check_offload) result["offload"] = offload;
    return result;
}

int run_quality(QualityArguments options, const Globals & globals) {
    options.base = model_file(options.base, globals).string();
    for (std::string & model : options.models)
        model = model_file(model, globals).string();
    std::vector<std::string> files{options.base};  // the figure 0 that all others stand beside
    files.insert(files.end(), options.models.begin(), options.models.end());
    std::vector<MeasuredModel> models;
    for (const std::string & file : files)
        models.push_back({gguf::read_model_info(file), file, {}, {}});
    require_offload_checkable(models, globals, options);

    const std::string text = read_measured_text(options.text);
    ModelHashes hashes(cache_folder(options), globals.json);
    quality::MeasurementOptions wanted = measurement_options(options, globals, text, hashes);
    if (options.check_offload) engine::keep_batches_in_moe_backend();
    wanted.uses_moe_backend = load_backends(globals, options.load.device);
    quality::Measurement measurement(std::move(wanted));
    const engine::Placement placement = placement_option(globals);
    const quality::Reference reference = measurement.reference(options.base, {placement, options.n_chunks});
    for (MeasuredModel & model : models) {
        model.sha256 = hashes.sha256(model.file);
        model.result = &model == &models.front()
                           ? reference.base()
                           : measurement.compare(reference, model.file, {placement, options.n_chunks});
    }
    const std::vector<OffloadCheck> checks = check_offload(measurement, models, options);
    if (globals.json) {
        fmt::print("{}\n", json_text(document(options, placement, text, reference, models, checks)));
    } else {
        fmt::print("{}\n{} chunks of {} tokens of {}; KL divergence to {} in nats, ± one standard error.\n{}",
                   quality_text(models), reference.n_chunks(), options.load.n_ctx, options.text, options.base,
                   offload_text(checks));
    }
    const bool sound =
        std::all_of(checks.begin(), checks.end(), [](const OffloadCheck & check) { return check.within_bound(); });
    return sound ? 0 : EXIT_CODE_FAILED;
}

}  // namespace

void add_quality(Commands & commands) {
    auto options = std::make_shared<QualityArguments>();
    options->load.n_ctx = 512;
    CLI::App * command =
        commands.add("quality", "measure perplexity of quantized models and divergence from their base",
                     [options, &commands] { return run_quality(*options, commands.globals()); });
    command->add_option("--base", options->base, "model that the others were quantized from")
        ->type_name("FILE|NAME")
        ->required();
    command->add_option("models,--model", options->models, "quantized models (the base is always measured, too)")
        ->type_name("FILE|NAME");
    add_model_dirs_option(*command, commands.globals());
    command
        ->add_option("--text", options->text, "evaluation text, UTF-8: natural text that the models were not tuned on")
        ->type_name("FILE")
        ->required();
    command->add_option("--chunks", options->n_chunks, "maximum number of chunks of --ctx tokens; 0: the whole text")
        ->type_name("N")
        ->check(at_least_zero())
        ->capture_default_str();
    command->add_flag(
        "--check-offload", options->check_offload,
        "also run every model (the base, if it stands alone) with all experts on the GPU and with "
        "--cpu-moe, on at most 8 chunks (a software GPU: one of 64 tokens), and report differences beyond rounding as a "
        "defect");
    command->add_option("--check-device", options->check_device, "device of --check-offload, if not --device")
        ->type_name("NAME");
    command
        ->add_option("--cache-size", options->cache_size,
                     "maximum size of the cache for the base's predictions, least recently used first out; 0: no "
                     "cache")
        ->type_name("SIZE")
        ->capture_default_str();
    add_load_options(*command, options->load);
    add_placement_options(*command, commands.globals(), DefaultPlacement::gpu);
    add_backend_options(*command, commands.globals());
    command->footer(
        "The second half of every chunk is predicted, as in llama-perplexity. The base's predictions are kept in the "
        "cache folder (SHIMMY_CACHE, else shimmy in XDG_CACHE_HOME or ~/.cache): 2 bytes x vocabulary x half of --ctx "
        "per chunk, for the same file, text and settings. Exit codes: 0 measured; 1 failed, or --check-offload found "
        "a defect.");
}

}  // namespace shimmy::cli
