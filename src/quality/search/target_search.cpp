#include "quality/search/target_search.h"

#include "base/error.h"
#include "base/json.h"
#include "base/process/progress.h"
#include "base/text/text_file.h"
#include "base/text/units.h"
#include "engine/device/device.h"
#include "engine/layout/tensor_plan.h"
#include "engine/make/quantize.h"
#include "engine/predict/estimate.h"
#include "gguf/gguf_file.h"
#include "gguf/model_info.h"
#include "quality/reference_cache.h"
#include "quality/search/sensitivity.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

namespace shimmy::quality {

namespace {

constexpr std::array PLAIN_TYPES{"Q8_0",   "Q6_K",   "Q5_K_M", "Q5_K_S", "Q4_K_M",
                                 "Q4_K_S", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K"};
constexpr uint32_t CHUNK = 512;  // tokens, as shimmy quality
constexpr int MAX_CORRECTIONS = 4;

class TargetSearch {
public:
    TargetSearch(const TargetOptions & target, fs::path scratch)
        : target_(target),
          input_(target.input),
          scratch_(std::move(scratch)),
          groups_(tensor_groups(input_, target.load.placement)),
          cache_("", 0) {
        evaluation_ = target.load;
        evaluation_.path = input_.string();
        evaluation_.n_ctx = static_cast<uint32_t>(std::min<int64_t>(CHUNK, gguf::read_model_info(input_).n_ctx_train));
        const bool is_gpu = engine::find_device(target.load.device).is_gpu();
        memory_ = evaluation_;
        memory_.n_ctx = target.load.n_ctx;
        if (!is_gpu) memory_.device = engine::MODELLED_CUDA;
    }

    // Throws Error if even the smallest types are too large: before anything is measured.
    void require_reachable() const {
        if (!pick_types(groups_, first_budget())) fail_unreachable();
    }

    void measure() {
        ReferenceOptions options{evaluation_, read_measured_text(target_.text.string()), target_.n_chunks,
                                 Json::object()};
        auto progress = std::make_shared<Progress>("base", target_.quiet);
        reference_.emplace(options, cache_, [progress](size_t done, size_t total) { progress->update(done, total); });
        Progress steps("sensitivity", target_.quiet);
        measure_sensitivity(groups_, *reference_,
                            {input_, target_.imatrix, scratch_, evaluation_.n_threads, evaluation_},
                            [&](const std::string &, size_t done, size_t total) { steps.update(done, total); });
    }

    // The mix, written to `path` and measured. What a plan leaves out (padding, rounding of buffers) is taken off the
    // budget until the file that was written keeps the target.
    TargetFile mix(const fs::path & path) {
        Budget budget = first_budget();
        for (int i = 0; i < MAX_CORRECTIONS; ++i) {
            const auto picked = pick_types(groups_, budget);
            if (!picked) break;
            TargetFile candidate = make(path, carrier(), overrides_of(groups_, *picked));
            const uint64_t size_excess = excess(candidate.size_bytes, target_.max_size_bytes);
            const uint64_t vram_excess = excess(candidate.vram_bytes.value_or(0), target_.max_vram_bytes);
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
            if (target_.max_size_bytes != NO_LIMIT &&
                engine::plan_tensors(input_, type).total_bytes() > target_.max_size_bytes)
                continue;
            TargetFile candidate = make(path, type, {});
            if (candidate.size_bytes > target_.max_size_bytes ||
                candidate.vram_bytes.value_or(0) > target_.max_vram_bytes)
                continue;
            candidate.figures = measured(path);
            return candidate;
        }
        fs::remove(path);
        return std::nullopt;
    }

    std::vector<TensorGroup> groups() && { return std::move(groups_); }

private:
    static uint64_t excess(uint64_t value, uint64_t limit) { return value > limit ? value - limit : 0; }

    [[noreturn]] void fail_unreachable() const {
        fail("{}: {} is out of reach: even the smallest types take more", input_.string(), target_.described);
    }

    // Bytes that the groups may take: the target less all that is not theirs, as it is in the original.
    Budget first_budget() const {
        uint64_t group_bytes = 0;
        uint64_t device_bytes = 0;
        const gguf::GgufFile file(input_);
        for (const gguf::TensorInfo & tensor : file.tensors()) {
            for (const TensorGroup & group : groups_) {
                if (std::find(group.tensors.begin(), group.tensors.end(), tensor.name) == group.tensors.end()) continue;
                group_bytes += tensor.bytes;
                device_bytes += group.on_device ? tensor.bytes : 0;
            }
        }
        Budget budget;
        if (target_.max_size_bytes != NO_LIMIT)
            budget.total_bytes = left_of(target_.max_size_bytes, file.size_bytes() - group_bytes);
        if (target_.max_vram_bytes != NO_LIMIT)
            budget.device_bytes = left_of(target_.max_vram_bytes, vram_of(input_) - device_bytes);
        return budget;
    }

    uint64_t left_of(uint64_t limit, uint64_t fixed_bytes) const {
        if (limit <= fixed_bytes)
            fail("{}: what is not quantized takes {} by itself: {} is out of reach", input_.string(),
                 format_bytes(fixed_bytes), target_.described);
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
            if (target_.max_size_bytes == NO_LIMIT ||
                engine::plan_tensors(input_, type).total_bytes() <= target_.max_size_bytes)
                return type;
        }
        return PLAIN_TYPES.back();
    }

    TargetFile make(const fs::path & path, const std::string & type,
                    const std::vector<engine::TensorOverride> & types) const {
        Progress progress(path.filename().string(), target_.quiet);
        engine::quantize({input_, path, type, target_.imatrix, evaluation_.n_threads, types},
                         [&](uint64_t done, uint64_t total) { progress.update(done, total); });
        TargetFile candidate{type, types, path, fs::file_size(path), std::nullopt, {}};
        if (target_.max_vram_bytes != NO_LIMIT) candidate.vram_bytes = vram_of(path);
        return candidate;
    }

    Divergence measured(const fs::path & path) const {
        engine::LoadOptions load = evaluation_;
        load.path = path.string();
        return reference_->compare(load, [](size_t, size_t) {}).figures;
    }

    const TargetOptions & target_;
    fs::path input_;
    fs::path scratch_;
    std::vector<TensorGroup> groups_;
    ReferenceCache cache_;
    std::optional<Reference> reference_;
    engine::LoadOptions evaluation_;
    engine::LoadOptions memory_;
};

}  // namespace

size_t n_searched_files(const fs::path & model, engine::Placement placement) {
    return n_sensitivity_steps(tensor_groups(model, placement)) + 2;
}

TargetResult quantize_to_target(const TargetOptions & target, const fs::path & path) {
    const auto part = [&](const char * what) {  // a name that is cleared away after a kill
        return path.parent_path() / fmt::format("{}-{}.{}.part", path.stem().string(), what, ::getpid());
    };
    TargetSearch search(target, part("scratch"));
    search.require_reachable();
    search.measure();
    PartFile mix_file(path);
    TargetResult result;
    result.mix = search.mix(mix_file.path());
    const fs::path plain_path = part("plain");
    result.plain = search.plain(plain_path);
    if (!result.mix_is_better()) fs::rename(plain_path, mix_file.path());
    std::error_code ignored;
    fs::remove(plain_path, ignored);
    mix_file.commit();
    result.groups = std::move(search).groups();
    return result;
}

}  // namespace shimmy::quality
