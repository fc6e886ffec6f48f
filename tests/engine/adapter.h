// A LoRA adapter for the embedded model, of two of its tensors: queries of the first layer, and the experts of the
// second. And the model with both added to its weights.
#pragma once

#include "rewritten_model.h"

#include <random>

namespace shimmy::engine {

struct Adapter {
    static constexpr size_t RANK = 2;
    // Wide enough to change answers.
    static constexpr float SIZE = 0.4F;

    struct Part {
        std::string name;
        size_t n_in, n_out, n_experts;  // n_experts 1: a plain matrix
        std::vector<float> a;           // [n_experts][RANK][n_in]
        std::vector<float> b;           // [n_experts][n_out][RANK]
    };

    explicit Adapter(const fs::path & model) : model_(model) {
        RewrittenModel file(model);
        std::mt19937 random(1);
        std::normal_distribution<float> normal(0.0F, SIZE);
        for (const char * name : {"blk.0.attn_q.weight", "blk.1.ffn_down_exps.weight"}) {
            const RewrittenModel::Tensor & tensor = file.tensor(name);
            Part part{name,
                      static_cast<size_t>(tensor.shape[0]),
                      static_cast<size_t>(tensor.shape[1]),
                      tensor.shape.size() > 2 ? static_cast<size_t>(tensor.shape[2]) : 1,
                      {},
                      {}};
            part.a.resize(part.n_experts * RANK * part.n_in);
            part.b.resize(part.n_experts * part.n_out * RANK);
            for (float & value : part.a)
                value = normal(random);
            for (float & value : part.b)
                value = normal(random);
            parts_.push_back(std::move(part));
        }
    }

    std::string write(const fs::path & path) const {
        RewrittenModel file(model_);
        file.tensors.clear();
        file.set("general.type", "adapter").set("adapter.type", "lora");
        file.set("adapter.lora.alpha", static_cast<float>(RANK));  // as much as the rank: parts are added as they are
        for (const Part & part : parts_) {
            const auto add = [&](const char * suffix, size_t n_first, size_t n_second,
                                 const std::vector<float> & values) {
                std::vector<int64_t> shape{static_cast<int64_t>(n_first), static_cast<int64_t>(n_second)};
                if (part.n_experts > 1) shape.push_back(static_cast<int64_t>(part.n_experts));
                file.tensors.push_back({part.name + suffix, shape, GGML_TYPE_F32, bytes_of(values)});
            };
            add(".lora_a", part.n_in, RANK, part.a);
            add(".lora_b", RANK, part.n_out, part.b);
        }
        return file.write(path);
    }

    std::string write_merged(const fs::path & path) const {
        RewrittenModel file(model_);
        for (const Part & part : parts_) {
            RewrittenModel::Tensor & tensor = file.tensor(part.name);
            std::vector<float> weights(part.n_experts * part.n_out * part.n_in);
            ggml_fp16_to_fp32_row(reinterpret_cast<const ggml_fp16_t *>(tensor.data.data()), weights.data(),
                                  static_cast<int64_t>(weights.size()));
            for (size_t row = 0; row < part.n_experts * part.n_out; ++row)
                for (size_t i = 0; i < part.n_in; ++i)
                    for (size_t k = 0; k < RANK; ++k)
                        weights[row * part.n_in + i] +=
                            part.b[row * RANK + k] * part.a[(row / part.n_out * RANK + k) * part.n_in + i];
            tensor.type = GGML_TYPE_F32;
            tensor.data = bytes_of(weights);
        }
        return file.write(path);
    }

private:
    static std::string bytes_of(const std::vector<float> & values) {
        return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)};
    }

    fs::path model_;
    std::vector<Part> parts_;
};

}  // namespace shimmy::engine
