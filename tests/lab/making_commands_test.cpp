// What a campaign asks shimmy itself to make: each with the backends that `lab run` was told.
#include "lab/run/making_commands.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace shimmy::lab {
namespace {

class MakingCommands : public ::testing::Test {
protected:
    MakingCommands() {
        campaign_.out_dir = "/out";
        campaign_.n_threads = 3;
        campaign_.models.resize(1);
        campaign_.models[0].name = "m";
        campaign_.models[0].path = "/m.gguf";
        mix_.name = "best";
        mix_.target_size = "8GiB";
        mix_.text = "/eval.txt";
        mix_.chunks = 5;
    }

    std::string search(const Backends & backends) const {
        const Variant variant{"m", "best", "/out/models/m-best.gguf", "/m.gguf", 0};
        return fmt::format("{}", fmt::join(search_arguments(campaign_, variant, mix_, backends, "/part"), " "));
    }
    std::string imatrix(const Backends & backends) const {
        return fmt::format("{}", fmt::join(imatrix_arguments(campaign_, campaign_.models[0], backends), " "));
    }

    Campaign campaign_;
    Mix mix_;
};

TEST_F(MakingCommands, ASearchIsMeasuredOnTheBackendsOfTheRuns) {
    EXPECT_EQ(search({"vulkan", "on", "4GiB"}),
              "quantize /m.gguf --target-size 8GiB --text /eval.txt --chunks 5 --out-dir /part --threads 3 --cpu-moe "
              "--gpu-backend vulkan --moe-backend on --moe-cache off --json");
    campaign_.device = "Vulkan1";
    campaign_.models[0].imatrix = "/given.gguf";
    const std::string given = search({});
    EXPECT_NE(given.find(" --gpu-backend auto --moe-backend auto "), std::string::npos) << given;
    EXPECT_NE(given.find(" --imatrix /given.gguf --device Vulkan1"), std::string::npos) << given;
}

TEST_F(MakingCommands, AMatrixIsComputedOnTheDeviceOfTheRuns) {
    campaign_.models[0].imatrix_text = "/text.txt";
    campaign_.models[0].imatrix_chunks = 7;
    EXPECT_EQ(imatrix({"cpu", "off", "off"}),
              "imatrix /m.gguf --text /text.txt --out /out/models/m.imatrix.gguf --chunks 7 --threads 3 --cpu-moe "
              "--gpu-backend cpu --json");
    campaign_.device = "CUDA0";
    EXPECT_NE(imatrix({}).find(" --device CUDA0"), std::string::npos);
    EXPECT_NE(search({}).find(" --imatrix /out/models/m.imatrix.gguf"), std::string::npos) << "the one that is made";
}

}  // namespace
}  // namespace shimmy::lab
