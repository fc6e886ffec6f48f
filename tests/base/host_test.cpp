// This machine, beside what the kernel and the C library say of it, and folders that the environment names.
#include "base/host/host.h"

#include "base/host/bandwidth.h"
#include "base/host/cache_dir.h"
#include "base/host/cgroup.h"
#include "base/host/data_dir.h"
#include "base/process/subprocess.h"
#include "temp_dir.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <thread>

namespace shimmy {
namespace {

uint64_t physical_ram_bytes() {
    return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// A variable of the environment, put back at the end.
class Variable {
public:
    Variable(const char * name, const char * value) : name_(name) {
        if (const char * before = std::getenv(name)) before_ = before;
        set(value);
    }
    ~Variable() { set(before_ ? before_->c_str() : nullptr); }
    Variable(const Variable &) = delete;
    Variable & operator=(const Variable &) = delete;

private:
    void set(const char * value) { value == nullptr ? unsetenv(name_) : setenv(name_, value, 1); }

    const char * name_;
    std::optional<std::string> before_;
};

TEST(Host, IsWhatTheSystemSays) {
    const Host machine = host();
    EXPECT_EQ(machine.name + "\n", run_process({"uname", "-n"}).out);
    EXPECT_EQ(machine.os + "\n", run_process({"uname", "-srm"}).out);
    EXPECT_EQ(fmt::format("{}\n", machine.n_cores), run_process({"nproc"}).out);
    const std::string model =
        run_process({"sh", "-c", "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1 | tr -d '\\n'"}).out;
    EXPECT_EQ(machine.cpu, model);
    EXPECT_LE(machine.ram_bytes, cgroup_limits().memory_bytes);
    EXPECT_LE(machine.ram_bytes, physical_ram_bytes());
    EXPECT_EQ(machine.ram_bytes, std::min(physical_ram_bytes(), cgroup_limits().memory_bytes))
        << "MemTotal is what sysconf counts in pages";
}

TEST(Host, AvailableRamIsBelowAll) {
    EXPECT_GT(available_ram_bytes(), 1U << 20);
    EXPECT_LT(available_ram_bytes(), host().ram_bytes);
}

TEST(Host, PeakMemoryGrowsWithWhatIsHeld) {
    const uint64_t before = peak_rss_bytes();
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    EXPECT_EQ(before, static_cast<uint64_t>(usage.ru_maxrss) * 1024);
    constexpr size_t N_BYTES = 64 << 20;
    const std::string held(N_BYTES, 'x');
    EXPECT_GE(peak_rss_bytes(), N_BYTES + (1 << 20)) << held.size();
}

// One CPU is one thread, whatever the machine has.
TEST(Host, ThreadsFollowTheCpusThatThisProcessMayUse) {
    cpu_set_t all;
    CPU_ZERO(&all);
    ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
    EXPECT_GE(default_threads(), 1);
    EXPECT_LE(default_threads(), CPU_COUNT(&all));
    int threads = 0;
    int cores = 0;
    std::thread([&] {
        int first = 0;
        while (!CPU_ISSET(first, &all))
            ++first;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(first, &one);
        sched_setaffinity(0, sizeof(one), &one);
        threads = default_threads();
        cores = host().n_cores;
    }).join();
    EXPECT_EQ(threads, 1);
    EXPECT_EQ(cores, 1);
}

TEST(Host, BandwidthIsThatOfRam) {
    const double one = measure_ram_bandwidth(1);
    EXPECT_GT(one, 1e8) << "slower than any machine of this century";
    EXPECT_LT(one, 1e12) << "faster than any core";
    EXPECT_GT(measure_ram_bandwidth(0), 1e8) << "at least one thread";
}

TEST(CacheDir, IsTheFirstThatTheEnvironmentNames) {
    const Variable home("HOME", "/h");
    const Variable caches("XDG_CACHE_HOME", "/x");
    const Variable own("SHIMMY_CACHE", "/own");
    EXPECT_EQ(cache_dir(), "/own");
    {
        const Variable without("SHIMMY_CACHE", nullptr);
        EXPECT_EQ(cache_dir(), "/x/shimmy");
        const Variable empty("XDG_CACHE_HOME", "");
        EXPECT_EQ(cache_dir(), "/h/.cache/shimmy");
        const Variable homeless("HOME", nullptr);
        EXPECT_EQ(cache_dir(), "");
    }
}

TEST(DataDir, IsInstalledOrInTheSource) {
    EXPECT_EQ(data_dir("no-such-data", "/src/data"), "/src/data");
    const std::filesystem::path prefix = std::filesystem::path(self_path()).parent_path().parent_path();
    const std::filesystem::path installed = prefix / "share" / "shimmy" / "data-dir-test";
    std::filesystem::create_directories(installed);
    EXPECT_EQ(data_dir("data-dir-test", "/src/data"), installed);
    std::filesystem::remove(installed);
    std::filesystem::remove(installed.parent_path());  // if nothing else is in it
    std::filesystem::remove(installed.parent_path().parent_path());
}

}  // namespace
}  // namespace shimmy
