// Experts of a model that is larger than the RAM it may take: read from a file when they are needed.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "disk/ram.h"
#include "disk/residency.h"
#include "disk/setting.h"
#include "environment.h"
#include "ggml-moe.h"
#include "gguf.h"
#include "harness.h"
#include "log_catcher.h"

using namespace moe_test;
namespace fs = std::filesystem;

namespace {

constexpr int64_t EMBD = 256, FF = 64;
constexpr int FIRST_LAYER = 640;  // counters of other tests are of other layers
constexpr int LAYERS = 4, EXPERTS = 8, USED = 2;
constexpr size_t EXPERT_BYTES = EMBD * FF / 32 * 34;  // of one matrix in Q8_0
constexpr size_t BLOCK = (EXPERT_BYTES + 2 * 4096 - 1) / 4096 * 4096;
constexpr size_t MATRICES = size_t{LAYERS} * EXPERTS * 3;

struct Ram {
    explicit Ram(size_t bytes) { moe_test::set_variable("GGML_MOE_RAM", std::to_string(bytes).c_str()); }
    explicit Ram(const char * text) { moe_test::set_variable("GGML_MOE_RAM", text); }
    ~Ram() { moe_test::unset_variable("GGML_MOE_RAM"); }
    Ram(const Ram &) = delete;
    Ram & operator=(const Ram &) = delete;
};

std::string name_of(int layer, const char * matrix) {
    return "blk." + std::to_string(FIRST_LAYER + layer) + ".ffn_" + matrix + "_exps.weight";
}

const char * const NAMES[] = {"gate", "up", "down"};

// A model of experts alone, written as a GGUF file and mapped as llama.cpp maps it.
class Model {
public:
    Model() : path_(testing::TempDir() + "moe-disk-" + std::to_string(getpid()) + ".gguf") {
        write();
        map();
    }
    ~Model() {
        if (weights_ != nullptr) ggml_backend_buffer_free(weights_);
        munmap(map_, bytes_);
        ggml_free(shapes_);
        fs::remove(path_);
    }
    Model(const Model &) = delete;
    Model & operator=(const Model &) = delete;

    const std::string & path() const { return path_; }
    ggml_tensor * matrix(int layer, int which) const { return mapped_[size_t(layer) * 3 + size_t(which)]; }
    const std::vector<uint8_t> & data(int layer, int which) const { return data_[size_t(layer) * 3 + size_t(which)]; }
    // The file now ends with the last matrix's first expert.
    void cut() { fs::resize_file(path_, offset_of_last_ + EXPERT_BYTES + 4096); }

private:
    void write() {
        shapes_ = ggml_init({MATRICES * ggml_tensor_overhead(), nullptr, true});
        gguf_context * header = gguf_init_empty();
        for (int layer = 0; layer < LAYERS; ++layer) {
            for (int which = 0; which < 3; ++which) {
                const bool down = which == 2;
                ggml_tensor * t =
                    ggml_new_tensor_3d(shapes_, GGML_TYPE_Q8_0, down ? FF : EMBD, down ? EMBD : FF, EXPERTS);
                ggml_set_name(t, name_of(layer, NAMES[which]).c_str());
                gguf_add_tensor(header, t);
                data_.push_back(quantize(
                    GGML_TYPE_Q8_0, normals(size_t{EMBD * FF * EXPERTS}, uint32_t(layer * 3 + which), 0.1f), t->ne[0]));
                mapped_.push_back(t);
            }
        }
        gguf_write_to_file(header, path_.c_str(), true);
        data_offset_ = fs::file_size(path_);
        std::ofstream file(path_, std::ios::binary | std::ios::app);
        for (size_t i = 0; i < data_.size(); ++i) {
            offsets_.push_back(data_offset_ + gguf_get_tensor_offset(header, int64_t(i)));
            offset_of_last_ = offsets_.back();
            file.seekp(std::streamoff(offset_of_last_));
            file.write(reinterpret_cast<const char *>(data_[i].data()), std::streamsize(data_[i].size()));
        }
        gguf_free(header);
    }
    void map() {
        bytes_ = fs::file_size(path_);
        const int fd = open(path_.c_str(), O_RDONLY);
        map_ = static_cast<char *>(mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd, 0));
        close(fd);
        weights_ = ggml_backend_dev_buffer_from_host_ptr(ggml_backend_reg_dev_get(plugin(), 0), map_ + data_offset_,
                                                         bytes_ - data_offset_, 0);
        for (size_t i = 0; i < mapped_.size(); ++i) {
            ggml_backend_tensor_alloc(weights_, mapped_[i], map_ + offsets_[i]);
        }
    }

