// A finished campaign, a Hub to publish it on, and nobody's home folder.
#pragma once

#include "campaign_folder.h"
#include "e2e/program.h"
#include "hub/test_hub.h"

#include <algorithm>
#include <string>
#include <vector>

namespace shimmy::e2e {

inline constexpr const char * REPO = "user/tiny";
inline constexpr size_t N_FILES = 8;                 // two models, the card and its five charts
inline constexpr size_t N_CHECKS = 2 * N_FILES + 2;  // size and hash of each, the card, a piece of a model

class PublishTest : public ::testing::Test {
protected:
    explicit PublishTest(const Json & settings = Json::object()) : hub_(settings) {
        hub_.use(WRITE_TOKEN, home_.path());
    }

    std::vector<std::string> arguments(const std::vector<std::string> & more = {}) const {
        std::vector<std::string> args{"publish", campaign_.file().string(), "--repo", REPO};
        args.insert(args.end(), more.begin(), more.end());
        return args;
    }
    ProcessResult publish(std::vector<std::string> more = {}) const {
        more.emplace_back("--yes");
        return shimmy(arguments(more));
    }
    void expect_published(const ProcessResult & result) const {
        EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
        EXPECT_NE(result.out.find("checks passed"), std::string::npos) << result.out;
        EXPECT_EQ(result.out.find("failed:"), std::string::npos) << result.out;
    }
    Json repository() const { return hub_.state()["repositories"][REPO]; }
    // Requests that could change something.
    size_t n_changing_requests() const {
        const Json log = hub_.log();
        return static_cast<size_t>(std::count_if(log.begin(), log.end(), [](const Json & entry) {
            return entry["method"] != "GET" && entry["method"] != "HEAD";
        }));
    }

    TestHub hub_;
    CampaignFolder campaign_;
    TempDir home_;
};

}  // namespace shimmy::e2e
