// Large files: memory does not grow with them.
#include "base/files.h"
#include "base/process/child_process.h"
#include "base/text/units.h"
#include "e2e/program.h"
#include "hub/test_hub.h"
#include "publish/campaign_folder.h"

#include <algorithm>

namespace shimmy::e2e {
namespace {

// The most RAM that `shimmy ARGS…` held, while it ran.
uint64_t peak_of(std::vector<std::string> args) {
    args.insert(args.begin(), SHIMMY_PROGRAM);
    ChildProcess program(args);
    uint64_t peak_bytes = 0;
    std::string out;
    for (uint64_t now = 1; now > 0;) {
        now = program.peak_rss_bytes();
        peak_bytes = std::max(peak_bytes, now);
        while (const auto line = program.read_line(std::chrono::milliseconds(50)))
            out += *line + "\n";
    }
    EXPECT_EQ(program.stop(std::chrono::seconds(1)), 0) << program.err() << out;
    return peak_bytes;
}

// A model of 5 GB that takes no disk: a hole, and next to none where it is uploaded to.
TEST(LargeFiles, FiveGigabytesAtConstantMemory) {
    const fs::path model = synthetic_whole("olmoe-1b-7b", "Q6_K");
    ASSERT_GT(fs::file_size(model), uint64_t{5000000000});
    const TestHub hub(Json{{"chunk_bytes", 16000000}});
    const TempDir home;
    hub.use(WRITE_TOKEN, home.path());
    const CampaignFolder small;
    const uint64_t small_peak =
        peak_of({"publish", small.file().string(), "--repo", "user/small", "--quant", "Q4_K_M", "--yes"});
    const CampaignFolder large("license = \"mit\"\n", model);
    const uint64_t large_peak =
        peak_of({"publish", large.file().string(), "--repo", "user/large", "--quant", "Q4_K_M", "--yes"});
    std::printf("peak of a small upload %.1f MiB, of %.2f GB %.1f MiB\n", static_cast<double>(small_peak) / MIB,
                static_cast<double>(fs::file_size(model)) / 1e9, static_cast<double>(large_peak) / MIB);
    EXPECT_GT(small_peak, 0U);
    EXPECT_LT(large_peak, small_peak + 64 * MIB);
    EXPECT_GT(hub.requests("PUT", "^/part/").size(), 300U);
    const uint64_t pull_peak = peak_of({"pull", "user/large"});
    std::printf("peak of its download %.1f MiB\n", static_cast<double>(pull_peak) / MIB);
    EXPECT_LT(pull_peak, small_peak + 64 * MIB);
}

}  // namespace
}  // namespace shimmy::e2e
