// The router's choices, read out of tensors laid out as llama.cpp lays them out.
#include "engine/load/routing_recorder.h"

#include "ggml-alloc.h"
#include "ggml-cpp.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

class RoutingRecorderTest : public ::testing::Test {
protected:
    RoutingRecorderTest() : context_(ggml_init({1 << 20, nullptr, /*no_alloc=*/true})) {}

    // Rows of `width` ids, of which the first `n_used` are chosen.
    ggml_tensor * chosen(const std::string & name, const std::vector<int32_t> & ids, int64_t width, int64_t n_used) {
        const auto n_tokens = static_cast<int64_t>(ids.size()) / width;
        ggml_tensor * sorted = ggml_new_tensor_2d(context_.get(), GGML_TYPE_I32, width, n_tokens);
        buffers_.emplace_back(ggml_backend_alloc_ctx_tensors_from_buft(context_.get(), ggml_backend_cpu_buffer_type()));
        ggml_backend_tensor_set(sorted, ids.data(), 0, ids.size() * sizeof(int32_t));
        ggml_tensor * view = ggml_view_2d(context_.get(), sorted, n_used, n_tokens, sorted->nb[1], 0);
        ggml_backend_view_init(view);
        ggml_set_name(view, name.c_str());
        return view;
    }

    bool wants(ggml_tensor * tensor) { return recorder_.callback()(tensor, /*ask=*/true, &recorder_); }
    void computed(ggml_tensor * tensor) { EXPECT_TRUE(recorder_.callback()(tensor, /*ask=*/false, &recorder_)); }

    ggml_context_ptr context_;
    std::vector<ggml_backend_buffer_ptr> buffers_;
    RoutingRecorder recorder_;
};

TEST_F(RoutingRecorderTest, KeepsTheChosenExpertsOfEveryToken) {
    ggml_tensor * second = chosen("ffn_moe_topk-2", {7, 3, 0, 1, /**/ 2, 9, 4, 5, /**/ 6, 1, 8, 0}, 4, 2);
    ggml_tensor * first = chosen("ffn_moe_topk-1", {300, 5}, 2, 2);
    for (ggml_tensor * tensor : {second, first}) {
        EXPECT_TRUE(wants(tensor));
        computed(tensor);
    }
    computed(first);  // the next batch
    const std::vector<LayerRouting> layers = recorder_.take();
    ASSERT_EQ(layers.size(), 2U);
    EXPECT_EQ(layers[0].layer, 1);
    EXPECT_EQ(layers[0].n_used, 2);
    EXPECT_EQ(layers[0].experts, (std::vector<uint16_t>{5, 300, 5, 300}));
    EXPECT_EQ(layers[1].layer, 2);
    EXPECT_EQ(layers[1].experts, (std::vector<uint16_t>{3, 7, 2, 9, 1, 6})) << "ascending within a token only";
    EXPECT_TRUE(recorder_.take().empty());
}

TEST_F(RoutingRecorderTest, OtherTensorsAreNotWanted) {
    for (const char * name : {"ffn_moe_topk", "ffn_moe_topk-", "ffn_moe_topk-x", "ffn_moe_topk-3 (view)", "x", ""}) {
        ggml_tensor * other = chosen(name, {1, 2}, 2, 2);
        EXPECT_FALSE(wants(other)) << name;
        computed(other);
    }
    ggml_tensor * weights = ggml_new_tensor_2d(context_.get(), GGML_TYPE_F32, 2, 1);
    ggml_set_name(weights, "ffn_moe_topk-3");
    EXPECT_FALSE(wants(weights)) << "no ids";
    EXPECT_TRUE(recorder_.take().empty());
}

}  // namespace
}  // namespace shimmy::engine
