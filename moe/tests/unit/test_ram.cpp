// What is decided from the RAM that there is: whether experts are read from disk, and how many stay in RAM.
#include <sys/mman.h>

#include "disk/ram.h"
#include "mapped_model.h"

using namespace mapped_model;

namespace {

// Files as the kernel shows them.
class Kernel {
public:
    explicit Kernel(uint64_t total_kib = 1000, uint64_t available_kib = 600)
        : root_(testing::TempDir() + "moe-ram-" + std::to_string(getpid())) {
        set_ram(total_kib, available_kib);
        moe::ram_source() = {root_, 0};
    }
    ~Kernel() {
        moe::ram_source() = {};
        fs::remove_all(root_);
    }
    Kernel(const Kernel &) = delete;
    Kernel & operator=(const Kernel &) = delete;
    void write(const std::string & file, const std::string & text) const {
        fs::create_directories(fs::path(root_ + file).parent_path());
        std::ofstream(root_ + file) << text;
    }
    void set_ram(uint64_t total_kib, uint64_t available_kib) const {
        write("/proc/meminfo", "MemTotal: " + std::to_string(total_kib) +
                                   " kB\nMemFree: 100 kB\nMemAvailable: " + std::to_string(available_kib) + " kB\n");
    }

private:
    std::string root_;
};

}  // namespace

TEST(Ram, OfTheMachine) {
    const Kernel kernel;
    const moe::Ram ram = moe::read_ram();
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
    EXPECT_EQ(moe::read_ram().total, 500000u);
    EXPECT_EQ(moe::read_ram().available, 300000u);
}

TEST(Ram, OfAControlGroupOfVersion1) {
    const Kernel kernel;
    kernel.write("/proc/self/cgroup", "4:memory:/one\n3:cpu,cpuacct:/\n0::/\n");
    kernel.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    kernel.write("/sys/fs/cgroup/memory/one/memory.limit_in_bytes", "400000\n");
    kernel.write("/sys/fs/cgroup/memory/one/memory.usage_in_bytes", "450000\n");
    kernel.write("/sys/fs/cgroup/memory/one/memory.stat", "total_inactive_file 100000\ninactive_file 7\n");
    EXPECT_EQ(moe::read_ram().total, 400000u);
    EXPECT_EQ(moe::read_ram().available, 50000u);
}

namespace {

// A machine of 16 GiB: of what is available, a quarter at most is left free, and half of that while it is decided.
constexpr uint64_t TOTAL_KIB = 16 << 20, AMPLE_KIB = 8 << 20;

uint64_t kib(uint64_t bytes) {  // rounded up
    return (bytes + 1023) / 1024;
}

// So much that experts get room for half of themselves: three quarters of it, less the other weights.
uint64_t half_kib(const Model & model) {
    const size_t experts = MATRICES * EXPERT_BYTES;
    return kib((experts / 2 + (model.bytes() - experts)) * 4 / 3);
}

std::string state() {
    ggml_moe_disk_stats s{};
    return text(s);
}

void compute(const Model & model, int layer = 0) {
    EXPECT_EQ(Context(model).layer(layer, prompt(16)), Context::expected(model, layer, prompt(16)));
}

uint64_t locked_bytes() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        uint64_t locked_kib = 0;
        if (word == "VmLck:" && status >> locked_kib) return locked_kib * 1024;
    }
    return 0;
}

bool may_lock(size_t bytes) {
    const std::vector<char> memory(bytes);
    const uint64_t before = locked_bytes();
    const bool locks = mlock(memory.data(), bytes) == 0 && locked_bytes() >= before + bytes;
    munlock(memory.data(), bytes);
    return locks;
}

}  // namespace

// Seven eighths of what is available hold the model.
TEST_F(Disk, AutoStandsAtTheByte) {
    const Kernel kernel(TOTAL_KIB, AMPLE_KIB);
    const uint64_t fits_kib = kib(Model().bytes() * 8 / 7);
    for (const bool fits : {true, false}) {
        kernel.set_ram(TOTAL_KIB, fits ? fits_kib : fits_kib - 1);
        const Model model;
        compute(model);
        EXPECT_EQ(state() == "off: the model fits in RAM", fits) << state();
        EXPECT_EQ(stats().ram_bytes > 0, !fits);
        EXPECT_EQ(faults.direct_reads() + faults.buffered_reads() > 0, !fits) << "of what fits, nothing is read";
    }
}

TEST_F(Disk, AutoLeavesRoomForWhatElseThereIs) {
    const Kernel kernel(TOTAL_KIB, AMPLE_KIB);
    const uint64_t half = half_kib(Model());
    kernel.set_ram(TOTAL_KIB, half);
    const Model model;
    compute(model);
    EXPECT_NE(state().find("of experts stay in RAM, the others are read from disk"), std::string::npos) << state();
    EXPECT_EQ(stats().ram_bytes, MATRICES / 2 * BLOCK);
}

