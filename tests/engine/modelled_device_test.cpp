// The modelled card answers as CUDA's backend does (ggml-cuda.cu of llama.cpp).
#include "engine/device/modelled_device.h"

#include "ggml-cpp.h"
#include "ggml.h"

#include <gtest/gtest.h>

#include <cstring>

namespace shimmy::engine {
namespace {

class ModelledDevice : public ::testing::Test {
protected:
    ModelledDevice() : context_(ggml_init({1 << 20, nullptr, /*no_alloc=*/true})) {}

    ggml_tensor * tensor(ggml_type type, int64_t a, int64_t b = 1, int64_t c = 1) {
        return ggml_new_tensor_3d(context_.get(), type, a, b, c);
    }
    bool taken_over(const ggml_tensor * op) { return ggml_backend_dev_offload_op(device_, op); }

    ggml_context_ptr context_;
    ggml_backend_dev_t device_ = modelled_cuda_device();
    ggml_backend_buffer_type_t type_ = ggml_backend_dev_buffer_type(device_);
};

TEST_F(ModelledDevice, IsACardWithoutMemory) {
    EXPECT_STREQ(ggml_backend_dev_name(device_), "CUDA-modelled");
    EXPECT_STREQ(ggml_backend_buft_name(type_), "CUDA-modelled");
    EXPECT_EQ(ggml_backend_dev_type(device_), GGML_BACKEND_DEVICE_TYPE_GPU);
    ggml_backend_dev_props props{};
    ggml_backend_dev_get_props(device_, &props);
    EXPECT_EQ(props.type, GGML_BACKEND_DEVICE_TYPE_GPU);
    EXPECT_STREQ(props.name, "CUDA-modelled");
    EXPECT_EQ(props.memory_free, SIZE_MAX / 2) << "no limit, and none that overflows when something is added";
    EXPECT_EQ(props.memory_total, SIZE_MAX / 2);
    EXPECT_TRUE(props.caps.async);
    EXPECT_TRUE(props.caps.events);
    EXPECT_TRUE(props.caps.host_buffer);
    // Its buffers have a size and no memory; those on the host are real.
    const ggml_backend_buffer_ptr buffer(ggml_backend_buft_alloc_buffer(type_, 4096));
    EXPECT_EQ(ggml_backend_buffer_get_size(buffer.get()), 4096U);
    EXPECT_FALSE(ggml_backend_buffer_is_host(buffer.get()));
    const ggml_backend_buffer_ptr host(
        ggml_backend_buft_alloc_buffer(ggml_backend_dev_host_buffer_type(modelled_cuda_device()), 4096));
    EXPECT_TRUE(ggml_backend_buffer_is_host(host.get()));
    std::memset(ggml_backend_buffer_get_base(host.get()), 1, 4096);
    EXPECT_EQ(ggml_backend_reg_dev_count(ggml_backend_dev_backend_reg(device_)), MAX_CARDS);
    EXPECT_EQ(ggml_backend_reg_dev_get(ggml_backend_dev_backend_reg(device_), 0), device_);
}

TEST_F(ModelledDevice, AreSeveralThatDoNotHoldEachOthersBuffers) {
    const ggml_backend_dev_t second = modelled_cuda_device(1);
    EXPECT_STREQ(ggml_backend_dev_name(second), "CUDA-modelled-2");
    EXPECT_STREQ(ggml_backend_buft_name(ggml_backend_dev_buffer_type(second)), "CUDA-modelled-2");
    EXPECT_TRUE(ggml_backend_dev_supports_buft(second, ggml_backend_dev_buffer_type(second)));
    EXPECT_FALSE(ggml_backend_dev_supports_buft(second, type_));
    EXPECT_EQ(ggml_backend_reg_dev_get(ggml_backend_dev_backend_reg(device_), 1), second);
    EXPECT_THROW(modelled_cuda_device(MAX_CARDS), std::out_of_range);
}

TEST_F(ModelledDevice, PadsRowsOfQuantizedTensors) {
    EXPECT_EQ(ggml_backend_buft_get_alignment(type_), 128U);
    const auto size = [&](const ggml_tensor * of) { return ggml_backend_buft_get_alloc_size(type_, of); };
    EXPECT_EQ(size(tensor(GGML_TYPE_Q8_0, 512, 3)), 3U * 16 * 34);
    EXPECT_EQ(size(tensor(GGML_TYPE_Q8_0, 96, 3)), 3U * 3 * 34 + (512 - 96) / 32 * 34) << "the last row, to 512 values";
    EXPECT_EQ(size(tensor(GGML_TYPE_Q8_0, 544, 3)), 3U * 17 * 34 + (512 - 32) / 32 * 34);
    EXPECT_EQ(size(tensor(GGML_TYPE_F16, 96, 3)), 3U * 96 * 2);
}

TEST_F(ModelledDevice, TakesOverOperationsOf32RowsOrMore) {
    for (const int64_t n : {31, 32}) {
        const bool large = n == 32;
        ggml_tensor * weights = tensor(GGML_TYPE_F32, 8, 64);
        EXPECT_EQ(taken_over(ggml_mul_mat(context_.get(), weights, tensor(GGML_TYPE_F32, 8, n))), large);
        EXPECT_EQ(taken_over(ggml_add(context_.get(), tensor(GGML_TYPE_F32, 8, n), tensor(GGML_TYPE_F32, 8, n))),
                  large);
        ggml_tensor * experts = tensor(GGML_TYPE_F32, 8, 64, 40);
        EXPECT_EQ(taken_over(ggml_mul_mat_id(context_.get(), experts, tensor(GGML_TYPE_F32, 8, 1, n),
                                             tensor(GGML_TYPE_I32, 2, n))),
                  large)
            << "tokens, not experts";
        ggml_tensor * rope = ggml_rope(context_.get(), tensor(GGML_TYPE_F32, 8, 64, n), tensor(GGML_TYPE_I32, n), 8, 0);
        EXPECT_EQ(taken_over(rope), large);
        EXPECT_FALSE(taken_over(ggml_get_rows(context_.get(), weights, tensor(GGML_TYPE_I32, n))));
        EXPECT_TRUE(ggml_backend_dev_supports_op(device_, rope));
    }
}

TEST_F(ModelledDevice, OwnsItsBuffersOnly) {
    EXPECT_TRUE(ggml_backend_dev_supports_buft(device_, type_));
    EXPECT_FALSE(ggml_backend_dev_supports_buft(device_, ggml_backend_cpu_buffer_type()));
    EXPECT_FALSE(ggml_backend_buft_is_host(type_));
    EXPECT_EQ(ggml_backend_buft_get_device(type_), device_);
}

TEST_F(ModelledDevice, ComputesNothing) {
    const ggml_backend_ptr backend(ggml_backend_dev_init(device_, nullptr));
    ASSERT_TRUE(backend);
    EXPECT_STREQ(ggml_backend_name(backend.get()), "CUDA-modelled");
    EXPECT_EQ(ggml_backend_graph_compute(backend.get(), ggml_new_graph(context_.get())), GGML_STATUS_FAILED);
}

}  // namespace
}  // namespace shimmy::engine
