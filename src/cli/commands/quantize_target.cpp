#include "cli/commands/quantize_target.h"

#include "base/error.h"
#include "base/process/progress.h"
#include "base/units.h"
#include "cli/placement_options.h"
#include "engine/load/device.h"
#include "engine/make/quantize.h"
#include "engine/predict/fit.h"
#include "engine/predict/tensor_plan.h"
#include "gguf/model_info.h"
#include "quality/sensitivity.h"
#include "report/text/table.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>

namespace shimmy::cli {

namespace {

constexpr std::array PLAIN_TYPES{"Q8_0",   "Q6_K",   "Q5_K_M", "Q5_K_S", "Q4_K_M",
                                 "Q4_K_S", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K"};
constexpr uint32_t CHUNK = 512;  // tokens, as shimmy quality
constexpr int MAX_CORRECTIONS = 4;
constexpr uint64_t NO_LIMIT = std::numeric_limits<uint64_t>::max();

// A file that was written and measured.
struct TargetFile {
    std::string quantization;  // plain, or of what the groups leave out
    std::vector<engine::TensorOverride> types;
    fs::path path;
    uint64_t size_bytes = 0;
    std::optional<uint64_t> vram_bytes;
    quality::Divergence figures;
};

class TargetSearch {
public:
    TargetSearch(const TargetOptions & target, fs::path input, std::string imatrix, const Globals & globals,
                 fs::path scratch)
        : target_(target),
          input_(std::move(input)),
          imatrix_(std::move(imatrix)),
          scratch_(std::move(scratch)),
          quiet_(globals.json),
          size_limit_(target.size.empty() ? NO_LIMIT : parse_bytes(target.size, "--target-size")),
          vram_limit_(target.vram.empty() ? NO_LIMIT : parse_bytes(target.vram, "--target-vram")),
          groups_(quality::tensor_groups(input_, placement_option(globals))),
          cache_("", 0) {
        evaluation_ = target.load;
        evaluation_.path = input_.string();
        evaluation_.placement = placement_option(globals);
        evaluation_.n_ctx = static_cast<uint32_t>(std::min<int64_t>(CHUNK, gguf::read_model_info(input_).n_ctx_train));
        const bool is_gpu = engine::find_device(target.load.device).is_gpu();
        memory_ = evaluation_;
        memory_.n_ctx = target.load.n_ctx;
        if (!is_gpu) memory_.device = engine::MODELLED_CUDA;
    }

    // Throws Error if even the smallest types are too large: before anything is measured.
    void require_reachable() const {
        if (!quality::pick_types(groups_, first_budget())) fail_unreachable();
    }

    void measure() {
        quality::ReferenceOptions options{evaluation_, read_file(target_.text), static_cast<size_t>(target_.n_chunks),
                                          Json::object()};
        auto progress = std::make_shared<Progress>("base", quiet_);
        reference_.emplace(options, cache_, [progress](size_t done, size_t total) { progress->update(done, total); });
        Progress steps("sensitivity", quiet_);
        quality::measure_sensitivity(
            groups_, *reference_, {input_, imatrix_, scratch_, evaluation_.n_threads, evaluation_},
            [&](const std::string &, size_t done, size_t total) { steps.update(done, total); });
    }

    // The mix, written to `path` and measured. What a plan leaves out (padding, rounding of buffers) is taken off the
    // budget until the file that was written keeps the target.
    TargetFile mix(const fs::path & path) {
        quality::Budget budget = first_budget();
        for (int i = 0; i < MAX_CORRECTIONS; ++i) {
            const auto picked = quality::pick_types(groups_, budget);
            if (!picked) break;
            TargetFile candidate = make(path, carrier(), quality::overrides_of(groups_, *picked));
            const uint64_t size_excess = excess(candidate.size_bytes, size_limit_);
            const uint64_t vram_excess = excess(candidate.vram_bytes.value_or(0), vram_limit_);
            if (size_excess == 0 && vram_excess == 0) {
                candidate.figures = measured(path);
                return candidate;
            }
            budget.total_bytes -= std::min(budget.total_bytes, size_excess);
            budget.device_bytes -= std::min(budget.device_bytes, vram_excess);
        }
        fs::remove(path);
        fail_unreachable();
    }

    // The largest plain quantization that keeps the target; none if even the smallest does not.
    std::optional<TargetFile> plain(const fs::path & path) {
        for (const char * type : PLAIN_TYPES) {
            if (size_limit_ != NO_LIMIT && engine::plan_tensors(input_, type).total_bytes() > size_limit_) continue;
            TargetFile candidate = make(path, type, {});
            if (candidate.size_bytes > size_limit_ || candidate.vram_bytes.value_or(0) > vram_limit_) continue;
            candidate.figures = measured(path);
            return candidate;
        }
        fs::remove(path);
        return std::nullopt;
    }

    Json sensitivity() const {
        Json list = Json::array();
        for (const quality::TensorGroup & group : groups_) {
            Json options = Json::array();
            for (const quality::TypeOption & option : group.options)
                options.push_back({{"type", option.type}, {"bytes", option.bytes}, {"kld", option.kld}});
            list.push_back({{"group", group.name}, {"n_tensors", group.tensors.size()}, {"types", options}});
        }
        return list;
    }

    // Which type each group got.
    std::string table(const TargetFile & mix) const {
        report::Table table;
        table.columns = {
            {"tensors", report::Table::Align::left}, {"type", report::Table::Align::left}, {"KLD of it alone"}};
        for (size_t i = 0; i < groups_.size(); ++i) {
            const auto & options = groups_[i].options;
            const auto chosen = std::find_if(options.begin(), options.end(), [&](const quality::TypeOption & option) {
                return option.type == mix.types[i].type;
            });
            table.rows.push_back({groups_[i].name, chosen->type, fmt::format("{:.6f}", chosen->kld)});
        }
        return table.text();
    }

private:
    static uint64_t excess(uint64_t value, uint64_t limit) { return value > limit ? value - limit : 0; }

    [[noreturn]] void fail_unreachable() const {
        fail("{}: {} is out of reach: even the smallest types take more", input_.string(), limits());
    }

    std::string limits() const {
        std::string text = target_.size.empty() ? "" : target_.size + " of file";
        if (!target_.vram.empty()) text += (text.empty() ? "" : " and ") + target_.vram + " of VRAM";
        return text;
    }

    // Bytes that the groups may take: the target less all that is not theirs, as it is in the original.
    quality::Budget first_budget() const {
        uint64_t group_bytes = 0;
        uint64_t device_bytes = 0;
        const gguf::GgufFile file(input_);
        for (const gguf::TensorInfo & tensor : file.tensors()) {
            for (const quality::TensorGroup & group : groups_) {
                if (std::find(group.tensors.begin(), group.tensors.end(), tensor.name) == group.tensors.end()) continue;
                group_bytes += tensor.bytes;
                device_bytes += group.on_device ? tensor.bytes : 0;
            }
        }
        quality::Budget budget;
        if (size_limit_ != NO_LIMIT) budget.total_bytes = left_of(size_limit_, file.size_bytes() - group_bytes);
        if (vram_limit_ != NO_LIMIT) budget.device_bytes = left_of(vram_limit_, vram_of(input_) - device_bytes);
        return budget;
    }

    uint64_t left_of(uint64_t limit, uint64_t fixed_bytes) const {
        if (limit <= fixed_bytes)
            fail("{}: what is not quantized takes {} by itself: {} is out of reach", input_.string(),
                 format_bytes(fixed_bytes), limits());
        return limit - fixed_bytes;
    }

    uint64_t vram_of(const fs::path & file) const {
        engine::LoadOptions load = memory_;
        load.path = file.string();
        return engine::estimate_memory(load).vram().total_bytes();
    }

    // Whose name the mix bears: the plain quantization next to it in size.
    std::string carrier() const {
        for (const char * type : PLAIN_TYPES) {
            if (size_limit_ == NO_LIMIT || engine::plan_tensors(input_, type).total_bytes() <= size_limit_) return type;
        }
        return PLAIN_TYPES.back();
    }

    TargetFile make(const fs::path & path, const std::string & type,
                    const std::vector<engine::TensorOverride> & types) const {
        Progress progress(path.filename().string(), quiet_);
        engine::quantize({input_, path, type, imatrix_, evaluation_.n_threads, types},
                         [&](uint64_t done, uint64_t total) { progress.update(done, total); });
        TargetFile candidate{type, types, path, fs::file_size(path), std::nullopt, {}};
        if (vram_limit_ != NO_LIMIT) candidate.vram_bytes = vram_of(path);
        return candidate;
    }

    quality::Divergence measured(const fs::path & path) const {
        engine::LoadOptions load = evaluation_;
        load.path = path.string();
        return reference_->compare(load, [](size_t, size_t) {}).figures;
    }

    TargetOptions target_;
    fs::path input_;
    std::string imatrix_;
    fs::path scratch_;
    bool quiet_;
    uint64_t size_limit_;
    uint64_t vram_limit_;
    std::vector<quality::TensorGroup> groups_;
    quality::ReferenceCache cache_;
    std::optional<quality::Reference> reference_;
    engine::LoadOptions evaluation_;
    engine::LoadOptions memory_;
};

Json to_json(const TargetFile & candidate) {
    Json types = Json::array();
    for (const engine::TensorOverride & one : candidate.types)
        types.push_back(one.pattern + "=" + one.type);
    Json result = {{"quantization", candidate.quantization},
                   {"size_bytes", candidate.size_bytes},
                   {"mean_kld", candidate.figures.mean_kld},
                   {"mean_kld_error", candidate.figures.mean_kld_error},
                   {"tensor_types", types}};
    if (candidate.vram_bytes) result["vram_bytes"] = *candidate.vram_bytes;
    return result;
}

std::string line(const std::string & name, const TargetFile & candidate) {
    return fmt::format("{:<14} {:>10}  mean KLD {:.6f} ± {:.6f}{}\n", name, format_bytes(candidate.size_bytes),
                       candidate.figures.mean_kld, candidate.figures.mean_kld_error,
                       candidate.vram_bytes ? fmt::format("  VRAM {}", format_bytes(*candidate.vram_bytes)) : "");
}

}  // namespace

void add_target_options(CLI::App & command, TargetOptions & target, Globals & globals) {
    command
        .add_option("--target-size", target.size,
                    "instead of --types: find the best file of at most this size, by measuring how much quality each "
                    "group of tensors costs")
        ->type_name("SIZE");
    command
        .add_option("--target-vram", target.vram,
                    "the same for the model's VRAM with --ctx tokens of context and the given placement (--cpu-moe)")
        ->type_name("SIZE");
    command.add_option("--text", target.text, "evaluation text of --target-size and --target-vram")->type_name("FILE");
    command.add_option("--chunks", target.n_chunks, "maximum number of chunks of 512 tokens; 0: the whole text")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    add_load_options(command, target.load);
    add_placement_options(command, globals, DefaultPlacement::gpu);
    add_backend_options(command, globals);
}

Json quantize_to_target(const TargetOptions & target, const fs::path & input, const std::string & stem,
                        const fs::path & dir, const std::string & imatrix, const Globals & globals) {
    if (target.text.empty()) fail_usage("--target-size and --target-vram need --text: quality is measured on it");
    load_backends(globals, target.load.device);
    std::string name = target.size.empty() ? target.vram + "-vram" : target.size;
    std::erase(name, ' ');
    const fs::path path = dir / fmt::format("{}-{}.gguf", stem, name);
    const auto part = [&](const char * what) {  // a name that is cleared away after a kill
        return dir / fmt::format("{}-{}.{}.part", stem, what, ::getpid());
    };
    TargetSearch search(target, input, imatrix, globals, part("scratch"));
    search.require_reachable();
    search.measure();
    PartFile mix_file(path);
    const TargetFile mix = search.mix(mix_file.path());
    const fs::path plain_path = part("plain");
    const std::optional<TargetFile> plain = search.plain(plain_path);
    const bool mix_is_better = !plain || mix.figures.mean_kld < plain->figures.mean_kld;
    if (!mix_is_better) fs::rename(plain_path, mix_file.path());
    std::error_code ignored;
    fs::remove(plain_path, ignored);
    mix_file.commit();

    const TargetFile & kept = mix_is_better ? mix : *plain;
    if (!globals.json) {
        fmt::print("{}\n{}{}", search.table(mix), line("mix", mix), plain ? line(plain->quantization, *plain) : "");
        fmt::print("{}: {}\n", path.string(),
                   mix_is_better ? plain ? "the mix, which is closer to the original than the plain type of that size"
                                         : "the mix; no plain type is that small"
                                 : "the plain type: the mix was measured to be no better");
    }
    return {{"path", path.string()},
            {"quantization", kept.quantization},
            {"size_bytes", kept.size_bytes},
            {"is_mix", mix_is_better},
            {"mix", to_json(mix)},
            {"plain", plain ? to_json(*plain) : Json()},
            {"sensitivity", search.sensitivity()}};
}

}  // namespace shimmy::cli
