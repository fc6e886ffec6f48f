#include "lab/quantized_models.h"

#include "base/json.h"
#include "engine/version.h"

namespace shimmy::lab {

namespace {

Json source_record(const Variant & variant, const std::string & input_sha256) {
    return {{"input_sha256", input_sha256},
            {"quantization", variant.quantization},
            {"llama_cpp_version", engine::llama_cpp_version()},
            {"size_bytes", fs::file_size(variant.path)}};
}

}  // namespace

fs::path source_record_path(const Variant & variant) {
    fs::path path = variant.path;
    path.replace_extension(".source.json");
    return path;
}

bool is_up_to_date(const Variant & variant, const std::string & input_sha256) {
    const fs::path record = source_record_path(variant);
    if (!fs::exists(variant.path) || !fs::exists(record)) return false;
    return Json::parse(read_file(record), nullptr, /*allow_exceptions=*/false) == source_record(variant, input_sha256);
}

void write_source_record(const Variant & variant, const std::string & input_sha256) {
    write_file_atomic(source_record_path(variant), source_record(variant, input_sha256).dump(2) + "\n");
}

}  // namespace shimmy::lab