    std::string path_;
    ggml_context * shapes_ = nullptr;
    std::vector<ggml_tensor *> mapped_;
    std::vector<std::vector<uint8_t>> data_;
    std::vector<size_t> offsets_;
    size_t data_offset_ = 0, offset_of_last_ = 0, bytes_ = 0;
    char * map_ = nullptr;
    ggml_backend_buffer_t weights_ = nullptr;
};

// A context that computes a layer with given routing.
class Context {
public:
    explicit Context(const Model & model) : model_(model) {}

    std::vector<float> layer(int layer, const std::vector<int32_t> & experts) {
        Graph & g = graph_at(layer, int64_t(experts.size()) / USED, experts, true);
        return g.compute(out_);
    }
    // The same from weights that are copied into memory.
    static std::vector<float> expected(const Model & model, int layer, const std::vector<int32_t> & experts) {
        Context c(model);
        return c.graph_at(layer, int64_t(experts.size()) / USED, experts, false).compute(c.out_);
    }
    // Expects that it cannot be computed.
    void fails(int layer, const std::vector<int32_t> & experts) {
        graph_at(layer, int64_t(experts.size()) / USED, experts, true).compute(out_, 1, GGML_STATUS_FAILED);
    }

private:
    Graph & graph_at(int layer, int64_t tokens, const std::vector<int32_t> & experts, bool mapped) {
        graph_ = std::make_unique<Graph>(true, 2);
        Graph & g = *graph_;
        ggml_tensor * w[3];
        for (int which = 0; which < 3; ++which) {
            ggml_tensor * m = model_.matrix(layer, which);
            w[which] =
                mapped ? m
                       : g.weight(GGML_TYPE_Q8_0, {m->ne[0], m->ne[1], m->ne[2]}, model_.data(layer, which), "copied");
        }
        ggml_tensor * x = g.input({EMBD, 1, tokens}, normals(size_t(EMBD * tokens), 77));
        ggml_tensor * ids = g.ids({USED, tokens}, experts);
        ggml_tensor * up = ggml_mul_mat_id(g.ctx(), w[1], x, ids);
        ggml_tensor * gate = ggml_mul_mat_id(g.ctx(), w[0], x, ids);
        out_ = ggml_mul_mat_id(g.ctx(), w[2], ggml_swiglu_split(g.ctx(), gate, up), ids);
        return g;
    }

    const Model & model_;
    std::unique_ptr<Graph> graph_;
    ggml_tensor * out_ = nullptr;
};

const char * text(ggml_moe_disk_stats & stats) {
    return proc<ggml_moe_disk_stats_t>("ggml_moe_disk_stats")(&stats);
}
ggml_moe_disk_stats stats() {
    ggml_moe_disk_stats s{};
    text(s);
    return s;
}

// Every expert, by its number of tokens.
std::vector<int32_t> prompt(int tokens) {
    std::vector<int32_t> ids;
    for (int i = 0; i < tokens * USED; ++i) {
        ids.push_back(i % EXPERTS);
    }
    return ids;
}

struct Disk : testing::Test {
    void SetUp() override { proc<ggml_moe_expert_stats_reset_t>("ggml_moe_expert_stats_reset")(); }
};

}  // namespace

TEST_F(Disk, AModelThatFitsIsLeftAsItIs) {
    const Model model;
    EXPECT_EQ(Context(model).layer(0, {1, 2}), Context::expected(model, 0, {1, 2}));
    ggml_moe_disk_stats s{};
    EXPECT_STREQ(text(s), "off: the model fits in RAM");
    EXPECT_EQ(s.ram_bytes, 0u);
    EXPECT_EQ(s.lookups, 0u);
}

// All of it fits in what is free.
TEST_F(Disk, OnIsOnForAModelThatFits) {
    const Ram ram("on");
    const Model model;
    Context context(model);
    EXPECT_EQ(context.layer(0, {1, 2}), Context::expected(model, 0, {1, 2}));
    EXPECT_EQ(stats().read_bytes, 6 * EXPERT_BYTES);
    EXPECT_EQ(stats().ram_bytes, MATRICES * BLOCK);
}

TEST_F(Disk, OffIsOff) {
    const Ram ram("off");
    const Model model;
    EXPECT_EQ(Context(model).layer(0, {1, 2}), Context::expected(model, 0, {1, 2}));
    ggml_moe_disk_stats s{};
    EXPECT_STREQ(text(s), "off");
    EXPECT_EQ(s.lookups, 0u);
}

