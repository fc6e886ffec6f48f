#include "cli/plan/source.h"

#include "base/error.h"
#include "cli/model_name.h"
#include "engine/make/quantize.h"
#include "gguf/file_type.h"
#include "gguf/model_info.h"
#include "hub/download/model_header.h"

#include <fmt/format.h>

namespace shimmy::cli {

namespace {

// The quantization that keeps a file from being quantized: its label, unless that says that there is none.
std::string held_type(const gguf::ModelInfo & info) {
    if (!gguf::is_float_type(info.quantization)) return info.quantization;
    for (const gguf::TypeUse & use : info.types) {
        if (!gguf::is_float_type(use.type)) return use.type;
    }
    return info.quantization;
}

Source file_source(const std::string & file, const std::string & text) {
    const gguf::GgufFile opened(file);
    const gguf::ModelInfo info = gguf::read_model_info(opened);
    if (info.n_tensors == 0) fail("{}: holds a vocabulary and no weights", text);
    Source source;
    source.text = text;
    source.file = file;
    source.file_bytes = info.size_bytes;
    source.file_quantization = info.quantization;
    // By what the file holds: some are labelled F16 whose experts are MXFP4.
    source.can_quantize = engine::is_quantizable(opened);
    source.held_type = source.can_quantize ? info.quantization : held_type(info);
    return source;
}

Source hub_source(const hub::ModelName & name, const std::string & quantization) {
    hub::ModelHeader header = hub::find_header(hub::read_environment(), name, quantization,
                                               [](const std::string & line) { fmt::print(stderr, "{}\n", line); });
    Source source = file_source(header.file.string(), header.text);
    source.remote = std::move(header.remote);
    return source;
}

// USER/NAME, with or without the "hf:" before it, or an address.
hub::ModelName repository(const std::string & text) {
    const std::string name = canonical_model_name(text);
    if (!hub::is_hub_name(name)) hub::check_repo_id(name.substr(0, name.find_first_of("@:")), "--repo");
    return hub::parse_model_name(name);
}

}  // namespace

std::unique_ptr<engine::StandIn> Source::stand_in(const std::string & quantization) const {
    const bool as_is = !file.empty() && (quantization.empty() || quantization == file_quantization);
    if (!file.empty()) return std::make_unique<engine::StandIn>(file, as_is ? "" : quantization);
    return std::make_unique<engine::StandIn>(shape, quantization);
}

Source find_source(const SourceOptions & options, const Globals & globals) {
    const int n_given =
        (options.model.empty() ? 0 : 1) + (options.shape.empty() ? 0 : 1) + (options.repo.empty() ? 0 : 1);
    if (n_given != 1) fail_usage("give one of MODEL, --shape NAME and --repo USER/NAME");
    if (!options.model.empty()) {
        if (const auto file = file_here(options.model, globals)) return file_source(file->string(), file->string());
    }
    if (options.shape.empty()) {
        const std::string & name = options.model.empty() ? options.repo : options.model;
        return hub::checking_answers([&] { return hub_source(repository(name), options.quantization); });
    }
    Source source;
    source.shape = gguf::load_shape(options.shape);
    source.text = source.shape.name;
    source.can_quantize = source.shape.quantization != "MXFP4_MOE";  // its makers publish it quantized
    return source;
}

void check_quantization(const Source & source, const std::string & quantization) {
    const std::string own = source.file.empty() ? source.shape.quantization : source.file_quantization;
    if (source.can_quantize || quantization.empty() || quantization == own) return;
    fail("{}: is already quantized ({}), so {} cannot be made from it: leave out --quant", source.text,
         source.held_type.empty() ? own : source.held_type, quantization);
}

}  // namespace shimmy::cli
