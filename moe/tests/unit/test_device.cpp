// Which batches are left to a GPU beside us, on GPUs that are made up here.
#include <gtest/gtest.h>

#include <unistd.h>
#include <cstdlib>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cached_model.h"
#include "device/cache.h"
#include "device/rates.h"
#include "device/streaming.h"
#include "environment.h"
#include "ggml-backend-impl.h"
#include "harness.h"
#include "model_gpu.h"
#include "os/cpu_name.h"

using moe::is_for_gpu;

namespace {

// A device of which a graph's norm has its weight; it can say no to everything.
struct Gpu {
    ggml_backend_device device{};
    ggml_backend_buffer_type type{};
    ggml_backend_buffer buffer{};
    bool supports = true, offloads = true;
    enum ggml_backend_dev_type kind = GGML_BACKEND_DEVICE_TYPE_GPU;

    Gpu() {
        device.context = this;
        device.iface.get_name = [](ggml_backend_dev_t) { return "GPU"; };
        device.iface.get_description = [](ggml_backend_dev_t) { return "made up"; };
        device.iface.get_type = [](ggml_backend_dev_t d) { return static_cast<Gpu *>(d->context)->kind; };
        device.iface.get_buffer_type = [](ggml_backend_dev_t d) { return &static_cast<Gpu *>(d->context)->type; };
        device.iface.supports_op = [](ggml_backend_dev_t d, const ggml_tensor *) {
            return static_cast<Gpu *>(d->context)->supports;
        };
        device.iface.offload_op = [](ggml_backend_dev_t d, const ggml_tensor *) {
            return static_cast<Gpu *>(d->context)->offloads;
        };
        type.device = &device;
        type.iface.alloc_buffer = [](ggml_backend_buffer_type_t, size_t) -> ggml_backend_buffer_t { return nullptr; };
        type.iface.get_alignment = [](ggml_backend_buffer_type_t) -> size_t { return 32; };
        buffer.buft = &type;
    }
};

// gate, activation, down as in llama.cpp; nothing is allocated.
struct Layer {
    ggml_context * c = ggml_init({1u << 18, nullptr, true});
    ggml_tensor *norm_weight, *gate, *biased, *down, *down_of_situ;

    explicit Layer(int64_t tokens, Gpu & gpu) {
        const auto weights = [&] { return ggml_new_tensor_3d(c, GGML_TYPE_Q4_K, 256, 256, 8); };
        norm_weight = ggml_new_tensor_1d(c, GGML_TYPE_F32, 256);
        norm_weight->buffer = &gpu.buffer;
        ggml_tensor * x =
            ggml_mul(c, ggml_rms_norm(c, ggml_new_tensor_2d(c, GGML_TYPE_F32, 256, tokens), 1e-5f), norm_weight);
        ggml_tensor *ids = ggml_new_tensor_2d(c, GGML_TYPE_I32, 2, tokens), *in = ggml_reshape_3d(c, x, 256, 1, tokens);
        gate = ggml_mul_mat_id(c, weights(), in, ids);
        biased = ggml_add_id(c, gate, ggml_new_tensor_2d(c, GGML_TYPE_F32, 256, 8), ids);
        ggml_tensor * up = ggml_mul_mat_id(c, weights(), in, ids);
        down = ggml_mul_mat_id(c, weights(), ggml_swiglu_split(c, biased, up), ids);
        const auto bounded = [&](ggml_tensor * t) { return ggml_scale(c, ggml_tanh(c, ggml_scale(c, t, 0.5f)), 2); };
        down_of_situ = ggml_mul_mat_id(
            c, weights(), ggml_mul(c, ggml_mul(c, bounded(biased), ggml_sigmoid(c, biased)), bounded(up)), ids);
    }
    ~Layer() { ggml_free(c); }
    Layer(const Layer &) = delete;
    Layer & operator=(const Layer &) = delete;
};

// The cache folder of the tests is there again afterwards.
struct CacheHome {
    ~CacheHome() { moe_test::set_variable(moe_test::CACHE_FOLDER, before.c_str()); }
    CacheHome() = default;
    CacheHome(const CacheHome &) = delete;
    CacheHome & operator=(const CacheHome &) = delete;
    const std::string before = std::getenv(moe_test::CACHE_FOLDER);
};

struct MinBatch {
    explicit MinBatch(const char * n) { moe_test::set_variable("GGML_MOE_GPU_MIN_BATCH", n); }
    ~MinBatch() { moe_test::unset_variable("GGML_MOE_GPU_MIN_BATCH"); }
};

}  // namespace

