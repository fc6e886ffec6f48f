#include "lab/plan/hasher.h"

#include "base/text/units.h"
#include "lab/plan/quantized_models.h"

#include <fmt/format.h>

namespace shimmy::lab {

namespace {

constexpr uint64_t QUICK_HASH_BYTES = GIB;  // below, hashing takes seconds and needs no progress bar

}  // namespace

Hasher::Hasher(const Campaign & campaign, bool quiet) : cache_(campaign.out_dir / "hashes.json"), quiet_(quiet) {}

std::string Hasher::sha256(const fs::path & file) {
    return cache_.model_sha256(file, [this](const fs::path & path) -> ByteProgress {
        const bool quick = fs::file_size(path) < QUICK_HASH_BYTES;
        progress_.emplace(fmt::format("sha256 of {}", path.filename().string()), quiet_ || quick);
        return [this](uint64_t done, uint64_t total) { progress_->update(done, total); };
    });
}

std::string Hasher::input_sha256(const Campaign & campaign, const Variant & variant) {
    const CampaignModel & model = campaign.models.at(variant.campaign_model);
    if (variant.input.empty()) return shape_sha256(model);
    std::string hash = sha256(variant.input);
    // Other weights come of another matrix, or of another text.
    if (!model.imatrix.empty()) hash = sha256_hex(hash + " imatrix " + sha256(model.imatrix));
    if (!model.imatrix_text.empty())
        hash = sha256_hex(
            fmt::format("{} imatrix of {}, {} chunks", hash, sha256(model.imatrix_text), model.imatrix_chunks));
    if (const Mix * mix = find_mix(campaign, variant.quantization)) {
        const std::string text = mix->is_searched() ? sha256(mix->text) : "";
        hash = sha256_hex(fmt::format("{} mix of {} {}", hash, mix->recipe(), text));
    }
    return hash;
}

void Hasher::save() {
    progress_.reset();
    cache_.save();
}

}  // namespace shimmy::lab
