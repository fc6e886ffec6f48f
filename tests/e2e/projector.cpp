#include "projector.h"

#include "ggml.h"
#include "gguf.h"

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

namespace shimmy::e2e {

namespace {

constexpr int64_t WIDTH = 32;  // of the vision model
constexpr int64_t PATCH = 14;

class Tensors {
public:
    explicit Tensors(gguf_context * file) : file_(file), context_(ggml_init({1 << 24, nullptr, false}), ggml_free) {}

    void add(const std::string & name, const std::vector<int64_t> & shape) {
        ggml_tensor * tensor =
            ggml_new_tensor(context_.get(), GGML_TYPE_F32, static_cast<int>(shape.size()), shape.data());
        ggml_set_name(tensor, name.c_str());
        std::normal_distribution<float> normal(0.0F, 0.3F);
        for (int64_t i = 0; i < ggml_nelements(tensor); ++i)
            static_cast<float *>(tensor->data)[i] = normal(random_);
        gguf_add_tensor(file_, tensor);
    }

private:
    gguf_context * file_;
    std::unique_ptr<ggml_context, void (*)(ggml_context *)> context_;
    std::mt19937 random_{1};
};

template <typename Number>
void append(std::string & bytes, Number number) {
    bytes.append(reinterpret_cast<const char *>(&number), sizeof number);
}

}  // namespace

void write_projector(const fs::path & file, int64_t n_embd) {
    const std::unique_ptr<gguf_context, void (*)(gguf_context *)> gguf(gguf_init_empty(), gguf_free);
    gguf_set_val_str(gguf.get(), "general.architecture", "clip");
    gguf_set_val_str(gguf.get(), "clip.projector_type", "mlp");
    gguf_set_val_bool(gguf.get(), "clip.has_vision_encoder", true);
    gguf_set_val_bool(gguf.get(), "clip.use_gelu", true);
    for (const auto & [key, value] :
         {std::pair{"image_size", 2 * PATCH}, std::pair{"patch_size", PATCH}, std::pair{"embedding_length", WIDTH},
          std::pair{"feed_forward_length", 2 * WIDTH}, std::pair{"block_count", int64_t{1}},
          std::pair{"attention.head_count", int64_t{2}}, std::pair{"projection_dim", n_embd}})
        gguf_set_val_u32(gguf.get(), (std::string("clip.vision.") + key).c_str(), static_cast<uint32_t>(value));
    gguf_set_val_f32(gguf.get(), "clip.vision.attention.layer_norm_epsilon", 1e-5F);
    constexpr std::array<float, 3> HALF{0.5F, 0.5F, 0.5F};
    for (const char * key : {"clip.vision.image_mean", "clip.vision.image_std"})
        gguf_set_arr_data(gguf.get(), key, GGUF_TYPE_FLOAT32, HALF.data(), HALF.size());
    Tensors tensors(gguf.get());
    tensors.add("v.patch_embd.weight", {PATCH, PATCH, 3, WIDTH});
    tensors.add("v.position_embd.weight", {WIDTH, N_PATCHES});
    for (const char * name : {"attn_q", "attn_k", "attn_v", "attn_out"})
        tensors.add(std::string("v.blk.0.") + name + ".weight", {WIDTH, WIDTH});
    tensors.add("v.blk.0.ffn_up.weight", {WIDTH, 2 * WIDTH});
    tensors.add("v.blk.0.ffn_down.weight", {2 * WIDTH, WIDTH});
    tensors.add("mm.0.weight", {WIDTH, n_embd});
    tensors.add("mm.0.bias", {n_embd});
    tensors.add("mm.2.weight", {n_embd, n_embd});
    tensors.add("mm.2.bias", {n_embd});
    gguf_write_to_file(gguf.get(), file.c_str(), /*only_meta=*/false);
}

std::string picture(uint8_t red, uint8_t green, uint8_t blue, int32_t width, int32_t height) {
    constexpr int32_t SIDE = 28;
    constexpr uint32_t HEADER_BYTES = 54;
    std::string bytes = "BM";
    append<uint32_t>(bytes, HEADER_BYTES + 3 * SIDE * SIDE);
    append<uint32_t>(bytes, 0);
    append<uint32_t>(bytes, HEADER_BYTES);
    append<uint32_t>(bytes, 40);  // of the second header
    append(bytes, width);
    append(bytes, height);
    append<uint16_t>(bytes, 1);
    append<uint16_t>(bytes, 24);  // bits per pixel
    bytes.append(24, '\0');
    for (int32_t i = 0; i < SIDE * SIDE; ++i)
        for (const uint8_t colour : {blue, green, red})
            append(bytes, colour);
    return bytes;
}

}  // namespace shimmy::e2e
