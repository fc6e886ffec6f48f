// What is decided from the RAM that there is: whether experts are read from disk, and how many stay in RAM.
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