// Two experts of three matrices are read, and found the next time.
TEST_F(Disk, WhatIsThereIsNotReadAgain) {
    const Ram ram(MATRICES / 2 * BLOCK);
    const Model model;
    Context context(model);
    EXPECT_EQ(context.layer(1, {5, 3}), Context::expected(model, 1, {5, 3}));
    EXPECT_EQ(stats().lookups, 6u);
    EXPECT_EQ(stats().hits, 0u);
    EXPECT_EQ(stats().read_bytes, 6 * EXPERT_BYTES);
    EXPECT_EQ(context.layer(1, {3, 6}), Context::expected(model, 1, {3, 6}));
    EXPECT_EQ(stats().lookups, 12u);
    EXPECT_EQ(stats().hits, 3u);
    EXPECT_EQ(stats().read_bytes, 9 * EXPERT_BYTES);
    EXPECT_EQ(stats().resident_bytes, 9 * BLOCK);
    EXPECT_EQ(stats().expert_bytes, MATRICES * EXPERT_BYTES);
}

// Room for four experts of one layer: the one that is used all the time stays, whatever comes between.
TEST_F(Disk, WhatIsUsedMostStays) {
    const Ram ram(13 * EXPERT_BYTES);  // 12 blocks: shares are of the experts' bytes, rounded down
    const Model model;
    Context context(model);
    for (const int32_t other : {1, 2, 3, 4, 5, 6, 7}) {
        EXPECT_EQ(context.layer(0, {0, other}), Context::expected(model, 0, {0, other}));
    }
    EXPECT_EQ(stats().hits, 6u * 3);  // expert 0, but for the first time
    EXPECT_LE(stats().resident_bytes, 13 * BLOCK);
}

TEST_F(Disk, PromptsAreTheSameBitsWhateverIsThere) {
    for (const size_t blocks : {size_t{30}, MATRICES / 2, MATRICES * 2}) {
        const Ram ram(blocks * BLOCK);
        const Model model;
        Context context(model);
        for (int pass = 0; pass < 3; ++pass) {
            for (int layer = 0; layer < LAYERS; ++layer) {
                EXPECT_EQ(context.layer(layer, prompt(16)), Context::expected(model, layer, prompt(16)))
                    << blocks << " blocks, layer " << layer;
            }
        }
    }
}

// Prompts need every layer in turn, so that least recently used would find nothing. Three of four layers fit; the
// fourth, and the eighth that is read ahead, have to be read, and what the first layer pushes out when nothing is done
// yet.
TEST_F(Disk, PromptsFindAgainWhatFits) {
    const Ram ram(MATRICES * 3 / 4 * EXPERT_BYTES);
    const Model model;
    Context context(model);
    const auto read_by_a_pass = [&] {
        const uint64_t before = stats().read_bytes;
        for (int layer = 0; layer < LAYERS; ++layer) {
            context.layer(layer, prompt(16));
        }
        return (stats().read_bytes - before) / EXPERT_BYTES;
    };
    EXPECT_GE(read_by_a_pass(), MATRICES);
    for (int pass = 0; pass < 3; ++pass) {
        EXPECT_LE(read_by_a_pass(), MATRICES * 2 / 3) << pass;
    }
}

// What does not fit beside the rest of its own layer is read through the mapping.
TEST_F(Disk, LessRamThanALayerNeeds) {
    const Ram ram(8 * EXPERT_BYTES);
    const Model model;
    Context context(model);
    for (int layer = 0; layer < LAYERS; ++layer) {
        EXPECT_EQ(context.layer(layer, prompt(16)), Context::expected(model, layer, prompt(16)));
    }
    EXPECT_LE(stats().resident_bytes, 8 * BLOCK);
}

TEST_F(Disk, AFileThatBecomesShorterFailsTheCallAlone) {
    const Ram ram(MATRICES / 2 * BLOCK);
    Model model;
    Context context(model);
    const auto before = context.layer(LAYERS - 1, {0, 0});
    model.cut();
    LogCatcher log;
    context.fails(LAYERS - 1, {0, 7});
    EXPECT_NE(log.text().find("expert 7 of layer 643 could not be read: the file became shorter"), std::string::npos)
        << log.text();
    EXPECT_NE(log.text().find(model.path()), std::string::npos);
    EXPECT_EQ(stats().failures, 1u);
    context.fails(LAYERS - 1, {0, 7});  // what failed is not taken for read
    EXPECT_EQ(context.layer(LAYERS - 1, {0, 0}), before);
}

