#include "lab/campaign/quantized_models.h"

#include "base/json.h"
#include "engine/load/version.h"
#include "gguf/shape.h"

#include <fmt/format.h>

namespace shimmy::lab {

namespace {

Json source_record(const Variant & variant, const std::string & input_sha256) {
    return {{"input_sha256", input_sha256},
            {"quantization", variant.quantization},
            {"llama_cpp_version", engine::llama_cpp_version()},
            {"size_bytes", fs::file_size(variant.path)}};
}

Json read_record(const Variant & variant) {
    const fs::path record = source_record_path(variant);
    if (!fs::exists(record)) return nullptr;
    return Json::parse(read_file(record), nullptr, /*allow_exceptions=*/false);
}

}  // namespace

fs::path source_record_path(const Variant & variant) {
    fs::path path = variant.path;
    path.replace_extension(".source.json");
    return path;
}

std::string shape_sha256(const CampaignModel & model) {
    const gguf::Shape shape = gguf::load_shape(model.shape);
    return sha256_hex(fmt::format("{}\nlayers {}\nsparse {}\n", read_file(shape.source), model.n_layers, model.sparse));
}

bool is_up_to_date(const Variant & variant, const std::string & input_sha256) {
    return fs::exists(variant.path) && read_record(variant) == source_record(variant, input_sha256);
}

void write_source_record(const Variant & variant, const std::string & input_sha256) {
    write_file_atomic(source_record_path(variant), source_record(variant, input_sha256).dump(2) + "\n");
}

std::string recorded_failure(const Variant & variant, const std::string & input_sha256) {
    const Json record = read_record(variant);
    const bool failed = record.is_object() && record.value("input_sha256", "") == input_sha256 &&
                        record.value("llama_cpp_version", "") == engine::llama_cpp_version();
    return failed ? record.value("error", "") : "";
}

void write_failure_record(const Variant & variant, const std::string & input_sha256, const std::string & reason) {
    const Json record{{"input_sha256", input_sha256},
                      {"quantization", variant.quantization},
                      {"llama_cpp_version", engine::llama_cpp_version()},
                      {"error", reason}};
    write_file_atomic(source_record_path(variant), record.dump(2) + "\n");
}

}  // namespace shimmy::lab