// What a control group allows counts, however much RAM the machine has.
TEST_F(Disk, AutoKnowsControlGroups) {
    const Kernel kernel(TOTAL_KIB, AMPLE_KIB);
    const uint64_t half = half_kib(Model());
    kernel.write("/proc/self/cgroup", "0::/container\n");
    kernel.write("/sys/fs/cgroup/container/memory.max", std::to_string(half * 1024 + 5000) + "\n");
    kernel.write("/sys/fs/cgroup/container/memory.current", "5000\n");
    const Model model;
    compute(model);
    EXPECT_EQ(stats().ram_bytes, MATRICES / 2 * BLOCK) << state();
}

// The KV cache, for one, is allocated after the model was loaded.
TEST_F(Disk, AutoDecidesAgainWhenItFirstComputes) {
    const Kernel kernel(TOTAL_KIB, AMPLE_KIB);
    const Model model;
    EXPECT_EQ(state(), "off: the model fits in RAM");
    kernel.set_ram(TOTAL_KIB, half_kib(model));
    compute(model);
    EXPECT_EQ(stats().ram_bytes, MATRICES / 2 * BLOCK) << state();
    const Model other("fits");  // and is not asked again
    kernel.set_ram(TOTAL_KIB, AMPLE_KIB);
    compute(model);
    EXPECT_GE(stats().ram_bytes, MATRICES / 2 * BLOCK);
}

TEST_F(Disk, AModelThatFitsStaysSoWhenRamBecomesScarce) {
    const Kernel kernel(TOTAL_KIB, AMPLE_KIB);
    const Model model;
    compute(model);
    kernel.set_ram(TOTAL_KIB, 1);
    compute(model);
    EXPECT_EQ(state(), "off: the model fits in RAM");
    EXPECT_EQ(faults.direct_reads() + faults.buffered_reads(), 0);
}

// A sixteenth of the blocks and one at a time, however few are in use, and taken again when there is room.
TEST_F(Disk, RamThatOthersNeedIsGivenBack) {
    const Kernel kernel(TOTAL_KIB, AMPLE_KIB);
    const uint64_t half = half_kib(Model());
    kernel.set_ram(TOTAL_KIB, half);
    const Model model;
    Context context(model);
    const std::vector<int32_t> one{1, 1};
    const auto expected = Context::expected(model, 0, one);
    EXPECT_EQ(context.layer(0, one), expected);
    const size_t all = MATRICES / 2, step = all / 16 + 1;
    EXPECT_EQ(stats().ram_bytes, all * BLOCK);
    kernel.set_ram(TOTAL_KIB, 0);
    for (size_t i = 1; i <= 5; ++i) {
        EXPECT_EQ(context.layer(0, one), expected);
        EXPECT_EQ(stats().ram_bytes, (all - i * step) * BLOCK);
    }
    kernel.set_ram(TOTAL_KIB, half / 4 + kib(model.bytes() - MATRICES * EXPERT_BYTES));  // neither scarce nor ample
    compute(model);
    EXPECT_EQ(stats().ram_bytes, (all - 5 * step) * BLOCK);
    EXPECT_LE(stats().resident_bytes, stats().ram_bytes);
    kernel.set_ram(TOTAL_KIB, AMPLE_KIB);
    for (size_t i = 1; i <= 5; ++i) {
        compute(model);
    }
    EXPECT_EQ(stats().ram_bytes, all * BLOCK);
}

// To the last block; then everything is read through the mapping.
TEST_F(Disk, AllOfItMayBeGivenBack) {
    const Kernel kernel(TOTAL_KIB, AMPLE_KIB);
    kernel.set_ram(TOTAL_KIB, half_kib(Model()));
    const Model model;
    compute(model);
    kernel.set_ram(TOTAL_KIB, 0);
    for (int i = 0; i < 20; ++i) {
        compute(model, i % LAYERS);
    }
    EXPECT_EQ(stats().ram_bytes, 0u);
    EXPECT_EQ(stats().resident_bytes, 0u);
}

// Weights besides the experts stay in RAM, if the model does not fit.
TEST_F(Disk, OtherWeightsAreHeld) {
    if (!may_lock(2 << 20)) GTEST_SKIP() << "this process may not lock memory, or a sanitizer does not let it";
    const Kernel kernel(TOTAL_KIB, AMPLE_KIB);
    const uint64_t half = half_kib(Model());
    for (const bool fits : {true, false}) {
        kernel.set_ram(TOTAL_KIB, fits ? AMPLE_KIB : half);
        const uint64_t before = locked_bytes();
        const Model model;
        compute(model);
        EXPECT_EQ(locked_bytes(), before);
        for (int i = 0; i < 2; ++i) {
            Graph g(true, 2);
            g.compute(ggml_mul_mat(g.ctx(), model.dense(), g.input({EMBD, 4}, normals(size_t{EMBD * 4}, 5))));
        }
        const auto address = reinterpret_cast<uintptr_t>(model.dense()->data);
        const uint64_t pages = (address + DENSE_BYTES + 4095) / 4096 - address / 4096;
        EXPECT_EQ(locked_bytes() - before, fits ? 0 : pages * 4096);
    }
}