TEST_F(Disk, AnotherModelComesAfterTheFirst) {
    const Ram ram(MATRICES / 2 * BLOCK);
    for (int i = 0; i < 2; ++i) {
        const Model model;
        EXPECT_EQ(Context(model).layer(0, {1, 2}), Context::expected(model, 0, {1, 2}));
        EXPECT_EQ(stats().resident_bytes, 6 * BLOCK);
    }
    EXPECT_EQ(stats().resident_bytes, 0u);
    EXPECT_EQ(stats().ram_bytes, 0u);
}

TEST(RamSetting, Texts) {
    moe::RamSetting s;
    EXPECT_TRUE(moe::parse_ram_setting("auto", s));
    EXPECT_EQ(s.kind, moe::RamSetting::Auto);
    EXPECT_TRUE(moe::parse_ram_setting("on", s));
    EXPECT_EQ(s.kind, moe::RamSetting::On);
    EXPECT_TRUE(moe::parse_ram_setting("off", s));
    EXPECT_EQ(s.kind, moe::RamSetting::Off);
    EXPECT_TRUE(moe::parse_ram_setting("1.5GiB", s));
    EXPECT_EQ(s.kind, moe::RamSetting::Size);
    EXPECT_EQ(s.bytes, size_t{3} << 29);
    EXPECT_TRUE(moe::parse_ram_setting("0", s));
    EXPECT_EQ(s.kind, moe::RamSetting::Off);
    for (const char * text : {"", "some", "4 GiB", "GiB", "-1"}) {
        EXPECT_FALSE(moe::parse_ram_setting(text, s)) << text;
    }
}

// Half of a use is forgotten in 16 tokens; a batch counts as its tokens would one after another.
TEST(Uses, Decay) {
    moe::Uses uses(2);
    const int32_t first[] = {1, 0}, second[] = {0, 1};
    uses.add(first, 1);
    EXPECT_FLOAT_EQ(uses.of(0), 1);
    EXPECT_FLOAT_EQ(uses.of(1), 0);
    for (int i = 0; i < 16; ++i) {
        uses.add(second, 1);
    }
    EXPECT_NEAR(uses.of(0), 0.5, 1e-5);
    moe::Uses at_once(2);
    const int32_t sixteen[] = {0, 16};
    at_once.add(sixteen, 16);
    EXPECT_NEAR(at_once.of(1), uses.of(1), 1e-4);
}

namespace {

// Files as the kernel shows them.
class Kernel {
public:
    Kernel() : root_(testing::TempDir() + "moe-ram-" + std::to_string(getpid())) {
        write("/proc/meminfo", "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\n");
    }
    ~Kernel() { fs::remove_all(root_); }
    Kernel(const Kernel &) = delete;
    Kernel & operator=(const Kernel &) = delete;
    void write(const std::string & file, const std::string & text) const {
        fs::create_directories(fs::path(root_ + file).parent_path());
        std::ofstream(root_ + file) << text;
    }
    moe::Ram read() const { return moe::read_ram(root_); }

private:
    std::string root_;
};

}  // namespace

TEST(Ram, OfTheMachine) {
    const moe::Ram ram = Kernel().read();
    EXPECT_EQ(ram.total, 1000u * 1024);
    EXPECT_EQ(ram.available, 600u * 1024);
}

// Page cache counts as available, as in MemAvailable.
TEST(Ram, OfAControlGroup) {
    const Kernel kernel;
    kernel.write("/proc/self/cgroup", "0::/user/one\n");
    kernel.write("/sys/fs/cgroup/user/memory.max", "500000\n");
    kernel.write("/sys/fs/cgroup/user/memory.current", "300000\n");
    kernel.write("/sys/fs/cgroup/user/memory.stat", "anon 1\ninactive_file 60000\nactive_file 40000\n");
    kernel.write("/sys/fs/cgroup/user/one/memory.max", "max\n");
    EXPECT_EQ(kernel.read().total, 500000u);
    EXPECT_EQ(kernel.read().available, 300000u);
}

TEST(Ram, OfAControlGroupOfVersion1) {
    const Kernel kernel;
    kernel.write("/proc/self/cgroup", "4:memory:/one\n3:cpu,cpuacct:/\n0::/\n");
    kernel.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    kernel.write("/sys/fs/cgroup/memory/one/memory.limit_in_bytes", "400000\n");
    kernel.write("/sys/fs/cgroup/memory/one/memory.usage_in_bytes", "450000\n");
    kernel.write("/sys/fs/cgroup/memory/one/memory.stat", "total_inactive_file 100000\ninactive_file 7\n");
    EXPECT_EQ(kernel.read().total, 400000u);
    EXPECT_EQ(kernel.read().available, 50000u);
}