TEST(Streaming, BatchesAboveTheLeastAreForTheGpu) {
    const MinBatch n("64");
    Gpu gpu;
    for (int64_t tokens : {1, 31, 32, 63}) {
        const Layer l(tokens, gpu);
        for (const ggml_tensor * op : {l.gate, l.biased, l.down, l.down_of_situ}) {
            EXPECT_FALSE(is_for_gpu(op)) << tokens;
        }
    }
    for (int64_t tokens : {64, 65, 512}) {
        const Layer l(tokens, gpu);
        for (const ggml_tensor * op : {l.gate, l.biased, l.down, l.down_of_situ}) {
            EXPECT_TRUE(is_for_gpu(op)) << tokens;
        }
        EXPECT_FALSE(is_for_gpu(l.down->src[1])) << "an activation needs no weights";
    }
}
TEST(Streaming, NoneBelowWhatGpusAskFor) {
    const MinBatch n("1");
    Gpu gpu;
    EXPECT_FALSE(is_for_gpu(Layer(31, gpu).gate));
    EXPECT_TRUE(is_for_gpu(Layer(32, gpu).gate));
}
TEST(Streaming, ZeroMeansNever) {
    const MinBatch n("0");
    Gpu gpu;
    EXPECT_FALSE(is_for_gpu(Layer(100000, gpu).gate));
}
TEST(Streaming, OnlyToAGpuOfThisGraphThatTakesIt) {
    const MinBatch n("64");
    Gpu gpu;
    const Layer l(64, gpu);
    gpu.kind = GGML_BACKEND_DEVICE_TYPE_IGPU;
    EXPECT_TRUE(is_for_gpu(l.gate));
    for (const auto kind :
         {GGML_BACKEND_DEVICE_TYPE_CPU, GGML_BACKEND_DEVICE_TYPE_ACCEL, GGML_BACKEND_DEVICE_TYPE_META}) {
        gpu.kind = kind;
        EXPECT_FALSE(is_for_gpu(l.gate)) << kind;
    }
    gpu.kind = GGML_BACKEND_DEVICE_TYPE_GPU;
    gpu.supports = false;
    EXPECT_FALSE(is_for_gpu(l.gate));
    EXPECT_FALSE(is_for_gpu(l.biased));
    gpu.supports = true;
    gpu.offloads = false;
    EXPECT_FALSE(is_for_gpu(l.gate));
    EXPECT_FALSE(is_for_gpu(l.biased));
    gpu.offloads = true;
    gpu.device.iface.offload_op = nullptr;  // RPC servers, and devices split by tensors
    EXPECT_FALSE(is_for_gpu(l.gate));
    l.norm_weight->buffer = nullptr;
    EXPECT_FALSE(is_for_gpu(l.gate));
}
// With layers on two GPUs: the own norm's, not that of what comes before it.
TEST(Streaming, ToTheNearestGpu) {
    const MinBatch n("64");
    Gpu far, near;
    far.offloads = false;
    ggml_context * c = ggml_init({1u << 16, nullptr, true});
    const auto norm = [&](ggml_tensor * x, Gpu & gpu) {
        ggml_tensor * weight = ggml_new_tensor_1d(c, GGML_TYPE_F32, 256);
        weight->buffer = &gpu.buffer;
        return ggml_mul(c, ggml_rms_norm(c, x, 1e-5f), weight);
    };
    ggml_tensor * x = norm(norm(ggml_new_tensor_2d(c, GGML_TYPE_F32, 256, 64), far), near);
    ggml_tensor *in = ggml_reshape_3d(c, x, 256, 1, 64), *ids = ggml_new_tensor_2d(c, GGML_TYPE_I32, 2, 64);
    EXPECT_TRUE(is_for_gpu(ggml_mul_mat_id(c, ggml_new_tensor_3d(c, GGML_TYPE_Q4_K, 256, 256, 8), in, ids)));
    ggml_free(c);
}
TEST(Streaming, NotWhileAModelIsLoaded) {
    const MinBatch n("64");
    Gpu gpu;
    ggml_context * c = ggml_init({1u << 16, nullptr, true});
    ggml_tensor * x = ggml_new_tensor_3d(c, GGML_TYPE_F32, 256, 2, 512);
    x->buffer = &gpu.buffer;
    ggml_tensor * ids = ggml_new_tensor_2d(c, GGML_TYPE_I32, 2, 512);
    EXPECT_FALSE(is_for_gpu(ggml_mul_mat_id(c, ggml_new_tensor_3d(c, GGML_TYPE_Q4_K, 256, 256, 8), x, ids)));
    EXPECT_FALSE(is_for_gpu(ggml_mul_mat(c, ggml_new_tensor_2d(c, GGML_TYPE_Q4_K, 256, 256), ggml_mul(c, x, x))))
        << "no expert product";
    ggml_free(c);
}
// Two tokens that use 4 of 8 experts each: a quarter of the experts is used by neither, so 6 are read.
TEST(Streaming, OnlyExpertsThatATokenUsesAreUploaded) {
    const moe::ExpertProduct p{1e8, 2e9, 8, 4};
    EXPECT_DOUBLE_EQ(moe::streaming_seconds(p, 1, 1e10), 0.04);
    EXPECT_DOUBLE_EQ(moe::streaming_seconds(p, 2, 1e10), 0.06);
    EXPECT_NEAR(moe::streaming_seconds(p, 100, 1e10), 0.08, 1e-12);
}
// The same two tokens have 8 rows. Unpacking 6 experts takes as long as 27, and what goes on beside the products three
// sevenths of their time: 35 x 2 x 10^9 at 0.7 x 10^12 a second. A cache takes its part of that.
TEST(Streaming, WhatComputingHereTakes) {
    moe::ExpertProduct p{1e8, 2e9, 8, 4};
    EXPECT_DOUBLE_EQ(moe::computing_seconds(p, 2, 1e12), 0.1);
    p.cached = 0.25;
    EXPECT_DOUBLE_EQ(moe::computing_seconds(p, 2, 1e12), 0.075);
    EXPECT_DOUBLE_EQ(moe::streaming_seconds(p, 2, 1e10), 0.06) << "llama.cpp uploads what a cache holds as well";
    p.cached = 1;
    EXPECT_DOUBLE_EQ(moe::computing_seconds(p, 2, 1e12), 0);
}
TEST(Streaming, MeasuredWhereNothingIsSaid) {
    const CacheHome home;
    const std::string dir = testing::TempDir() + "moe-rates-" + std::to_string(getpid());
    moe_test::set_variable(moe_test::CACHE_FOLDER, dir.c_str());
    Gpu gpu;
    const Layer few(32, gpu), many(1 << 20, gpu);
    EXPECT_TRUE(is_for_gpu(many.gate));
    // It cannot be asked for its bandwidth: an assumed one counts and is not kept.
    const double rate =
        moe::Rates(dir + "/ggml-moe/rates")
            .get(std::string("products with ") + moe_test::proc<ggml_moe_isa_t>("ggml_moe_isa")() + " on " +
                 std::to_string(std::thread::hardware_concurrency()) + " of " + moe::os::cpu_name());
    EXPECT_GT(rate, 1e7);
    EXPECT_LT(rate, 4e12 * std::thread::hardware_concurrency()) << "no core does so much: nothing was computed";
    EXPECT_EQ(moe::Rates(dir + "/ggml-moe/rates").get("bytes to GPU made up from " + moe::os::cpu_name()), 0);
    const moe::ExpertProduct product{256 * double(many.gate->src[0]->nb[1]), 65536, 8, 2};
    for (int64_t tokens = 32; tokens <= 1 << 20; tokens *= 2) {
        const double here = moe::computing_seconds(product, double(tokens), rate),
                     streamed = moe::streaming_seconds(product, double(tokens), 12e9);
        if (std::max(here, streamed) < 1.1 * std::min(here, streamed)) continue;  // the file has fewer digits
        EXPECT_EQ(is_for_gpu(Layer(tokens, gpu).gate), streamed < here) << tokens;
    }
    const MinBatch nonsense("many");
    EXPECT_TRUE(is_for_gpu(many.gate));
    std::filesystem::remove_all(dir);
}
// All experts of a small model are in VRAM: a batch of some users leaves the CPU nothing to do, so it stays. A prompt
// of one token more is as if there were no cache.
TEST(Streaming, AnOpenCacheTakesItsPartOfSmallBatches) {
    using namespace moe_test::cached;
    Gpu gpu;
    const ::Layer some(64, gpu), more(65, gpu);
    const bool some_before = is_for_gpu(some.gate), more_before = is_for_gpu(more.gate);
    moe_test::ModelGpu card;
    {
        const CacheSize size("64MiB");
        Model m(Shape{}, &card);
        m.run(4, 1);
        EXPECT_EQ(moe::cached_part(), 1);
        EXPECT_FALSE(is_for_gpu(some.gate));
        EXPECT_EQ(is_for_gpu(more.gate), more_before);
        const MinBatch n("64");
        EXPECT_TRUE(is_for_gpu(some.gate)) << "as asked for";
    }
    EXPECT_EQ(moe::cached_part(), 0);
    EXPECT_EQ(is_for_gpu(some.gate), some_before);
    const CacheSize size("432KiB");  // 12 experts of 36 KiB
    Model m(Shape{}, &card);
    m.run(4, 1);
    EXPECT_EQ(moe::cached_part(), 0.5);
}

