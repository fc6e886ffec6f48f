// What ggml calls: registry, device, buffers and backend.
#include <gtest/gtest.h>

#include <cstring>

#include "ggml-backend-impl.h"
#include "ggml/log.h"
#include "harness.h"
#include "log_catcher.h"

using namespace moe_test;

extern "C" int ggml_backend_score(void);

namespace {

ggml_backend_dev_t device() {
    return ggml_backend_reg_dev_get(plugin(), 0);
}

ggml_backend_buffer_type_t buffer_type() {
    ggml_backend_dev_type(device());
    return ggml_backend_dev_buffer_type(device());
}

struct Tensor {
    ggml_context * c = ggml_init({1u << 14, nullptr, true});
    ggml_tensor * t = ggml_new_tensor_1d(c, GGML_TYPE_I8, 128);
    explicit Tensor(ggml_backend_buffer_t b) { ggml_backend_tensor_alloc(b, t, ggml_backend_buffer_get_base(b)); }
    ~Tensor() { ggml_free(c); }
    Tensor(const Tensor &) = delete;
    Tensor & operator=(const Tensor &) = delete;
    std::vector<uint8_t> bytes() const {
        const auto * p = static_cast<const uint8_t *>(t->data);
        return {p, p + 128};
    }
};

}  // namespace

