// The model files that a campaign makes, and how it is known that they are the ones it wants.
//
// Beside `<model>-<type>.gguf` lies `<model>-<type>.source.json`: {"input_sha256", "quantization", "llama_cpp_version",
// "size_bytes", "sha256", "made_ms"}. A file without it, or with another, was not finished by this campaign and is made
// again. Where making it failed, the record holds {"input_sha256", "error"} in place of a size.
#pragma once

#include "lab/plan/hash_cache.h"
#include "lab/plan/plan.h"

#include <functional>
#include <optional>

namespace shimmy::lab {

// Of the importance matrix that the campaign's model is quantized with: one that is given, or, made of a text,
// `<out_dir>/models/<model>.imatrix.gguf`. Empty: none.
fs::path imatrix_path(const Campaign & campaign, const CampaignModel & model);

// Beside it, for one that is made: what it was made of. The text's sha256 in that record; empty: none is there.
fs::path imatrix_record_path(const fs::path & matrix);
std::string imatrix_text_sha256(const Campaign & campaign, const CampaignModel & model);

fs::path source_record_path(const Variant & variant);

// What stands for the sha256 of an input that is a shape: of its text and the campaign's wishes.
std::string shape_sha256(const CampaignModel & model);

// True if the variant's file exists, was made from an input of this hash by this llama.cpp, and still holds what was
// made: `sha256` says what a file's hash is now.
bool is_up_to_date(const Variant & variant, const std::string & input_sha256,
                   const std::function<std::string(const fs::path &)> & sha256);

// To be called once the file is whole. `made_ms`: how long making it took.
void write_source_record(const Variant & variant, const std::string & input_sha256, const std::string & sha256,
                         double made_ms);

// nullopt if the record does not say it.
std::optional<double> recorded_made_ms(const Variant & variant);

// Why making the file from this input failed last time; empty if it did not.
std::string recorded_failure(const Variant & variant, const std::string & input_sha256);
void write_failure_record(const Variant & variant, const std::string & input_sha256, const std::string & reason);

}  // namespace shimmy::lab
