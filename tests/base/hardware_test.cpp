// Cores and cards as the kernel's files show them.
#include "base/host/hardware.h"

#include "base/host/config_dir.h"
#include "base/host/host.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace shimmy {
namespace {

void put(const fs::path & file, const std::string & line) {
    make_folders(file.parent_path());
    write_file_atomic(file, line + "\n");
}

TEST(PerformanceCores, OfIntel) {
    const TempDir sys;
    put(sys / "cpu_core/cpus", "0-3");  // two cores with two threads each
    put(sys / "cpu_atom/cpus", "4-6");
    for (int cpu = 0; cpu < 7; ++cpu) {
        const std::string siblings = cpu < 2 ? "0-1" : cpu < 4 ? "2-3" : std::to_string(cpu);
        put(sys / ("system/cpu/cpu" + std::to_string(cpu)) / "topology/thread_siblings_list", siblings);
    }
    EXPECT_EQ(performance_cores(sys.path()), 2);
}

TEST(PerformanceCores, OfArm) {
    const TempDir sys;
    for (int cpu = 0; cpu < 8; ++cpu) {
        const fs::path dir = sys / ("system/cpu/cpu" + std::to_string(cpu));
        put(dir / "topology/thread_siblings_list", std::to_string(cpu));
        put(dir / "cpu_capacity", cpu < 4 ? "381" : cpu < 7 ? "871" : "1024");
    }
    EXPECT_EQ(performance_cores(sys.path()), 1);
}

TEST(PerformanceCores, WhereAllAreAlike) {
    const TempDir sys;
    EXPECT_EQ(performance_cores(sys.path()), 0) << "nothing is known";
    for (int cpu = 0; cpu < 4; ++cpu)
        put(sys / ("system/cpu/cpu" + std::to_string(cpu)) / "topology/thread_siblings_list", std::to_string(cpu));
    EXPECT_EQ(performance_cores(sys.path()), 0);
    EXPECT_LE(performance_cores(), host().n_cores) << "of this machine";
}

TEST(DisplayAdapters, AreTheCardsAndAccelerators) {
    const TempDir pci;
    const auto device = [&](const char * at, const char * device_class, const char * vendor, const char * id) {
        put(pci / at / "class", device_class);
        put(pci / at / "vendor", vendor);
        put(pci / at / "device", id);
    };
    device("0000:01:00.0", "0x030200", "0x10de", "0x2330");
    device("0000:02:00.0", "0x020000", "0x8086", "0x1563");  // a network card
    device("0000:03:00.0", "0x120000", "0x1002", "0x74a1");
    EXPECT_EQ(display_adapters(pci.path()), (std::vector<std::string>{"1002:74a1", "10de:2330"}));
    EXPECT_TRUE(display_adapters(pci / "none").empty());
}

TEST(ConfigDir, FollowsTheEnvironment) {
    const char * before = std::getenv("XDG_CONFIG_HOME");
    const std::string kept = before == nullptr ? "" : before;
    setenv("XDG_CONFIG_HOME", "/there", 1);
    EXPECT_EQ(config_dir(), "/there/shimmy");
    unsetenv("XDG_CONFIG_HOME");
    EXPECT_EQ(config_dir(), fs::path(std::getenv("HOME")) / ".config/shimmy");
    if (before != nullptr) setenv("XDG_CONFIG_HOME", kept.c_str(), 1);
}

}  // namespace
}  // namespace shimmy
