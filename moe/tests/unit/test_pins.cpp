// Weights whose pages a GPU's backend locks.
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "environment.h"
#include "ggml-backend-impl.h"
#include "ggml-moe.h"
#include "harness.h"
#include "log_catcher.h"
#include "model_gpu.h"

using namespace moe_test;

namespace {

struct Environment {
    explicit Environment(const char * pin) { moe_test::set_variable("GGML_MOE_PIN", pin); }
    ~Environment() { moe_test::unset_variable("GGML_MOE_PIN"); }
    Environment(const Environment &) = delete;
    Environment & operator=(const Environment &) = delete;
};

ggml_moe_memory memory() {
    ggml_moe_memory m{};
    reinterpret_cast<ggml_moe_memory_t>(ggml_backend_reg_get_proc_address(plugin(), "ggml_moe_memory"))(&m, nullptr);
    return m;
}

// Experts in memory that the program mapped, and a layer whose norm is on the GPU.
struct Model {
    static constexpr size_t EXPERTS = 4, COLUMNS = 32, ROWS = 8;
    std::vector<float> file = std::vector<float>(EXPERTS * COLUMNS * ROWS + 8);
    ggml_backend_dev_t ours = ggml_backend_reg_dev_get(plugin(), 0);
    ggml_backend_buffer_t weights = ggml_backend_dev_buffer_from_host_ptr(
        ours, reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(file.data()) + 31) / 32 * 32),
        EXPERTS * COLUMNS * ROWS * sizeof(float), 0);
    ggml_backend_buffer_t on_gpu;
    ggml_context * c = ggml_init({1u << 16, nullptr, true});
    ggml_tensor * product;

    explicit Model(ModelGpu & gpu)
        : on_gpu(ggml_backend_buft_alloc_buffer(ggml_backend_dev_buffer_type(gpu.device()), 4096)) {
        ggml_tensor * norm = ggml_new_tensor_1d(c, GGML_TYPE_F32, COLUMNS);
        norm->buffer = on_gpu;
        ggml_tensor * x = ggml_mul(c, ggml_new_tensor_2d(c, GGML_TYPE_F32, COLUMNS, 1), norm);
        ggml_tensor * experts = ggml_new_tensor_3d(c, GGML_TYPE_F32, COLUMNS, ROWS, EXPERTS);
        ggml_set_name(experts, "blk.321.ffn_down_exps.weight");
        ggml_backend_tensor_alloc(weights, experts, ggml_backend_buffer_get_base(weights));
        product = ggml_mul_mat_id(c, experts, ggml_reshape_3d(c, x, COLUMNS, 1, 1),
                                  ggml_new_tensor_2d(c, GGML_TYPE_I32, 2, 1));
    }
    ~Model() {
        ggml_free(c);
        ggml_backend_buffer_free(on_gpu);
        if (weights != nullptr) ggml_backend_buffer_free(weights);
    }
    Model(const Model &) = delete;
    Model & operator=(const Model &) = delete;

    void is_offered() const { EXPECT_TRUE(ggml_backend_dev_supports_op(ours, product)); }
    void is_unloaded() {
        ggml_backend_buffer_free(weights);
        weights = nullptr;
    }
};
constexpr size_t BYTES = 4 * 32 * 8 * 4;

ModelGpuOptions that_locks() {
    ModelGpuOptions options;
    options.locks_pages = true;
    return options;
}

}  // namespace

TEST(Pins, AllOfABufferOnceUntilItGoes) {
    Environment on("on");
    ModelGpu gpu(that_locks());
    const uint64_t mapped = memory().mapped_bytes, pinned = memory().pinned_bytes;
    {
        Model model(gpu);
        EXPECT_EQ(memory().mapped_bytes, mapped + BYTES);
        EXPECT_TRUE(gpu.locked().empty()) << "no graph yet";
        model.is_offered();
        model.is_offered();
        EXPECT_EQ(gpu.locked(), (std::map<void *, size_t>{{ggml_backend_buffer_get_base(model.weights), BYTES}}));
        EXPECT_EQ(memory().pinned_bytes, pinned + BYTES);
        model.is_unloaded();
        EXPECT_TRUE(gpu.locked().empty()) << "before the program unmaps its file";
    }
    EXPECT_EQ(memory().mapped_bytes, mapped);
    EXPECT_EQ(memory().pinned_bytes, pinned);
}
TEST(Pins, NothingUnlessAskedFor) {
    for (const char * value : {"", "off"}) {
        Environment off(value);
        ModelGpu gpu(that_locks());
        LogCatcher log;
        Model model(gpu);
        model.is_offered();
        EXPECT_TRUE(gpu.locked().empty());
        EXPECT_EQ(log.text(), "");
    }
    Environment odd("yes");
    ModelGpu gpu(that_locks());
    LogCatcher log;
    Model model(gpu);
    model.is_offered();
    EXPECT_TRUE(gpu.locked().empty());
    EXPECT_EQ(log.text(), "ggml-moe: GGML_MOE_PIN=yes is none of on, off or a size; nothing is page-locked\n");
}
TEST(Pins, WholeBuffersThatFitIntoTheBudget) {
    Environment one_and_a_half("6K");  // a buffer has 4096 bytes
    ModelGpu gpu(that_locks());
    LogCatcher log;
    Model first(gpu), second(gpu);
    first.is_offered();
    EXPECT_EQ(log.text(), "");
    second.is_offered();
    EXPECT_EQ(memory().pinned_bytes, BYTES);
    EXPECT_EQ(log.text(), "ggml-moe: 0.00 GiB of experts are not page-locked: more than GGML_MOE_PIN leaves\n");
    first.is_unloaded();
    EXPECT_EQ(memory().pinned_bytes, 0u);
    Model third(gpu);
    third.is_offered();
    EXPECT_EQ(gpu.locked(), (std::map<void *, size_t>{{ggml_backend_buffer_get_base(third.weights), BYTES}}))
        << "there is room again";
}
TEST(Pins, ABufferOfTheBudgetsSizeFits) {
    for (const auto & [size, bytes] : std::map<const char *, uint64_t>{{"4096", BYTES}, {"4095", 0}, {"0", 0}}) {
        Environment budget(size);
        ModelGpu gpu(that_locks());
        Model model(gpu);
        model.is_offered();
        EXPECT_EQ(memory().pinned_bytes, bytes) << size;
    }
}
TEST(Pins, ARefusalIsToldOnce) {
    Environment on("on");
    ModelGpu gpu(that_locks());
    gpu.refuse_locks();
    LogCatcher log;
    Model model(gpu);
    model.is_offered();
    model.is_offered();
    EXPECT_EQ(log.text(), "ggml-moe: 0.00 GiB of experts are not page-locked: the driver refused\n");
    EXPECT_EQ(memory().pinned_bytes, 0u);
}
TEST(Pins, AGpuThatCannot) {
    Environment on("on");
    ModelGpu gpu;
    LogCatcher log;
    Model model(gpu);
    model.is_offered();
    EXPECT_EQ(log.text(), "ggml-moe: 0.00 GiB of experts are not page-locked: Model cannot do it\n");
}
