#include "lab/plan/quantized_models.h"

#include "base/json.h"
#include "engine/llama/version.h"
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
    return read_json(record);
}

}  // namespace

fs::path imatrix_path(const Campaign & campaign, const CampaignModel & model) {
    if (model.imatrix_text.empty()) return model.imatrix;
    return campaign.out_dir / "models" / (model.name + ".imatrix.gguf");
}

fs::path imatrix_record_path(const fs::path & matrix) {
    fs::path record = matrix;
    return record.replace_extension(".source.json");
}

std::string imatrix_text_sha256(const Campaign & campaign, const CampaignModel & model) {
    const fs::path record = imatrix_record_path(imatrix_path(campaign, model));
    if (model.imatrix_text.empty() || !fs::exists(record)) return "";
    const Json made_of = read_json(record);
    return made_of.is_object() ? made_of.value("text_sha256", "") : "";
}

fs::path source_record_path(const Variant & variant) {
    fs::path path = variant.path;
    path.replace_extension(".source.json");
    return path;
}

std::string shape_sha256(const CampaignModel & model) {
    const gguf::Shape shape = gguf::load_shape(model.shape);
    return sha256_hex(fmt::format("{}\nlayers {}\nsparse {}\n", read_file(shape.source), model.n_layers, model.sparse));
}

bool is_up_to_date(const Variant & variant, const std::string & input_sha256,
                   const std::function<std::string(const fs::path &)> & sha256) {
    if (!fs::exists(variant.path)) return false;
    Json record = read_record(variant);
    if (!record.is_object()) return false;
    const Json made = record.value("sha256", Json());  // missing in campaigns of earlier versions
    record.erase("sha256");
    record.erase("made_ms");
    if (record != source_record(variant, input_sha256)) return false;
    return made.is_null() || made == sha256(variant.path);
}

void write_source_record(const Variant & variant, const std::string & input_sha256, const std::string & sha256,
                         double made_ms) {
    Json record = source_record(variant, input_sha256);
    record["sha256"] = sha256;
    record["made_ms"] = made_ms;
    write_file_atomic(source_record_path(variant), json_text(record) + "\n");
}

std::optional<double> recorded_made_ms(const Variant & variant) {
    const Json record = read_record(variant);
    const Json made_ms = record.is_object() ? record.value("made_ms", Json()) : Json();
    return made_ms.is_number() ? std::optional(made_ms.get<double>()) : std::nullopt;
}

std::string recorded_failure(const Variant & variant, const std::string & input_sha256) {
    const Json record = read_record(variant);
    const bool failed = record.is_object() && record.value("input_sha256", Json()) == input_sha256 &&
                        record.value("llama_cpp_version", Json()) == engine::llama_cpp_version();
    const Json error = failed ? record.value("error", Json()) : Json();
    return error.is_string() ? error.get<std::string>() : "";
}

void write_failure_record(const Variant & variant, const std::string & input_sha256, const std::string & reason) {
    const Json record{{"input_sha256", input_sha256},
                      {"quantization", variant.quantization},
                      {"llama_cpp_version", engine::llama_cpp_version()},
                      {"error", reason}};
    write_file_atomic(source_record_path(variant), json_text(record) + "\n");
}

}  // namespace shimmy::lab