TEST(Rates, AreKeptByName) {
    const std::string dir = testing::TempDir() + "moe-kept-" + std::to_string(getpid()), file = dir + "/a/b/rates";
    const moe::Rates r(file);
    EXPECT_EQ(r.get("one"), 0);
    r.keep("one", 1.5e9);
    r.keep("one more", 2);
    EXPECT_EQ(r.get("one"), 1.5e9);
    EXPECT_EQ(r.get("one more"), 2);
    r.keep("one", 3e9);
    EXPECT_EQ(moe::Rates(file).get("one"), 3e9);
    EXPECT_EQ(moe::Rates(file).get("one more"), 2);
    EXPECT_EQ(moe::Rates(file).get("on"), 0);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir + "/a/b"), {}), 1) << "nothing is left beside it";
    std::filesystem::remove_all(dir);
    const moe::Rates nowhere(""), forbidden("/proc/none/rates");
    nowhere.keep("one", 1);
    forbidden.keep("one", 1);
    EXPECT_EQ(nowhere.get("one"), 0);
    EXPECT_EQ(forbidden.get("one"), 0);
}
TEST(Rates, LinesThatSayNothingArePassedOver) {
    const std::string file = testing::TempDir() + "moe-damaged-" + std::to_string(getpid());
    std::ofstream(file) << "one\n\n\t7\ntwo\tmany\none\t5\none\t6\n";
    const moe::Rates r(file);
    EXPECT_EQ(r.get("one"), 5) << "the name alone has no rate";
    EXPECT_EQ(r.get("two"), 0);
    EXPECT_EQ(r.get("three"), 0);
    r.keep("two", 8);
    EXPECT_EQ(r.get("two"), 8);
    EXPECT_EQ(r.get("one"), 5);
    std::filesystem::remove(file);
}
TEST(Rates, TheHighestCountsAndTwoThatAgreeEndIt) {
    const std::string file = testing::TempDir() + "moe-agreed-" + std::to_string(getpid());
    const moe::Rates r(file);
    EXPECT_EQ(r.keep("one", 1e9), 1e9);
    EXPECT_FALSE(r.is_final("one")) << "one process alone";
    EXPECT_EQ(r.keep("one", 46e9), 46e9) << "the first was measured on a busy machine";
    EXPECT_FALSE(r.is_final("one"));
    EXPECT_EQ(r.keep("one", 32e9), 46e9) << "31% less";
    EXPECT_FALSE(r.is_final("one"));
    EXPECT_EQ(r.keep("one", 33e9), 46e9) << "28% less";
    EXPECT_TRUE(r.is_final("one"));
    EXPECT_EQ(r.get("one"), 46e9) << "with a word behind it";
    r.keep("two", 4e9);
    EXPECT_EQ(r.keep("two", 5e9), 5e9);
    EXPECT_TRUE(moe::Rates(file).is_final("two"));
    EXPECT_TRUE(moe::Rates(file).is_final("one")) << "another figure leaves it as it is";
    EXPECT_FALSE(r.is_final("three"));
    std::filesystem::remove(file);
}