TEST(Abi, Registry) {
    EXPECT_EQ(plugin(), ggml_backend_dev_backend_reg(device()));
    EXPECT_STREQ(ggml_backend_reg_name(plugin()), "MoE");
    EXPECT_EQ(plugin()->api_version, GGML_BACKEND_API_VERSION);
    EXPECT_EQ(ggml_backend_reg_dev_count(plugin()), 1u);
    EXPECT_EQ(plugin()->iface.get_device(plugin(), 1), nullptr);
    EXPECT_GT(ggml_backend_score(), 0);
    for (const char * name : {"ggml_backend_set_n_threads", "ggml_moe_isa", "ggml_moe_experts", "ggml_moe_experts_of",
                              "ggml_moe_expert_stats_reset"}) {
        EXPECT_NE(ggml_backend_reg_get_proc_address(plugin(), name), nullptr) << name;
    }
    EXPECT_EQ(ggml_backend_reg_get_proc_address(plugin(), "ggml_moe"), nullptr);
}
TEST(Abi, Device) {
    ggml_backend_dev_props p;
    std::memset(&p, 0xff, sizeof p);
    ggml_backend_dev_get_props(device(), &p);
    EXPECT_STREQ(p.name, "MoE");
    EXPECT_EQ(std::string(p.description).rfind("CPU experts, ", 0), 0u);
    EXPECT_EQ(p.type, GGML_BACKEND_DEVICE_TYPE_ACCEL);
    EXPECT_EQ(p.memory_free, 0u);
    EXPECT_EQ(p.memory_total, 0u);
    EXPECT_FALSE(p.caps.async);
    EXPECT_FALSE(p.caps.host_buffer);
    EXPECT_FALSE(p.caps.events);
    EXPECT_TRUE(p.caps.buffer_from_host_ptr);
    EXPECT_TRUE(p.caps.mmap_support);
    size_t free = 1, total = 1;
    ggml_backend_dev_memory(device(), &free, &total);
    EXPECT_EQ(free, 0u);
    EXPECT_EQ(total, 0u);
    EXPECT_EQ(ggml_backend_dev_type(device()), GGML_BACKEND_DEVICE_TYPE_ACCEL);
}
// --split-mode tensor takes every device for a GPU whose buffer type, asked for out of the blue, is not the CPU's.
TEST(Abi, BufferTypeIsToldToThoseWhoWillUseIt) {
    const auto asked = [](const std::function<void()> & before) {
        before();
        const std::string first = ggml_backend_buft_name(ggml_backend_dev_buffer_type(device()));
        EXPECT_EQ(first, ggml_backend_buft_name(ggml_backend_dev_buffer_type(device()))) << "asked twice";
        return first;
    };
    ggml_backend_dev_props props;
    EXPECT_EQ(asked([] { ggml_backend_dev_type(device()); }), "MoE");
    EXPECT_EQ(asked([&] { ggml_backend_dev_get_props(device(), &props); }), "MoE");
    ggml_backend_t backend = nullptr;
    EXPECT_EQ(asked([&] { backend = ggml_backend_dev_init(device(), nullptr); }), "MoE");
    EXPECT_EQ(asked([] { ggml_backend_dev_name(device()); }), "CPU");
    EXPECT_EQ(asked([] {
                  ggml_backend_dev_type(device());
                  ggml_backend_dev_name(device());
              }),
              "CPU");
    ggml_tensor none{};
    EXPECT_EQ(asked([&] {
                  ggml_backend_dev_type(device());
                  ggml_backend_dev_supports_op(device(), &none);
              }),
              "CPU");
    EXPECT_EQ(asked([&] {
                  ggml_backend_dev_type(device());
                  ggml_backend_free(backend);
              }),
              "CPU");
}
TEST(Abi, BufferType) {
    ggml_backend_buffer_type_t t = buffer_type();
    EXPECT_STREQ(ggml_backend_buft_name(t), "MoE");
    EXPECT_EQ(ggml_backend_buft_get_alignment(t), 32u);
    EXPECT_TRUE(ggml_backend_buft_is_host(t));
    EXPECT_EQ(ggml_backend_buft_get_device(t), device());
    EXPECT_TRUE(ggml_backend_dev_supports_buft(device(), t));
    EXPECT_TRUE(ggml_backend_dev_supports_buft(device(), ggml_backend_cpu_buffer_type()));
    ggml_backend_buffer_type elsewhere = *t;
    elsewhere.iface.is_host = [](ggml_backend_buffer_type_t) { return false; };
    EXPECT_FALSE(ggml_backend_dev_supports_buft(device(), &elsewhere));
}
TEST(Abi, Buffers) {
    alignas(64) static uint8_t memory[256];
    for (const bool mapped : {false, true}) {
        ggml_backend_buffer_t b = mapped ? ggml_backend_dev_buffer_from_host_ptr(device(), memory, 256, 256)
                                         : ggml_backend_buft_alloc_buffer(buffer_type(), 256);
        ASSERT_NE(b, nullptr);
        EXPECT_EQ(ggml_backend_buffer_get_size(b), 256u);
        EXPECT_EQ(ggml_backend_buft_name(ggml_backend_buffer_get_type(b)), std::string("MoE"));
        auto * base = static_cast<uint8_t *>(ggml_backend_buffer_get_base(b));
        EXPECT_EQ(reinterpret_cast<uintptr_t>(base) % 64, 0u);
        if (mapped) {
            EXPECT_EQ(base, memory);
        }
        ggml_backend_buffer_clear(b, 7);
        EXPECT_EQ(std::vector<uint8_t>(base, base + 256), std::vector<uint8_t>(256, 7));
        const Tensor t(b);
        std::vector<uint8_t> want(128, 7);
        ggml_backend_tensor_memset(t.t, 9, 3, 5);
        std::fill(want.begin() + 3, want.begin() + 8, uint8_t(9));
        EXPECT_EQ(t.bytes(), want);
        const uint8_t four[4] = {1, 2, 3, 4};
        ggml_backend_tensor_set(t.t, four, 100, 4);
        std::copy(four, four + 4, want.begin() + 100);
        EXPECT_EQ(t.bytes(), want);
        uint8_t got[6] = {};
        ggml_backend_tensor_get(t.t, got, 99, 6);
        EXPECT_EQ(std::vector<uint8_t>(got, got + 6), std::vector<uint8_t>(want.begin() + 99, want.begin() + 105));
        ggml_backend_buffer_free(b);
    }
}
TEST(Abi, BuffersOfNothingAndOfTooMuch) {
    ggml_backend_buffer_t b = buffer_type()->iface.alloc_buffer(buffer_type(), 0);
    EXPECT_NE(b, nullptr);
    ggml_backend_buffer_free(b);
    LogCatcher log;
    EXPECT_EQ(ggml_backend_buft_alloc_buffer(buffer_type(), size_t(1) << 60), nullptr);
    EXPECT_NE(log.text().find("ggml-moe: cannot allocate a buffer of 1152921504606846976 bytes\n"), std::string::npos)
        << log.text();
}
TEST(Abi, CopiesOfHostMemoryOnly) {
    ggml_backend_buffer_t a = ggml_backend_buft_alloc_buffer(buffer_type(), 128),
                          b = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), 128);
    Tensor to(a), from(b);
    std::memset(from.t->data, 5, 128);
    std::memset(to.t->data, 0, 128);
    EXPECT_TRUE(a->iface.cpy_tensor(a, from.t, to.t));
    EXPECT_EQ(to.bytes(), std::vector<uint8_t>(128, 5));
    from.t->buffer = nullptr;
    EXPECT_FALSE(a->iface.cpy_tensor(a, from.t, to.t)) << "who knows where";
    ggml_backend_buffer_type elsewhere = *ggml_backend_buffer_get_type(b);
    elsewhere.iface.is_host = [](ggml_backend_buffer_type_t) { return false; };
    ggml_backend_buffer gpu = *b;
    gpu.buft = &elsewhere;
    from.t->buffer = &gpu;
    EXPECT_FALSE(a->iface.cpy_tensor(a, from.t, to.t)) << "in a GPU's memory";
    ggml_backend_buffer_free(a);
    ggml_backend_buffer_free(b);
}
TEST(Abi, Backend) {
    ggml_backend_t a = ggml_backend_dev_init(device(), nullptr), b = ggml_backend_dev_init(device(), nullptr);
    EXPECT_STREQ(ggml_backend_name(a), "MoE");
    EXPECT_EQ(ggml_backend_get_device(a), device());
    EXPECT_EQ(std::memcmp(ggml_backend_guid(a), ggml_backend_guid(b), 16), 0);
    EXPECT_NE(a->context, b->context);
    ggml_backend_free(a);
    ggml_backend_free(b);
}
TEST(Abi, Messages) {
    LogCatcher log;
    moe::log_warn("%d of %s\n", 3, "four");
    EXPECT_EQ(log.text(), "ggml-moe: 3 of four\n");
    EXPECT_EQ(log.level(), GGML_LOG_LEVEL_WARN);
    moe::log_error("no %s\n", "more");
    EXPECT_EQ(log.text(), "ggml-moe: 3 of four\nggml-moe: no more\n");
    EXPECT_EQ(log.level(), GGML_LOG_LEVEL_ERROR);
    moe::log_warn("%s", std::string(2000, 'x').c_str());
    EXPECT_EQ(log.text().size(), 20 + 18 + 10 + 511u) << "cut, not overrun";
}
