// Limits of control groups, read from folders that are laid out as the kernel lays out its own.
#include "base/host/cgroup.h"

#include "base/error.h"
#include "temp_dir.h"

#include <gtest/gtest.h>
#include <cmath>

namespace shimmy {
namespace {

class Cgroup : public ::testing::Test {
protected:
    void put(const fs::path & file, const std::string & text) {
        fs::create_directories((dir_ / file).parent_path());
        write_file_atomic(dir_ / file, text);
    }

    CgroupLimits limits(const std::string & self) {
        put("self", self);
        return cgroup_limits(dir_ / "self", dir_ / "cgroup");
    }

    TempDir dir_;
};

TEST_F(Cgroup, NoneWithoutGroups) {
    const CgroupLimits none = cgroup_limits(dir_ / "self", dir_ / "cgroup");
    EXPECT_EQ(none.memory_bytes, UINT64_MAX);
    EXPECT_EQ(none.available_bytes, UINT64_MAX);
    EXPECT_TRUE(std::isinf(none.cpus));
}

TEST_F(Cgroup, Version2) {
    put("cgroup/memory.max", "max\n");  // a container's root
    put("cgroup/service/memory.max", "1000000\n");
    put("cgroup/service/memory.current", "700000\n");
    put("cgroup/service/memory.stat", "anon 300000\nfile 400000\ninactive_file 100000\nactive_file 300000\n");
    put("cgroup/service/cpu.max", "250000 100000\n");
    const CgroupLimits found = limits("0::/service\n");
    EXPECT_EQ(found.memory_bytes, 1000000U);
    EXPECT_EQ(found.available_bytes, 700000U) << "page cache can be had back";
    EXPECT_DOUBLE_EQ(found.cpus, 2.5);
}

TEST_F(Cgroup, TheTightestOfAllLevels) {
    put("cgroup/a/memory.max", "500\n");
    put("cgroup/a/memory.current", "450\n");
    put("cgroup/a/cpu.max", "max 100000\n");
    put("cgroup/a/b/memory.max", "800\n");
    put("cgroup/a/b/memory.current", "100\n");
    put("cgroup/a/b/cpu.max", "400000 100000\n");
    const CgroupLimits found = limits("0::/a/b\n");
    EXPECT_EQ(found.memory_bytes, 500U);
    EXPECT_EQ(found.available_bytes, 50U);
    EXPECT_DOUBLE_EQ(found.cpus, 4.0);
}

TEST_F(Cgroup, Version1InAContainerWhosePathIsTheHosts) {
    put("cgroup/memory/memory.limit_in_bytes", "1000000\n");
    put("cgroup/memory/memory.usage_in_bytes", "900000\n");
    put("cgroup/memory/memory.stat", "cache 5\ntotal_inactive_file 100000\ntotal_active_file 50000\n");
    put("cgroup/cpu/cpu.cfs_quota_us", "150000\n");
    put("cgroup/cpu/cpu.cfs_period_us", "100000\n");
    const CgroupLimits found = limits("4:memory:/docker/0123\n3:cpu,cpuacct:/docker/0123\n1:cpuset:/\n");
    EXPECT_EQ(found.memory_bytes, 1000000U);
    EXPECT_EQ(found.available_bytes, 250000U);
    EXPECT_DOUBLE_EQ(found.cpus, 1.5);
}

TEST_F(Cgroup, NoQuotaAndUseAboveTheLimit) {
    put("cgroup/memory/memory.limit_in_bytes", "1000\n");
    put("cgroup/memory/memory.usage_in_bytes", "4000\n");
    put("cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("cgroup/cpu/cpu.cfs_period_us", "100000\n");
    const CgroupLimits found = limits("4:memory:/\n1:cpu:/\nnonsense\n");
    EXPECT_EQ(found.available_bytes, 0U);
    EXPECT_TRUE(std::isinf(found.cpus));
}

// Control groups of both versions at once: each controller is in one of them.
TEST_F(Cgroup, EachControllerIsReadWhereItIs) {
    put("cgroup/memory/a/memory.limit_in_bytes", "5000\n");
    put("cgroup/memory/a/memory.usage_in_bytes", "1000\n");
    put("cgroup/cpu/b/cpu.cfs_quota_us", "300000\n");
    put("cgroup/cpu/b/cpu.cfs_period_us", "100000\n");
    put("cgroup/c/memory.max", "4000\n");
    put("cgroup/c/memory.current", "3999\n");
    put("cgroup/c/cpu.max", "800000 100000\n");
    EXPECT_EQ(limits("2:memory:/a\n").memory_bytes, 5000U);
    EXPECT_EQ(limits("2:memory:/a\n").available_bytes, 4000U);
    EXPECT_TRUE(std::isinf(limits("2:memory:/a\n").cpus));
    EXPECT_DOUBLE_EQ(limits("3:cpuacct,cpu:/b\n").cpus, 3.0);
    EXPECT_EQ(limits("3:cpuacct,cpu:/b\n").memory_bytes, UINT64_MAX);
    EXPECT_TRUE(std::isinf(limits("3:cpuset:/b\n").cpus)) << "not the cpu controller";
    const CgroupLimits all = limits("2:memory:/a\n3:cpu:/b\n0::/c\n");
    EXPECT_EQ(all.memory_bytes, 4000U);
    EXPECT_EQ(all.available_bytes, 1U);
    EXPECT_DOUBLE_EQ(all.cpus, 3.0);
}

TEST_F(Cgroup, FiguresThatSayNothingLimitNothing) {
    put("cgroup/a/memory.max", "max\n");
    put("cgroup/a/memory.current", "100\n");
    put("cgroup/a/cpu.max", "100000 0\n");
    EXPECT_EQ(limits("0::/a\n").memory_bytes, UINT64_MAX);
    EXPECT_EQ(limits("0::/a\n").available_bytes, UINT64_MAX);
    EXPECT_TRUE(std::isinf(limits("0::/a\n").cpus)) << "no period";
    put("cgroup/b/memory.max", "0\n");
    put("cgroup/b/cpu.max", "0 100000\n");
    EXPECT_EQ(limits("0::/b\n").memory_bytes, 0U) << "nothing at all is a limit";
    EXPECT_DOUBLE_EQ(limits("0::/b\n").cpus, 0.0);
    put("cgroup/d/memory.max", "1000\n");
    EXPECT_EQ(limits("0::/d\n").available_bytes, 1000U) << "use unknown";
    put("cgroup/d/memory.current", "300\n");
    put("cgroup/d/memory.stat", "inactive_file 200\nactive_file 200\n");
    EXPECT_EQ(limits("0::/d\n").available_bytes, 1000U) << "more cache than use";
}

}  // namespace
}  // namespace shimmy