namespace {

// A GPU of that name behind a link of 1 GB/s, and what is known of it in a cache folder of its own.
struct KnownGpu {
    const CacheHome home;
    const std::string dir;
    moe_test::ModelGpu gpu;

    KnownGpu(std::string cache_dir, const char * (*describe)(ggml_backend_dev_t))
        : dir(std::move(cache_dir)), gpu(link()) {
        gpu.device()->iface.get_description = describe;
        moe_test::set_variable(moe_test::CACHE_FOLDER, dir.c_str());
    }
    ~KnownGpu() { std::filesystem::remove_all(dir); }
    KnownGpu(const KnownGpu &) = delete;
    KnownGpu & operator=(const KnownGpu &) = delete;

    std::string name() {
        return std::string("bytes to Model0 ") + ggml_backend_dev_description(gpu.device()) + " from " +
               moe::os::cpu_name();
    }
    moe::Rates rates() const { return moe::Rates(dir + "/ggml-moe/rates"); }

    static moe_test::ModelGpuOptions link() {
        moe_test::ModelGpuOptions o;
        o.link_bytes_per_s = 1e9;
        return o;
    }
};

std::string folder(const char * name) {
    return testing::TempDir() + "moe-" + name + "-" + std::to_string(getpid());
}

}  // namespace

