#include "publish/package.h"

#include "base/error.h"
#include "base/json.h"
#include "base/process/progress.h"
#include "engine/make/split.h"
#include "lab/plan/hash_cache.h"
#include "lab/plan/quantized_models.h"

#include <algorithm>
#include <optional>
#include <set>

namespace shimmy::publish {

namespace {

hub::NewFile small_file(const fs::path & file) {
    const std::string content = read_file(file);
    return {file.filename().string(), file, content.size(), sha256_hex(content), false};
}

// The parts, made anew unless an earlier time has left them whole: they are written under another name first.
std::vector<fs::path> parts_of(const PlannedModel & model, const fs::path & dir, uint64_t max_file_bytes, bool quiet) {
    const fs::path & file = model.files.front();
    const fs::path stamp = dir / (file.filename().string() + ".parts.json");
    const Json made_from{{"model_sha256", model.model_sha256}, {"part_bytes", model.part_bytes}};
    if (fs::exists(stamp)) {
        const Json stored = read_json(stamp);
        std::vector<fs::path> parts;
        const Json names = stored.is_object() ? stored.value("files", Json::array()) : Json::array();
        for (size_t i = 0; i < names.size() && i < model.part_bytes.size(); ++i) {
            const fs::path part = dir / names[i].get<std::string>();
            if (fs::is_regular_file(part) && fs::file_size(part) == model.part_bytes[i]) parts.push_back(part);
        }
        const bool whole = stored.is_object() && stored.value("made_from", Json()) == made_from;
        if (whole && parts.size() == model.part_bytes.size()) return parts;
    }
    remove_stale_part_files(dir);
    Progress progress("splitting " + file.filename().string(), quiet, /*bytes=*/true);
    const std::vector<fs::path> parts = engine::split_model(
        file, dir, max_file_bytes, [&](uint64_t done, uint64_t total) { progress.update(done, total); });
    Json names = Json::array();
    for (const fs::path & part : parts)
        names.push_back(part.filename().string());
    write_file_atomic(stamp, json_text(Json{{"made_from", made_from}, {"files", names}}) + "\n");
    return parts;
}

class Hashes {
public:
    Hashes(const fs::path & out_dir, bool quiet) : cache_(out_dir / "hashes.json"), quiet_(quiet) {}
    ~Hashes() { cache_.save(); }
    Hashes(const Hashes &) = delete;
    Hashes & operator=(const Hashes &) = delete;

    hub::NewFile large_file(const fs::path & file) {
        std::optional<Progress> progress;
        const std::string sha256 = cache_.file_sha256(file, [&](const fs::path & path) -> ByteProgress {
            progress.emplace("sha256 of " + path.filename().string(), quiet_, /*bytes=*/true);
            return [&progress](uint64_t done, uint64_t total) { progress->update(done, total); };
        });
        return {file.filename().string(), file, fs::file_size(file), sha256, true};
    }

private:
    lab::HashCache cache_;
    bool quiet_;
};

// The card names the parts that are downloaded and their sums.
void describe_parts(lab::Summary & summary, const std::string & model, const std::string & quantization,
                    const std::vector<hub::NewFile> & parts) {
    for (lab::MeasuredFile & variant : summary.variants) {
        if (variant.model != model || variant.quantization != quantization) continue;
        for (const hub::NewFile & part : parts)
            variant.parts.push_back({part.path, part.size_bytes, part.sha256});
    }
}

// The importance matrix that a file of the repository was quantized with; empty: none, or it is not there any more.
fs::path matrix_of(const lab::Summary & summary, const PlannedRepository & repository) {
    const lab::CampaignModel & model = summary.model(repository.card.model);
    const fs::path matrix = lab::imatrix_path(summary.campaign, model);
    if (matrix.empty() || !fs::is_regular_file(matrix)) return {};
    const bool is_used =
        std::any_of(repository.models.begin(), repository.models.end(),
                    [&](const PlannedModel & made) { return made.files.front().filename() != model.path.filename(); });
    return is_used ? matrix : fs::path();
}

}  // namespace

fs::path package_dir(const fs::path & out_dir, const PlannedRepository & repository) {
    return out_dir / "publish" / repository.card.name;
}

Package make_package(const PublicationPlan & plan, const PlannedRepository & repository, const fs::path & out_dir,
                     uint64_t max_file_bytes, bool split, bool quiet) {
    const fs::path dir = package_dir(out_dir, repository);
    ensure_writable_dir(dir);
    Package package;
    package.repo = repository.card.id;
    lab::Summary summary = plan.summary;
    std::vector<hub::NewFile> models;
    Hashes hashes(out_dir, quiet);
    for (const PlannedModel & model : repository.models) {
        if (model.to_be_split() && !split) {
            package.to_be_split.push_back(model);
            continue;
        }
        const std::vector<fs::path> files =
            model.to_be_split() ? parts_of(model, dir, max_file_bytes, quiet) : model.files;
        std::vector<hub::NewFile> parts;
        for (const fs::path & file : files)
            parts.push_back(hashes.large_file(file));
        if (parts.size() > 1) describe_parts(summary, repository.card.model, model.quantization, parts);
        models.insert(models.end(), parts.begin(), parts.end());
    }
    const fs::path matrix = matrix_of(summary, repository);
    if (!matrix.empty()) models.push_back(hashes.large_file(matrix));
    const report::Quality quality(summary, out_dir);
    const report::Sources sources{
        .summary = summary, .quality = quality, .predicted_cards = report::read_predicted_cards(summary, out_dir)};
    for (const auto & [name, content] : report::card_files(sources, repository.card, plan.templates)) {
        write_file_atomic(dir / name, content);
        package.files.push_back(small_file(dir / name));
    }
    std::stable_partition(package.files.begin(), package.files.end(),
                          [](const hub::NewFile & file) { return file.path == CARD; });
    package.files.insert(package.files.end(), models.begin(), models.end());
    std::set<std::string> paths;
    for (const hub::NewFile & file : package.files) {
        if (!paths.insert(file.path).second)
            fail("{}: two of its files are named {}: rename one, or choose with --quant", package.repo, file.path);
    }
    return package;
}

}  // namespace shimmy::publish
