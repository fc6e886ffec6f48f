#include "cli/plan/source.h"

#include "base/error.h"
#include "cli/model_name.h"
#include "engine/make/quantize.h"
#include "gguf/file_type.h"
#include "gguf/model_info.h"
#include "hub/api/model_files.h"
#include "hub/download/pull.h"

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

// A model that was pulled as the Hub has it now; otherwise its header is fetched.
Source repo_source(const std::string & name, const std::string & quantization) {
    std::string repo = canonical_model_name(name);  // an address, too
    if (hub::is_hub_name(repo)) repo.erase(0, repo.find(':') + 1);
    hub::check_repo_id(repo, "--repo");
    const hub::Environment environment = hub::read_environment();
    const auto note = [](const std::string & line) { fmt::print(stderr, "{}\n", line); };
    const auto cached = hub::find_in_cache(environment, {repo, quantization});
    const auto from_cache = [&] {
        const std::string path = cached->files.front().string();
        return file_source(path, fmt::format("{}/{}", repo, cached->files.front().filename().string()));
    };
    if (environment.offline && cached) return from_cache();
    const hub::Api api(environment, note);
    if (cached && hub::find_commit(api, repo, hub::MAIN) == cached->commit) return from_cache();
    const std::string file = hub::choose_model(hub::list_models(api, repo), quantization, repo);
    auto remote = std::make_unique<hub::RemoteGguf>(api, repo, file);
    Source source = file_source(remote->path().string(), fmt::format("{}/{}", repo, file));
    source.remote = std::move(remote);
    return source;
}

}  // namespace

std::unique_ptr<engine::StandIn> Source::stand_in(const std::string & quantization) const {
    const bool as_is = !file.empty() && (quantization.empty() || quantization == file_quantization);
    if (!file.empty()) return std::make_unique<engine::StandIn>(file, as_is ? "" : quantization);
    return std::make_unique<engine::StandIn>(shape, quantization);
}

Source find_source(const SourceOptions & options) {
    const int n_given =
        (options.file.empty() ? 0 : 1) + (options.shape.empty() ? 0 : 1) + (options.repo.empty() ? 0 : 1);
    if (n_given != 1) fail_usage("give one of FILE, --shape NAME and --repo USER/NAME");
    if (!options.file.empty()) return file_source(options.file, options.file);
    if (!options.repo.empty()) {
        return hub::checking_answers([&] { return repo_source(options.repo, options.quantization); });
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