// Each process measures a figure once at most, so every test has a GPU of another name.
TEST(UploadRate, IsMeasuredAndKept) {
    KnownGpu known(folder("upload"), [](ggml_backend_dev_t) { return "that is new"; });
    const double rate = moe::upload_bytes_per_s(known.gpu.device());
    EXPECT_LE(rate, 1.01e9) << "the link's";
    EXPECT_GT(rate, 1e7);
    EXPECT_NEAR(known.rates().get(known.name()), rate, rate / 1e4);
    EXPECT_FALSE(known.rates().is_final(known.name()));
    EXPECT_EQ(moe::upload_bytes_per_s(known.gpu.device()), rate) << "no longer measured";
    EXPECT_FALSE(known.rates().is_final(known.name()));
}
TEST(UploadRate, ALowOneIsReplaced) {
    KnownGpu known(folder("low"), [](ggml_backend_dev_t) { return "that was busy"; });
    known.rates().keep(known.name(), 1e4);
    const double rate = moe::upload_bytes_per_s(known.gpu.device());
    EXPECT_GT(rate, 1e7);
    EXPECT_NEAR(known.rates().get(known.name()), rate, rate / 1e4);
    EXPECT_FALSE(known.rates().is_final(known.name()));
}
TEST(UploadRate, AHighOneIsKept) {
    KnownGpu known(folder("high"), [](ggml_backend_dev_t) { return "that is busy"; });
    known.rates().keep(known.name(), 1e12);
    EXPECT_EQ(moe::upload_bytes_per_s(known.gpu.device()), 1e12);
    EXPECT_EQ(known.rates().get(known.name()), 1e12);
    EXPECT_FALSE(known.rates().is_final(known.name()));
}
TEST(UploadRate, AFinalOneIsNotMeasuredAgain) {
    KnownGpu known(folder("final"), [](ggml_backend_dev_t) { return "that is known"; });
    known.rates().keep(known.name(), 1e4);
    known.rates().keep(known.name(), 1e4);
    EXPECT_EQ(moe::upload_bytes_per_s(known.gpu.device()), 1e4);
}
TEST(Rates, WhereTheyAreKept) {
    const CacheHome cache;
    moe_test::set_variable(moe_test::CACHE_FOLDER, "/x");
    EXPECT_EQ(moe::Rates::default_file(), "/x/ggml-moe/rates");
#if !defined(_WIN32)
    moe_test::set_variable("XDG_CACHE_HOME", "relative");
    const std::string home = std::getenv("HOME");
    EXPECT_EQ(moe::Rates::default_file(), home + "/.cache/ggml-moe/rates");
    moe_test::unset_variable("XDG_CACHE_HOME");
    EXPECT_EQ(moe::Rates::default_file(), home + "/.cache/ggml-moe/rates");
    moe_test::unset_variable("HOME");
    EXPECT_EQ(moe::Rates::default_file(), "");
    moe_test::set_variable("HOME", home.c_str());
#endif
}
TEST(Rates, OptionsOfLlamaCpp) {
    const auto off = [](std::vector<std::string> args) {
        std::string all;
        for (const std::string & a : args) {
            all += a + '\0';
        }
        return moe::options_turn_offload_off(all);
    };
    EXPECT_FALSE(off({"llama-server", "-m", "no-op-offload.gguf"}));
    EXPECT_TRUE(off({"llama-server", "--no-op-offload"}));
    EXPECT_TRUE(off({"llama-server", "--no-op-offload", "-m", "x"}));
    EXPECT_FALSE(off({"llama-server", "--no-op-offload", "--op-offload"}));
    EXPECT_TRUE(off({"llama-server", "--op-offload", "--no-op-offload"}));
    EXPECT_TRUE(off({"llama-bench", "-nopo", "1", "-m", "x"}));
    EXPECT_TRUE(off({"llama-bench", "-nopo", "0,1"}));
    EXPECT_FALSE(off({"llama-bench", "-nopo", "0", "-m", "x"}));
    EXPECT_FALSE(off({"llama-bench", "--no-op-offload", "0"}));
    EXPECT_FALSE(off({}));
}
