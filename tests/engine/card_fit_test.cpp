// Which placement fits which card, of estimates that are only figures.
#include "engine/predict/card_fit.h"

#include "base/text/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace shimmy::engine {
namespace {

PlacementEstimate estimate(Placement placement, int n_cpu_moe, uint64_t vram_bytes, uint64_t host_bytes) {
    PlacementEstimate result;
    result.placement = placement;
    result.n_cpu_moe = n_cpu_moe;
    result.vram.model_bytes = vram_bytes;
    result.host.model_bytes = host_bytes;
    result.cards = {result.vram};
    return result;
}

// The whole model fills what 16 GiB leave to the byte; so does one layer's experts less what 12 GiB leave, but for a
// byte.
const std::vector<PlacementEstimate> ESTIMATES{
    estimate(Placement::baseline(), 0, 16 * GIB - 16 * GIB / 20, GIB),
    estimate(Placement::partial(1), 1, 12 * GIB - 12 * GIB / 20 + 1, 5 * GIB),
    estimate(Placement::offload(), 2, 7 * GIB + GIB / 2, 9 * GIB),
};

TEST(CardFit, IsTheLargestShareThatFitsBesideTheMargin) {
    const auto fits = fit_cards(ESTIMATES, std::numeric_limits<uint64_t>::max(), {});
    ASSERT_EQ(fits.size(), 6U);
    EXPECT_EQ(to_json(fits[0]), (Json{{"card_bytes", 8 * GIB},
                                      {"fits", true},
                                      {"placement", "offload"},
                                      {"n_cpu_moe", 2},
                                      {"vram_bytes", 7 * GIB + GIB / 2},
                                      {"host_bytes", 9 * GIB}}))
        << "512 MiB are kept free";
    EXPECT_EQ(fits[1].best->placement, Placement::offload()) << "a byte is missing";
    EXPECT_EQ(fits[2].best->placement, Placement::baseline()) << "5% are kept free";
    EXPECT_EQ(fits[5].card_bytes, 80 * GIB);
}

TEST(CardFit, CountsRamAndTheReserveThatIsAskedFor) {
    const auto less_ram = fit_cards(ESTIMATES, 8 * GIB, {});
    EXPECT_EQ(to_json(less_ram[0]), (Json{{"card_bytes", 8 * GIB}, {"fits", false}}));
    EXPECT_FALSE(less_ram[1].best) << "one layer's experts do not fit, and those of both need more RAM";
    EXPECT_TRUE(less_ram[2].best);
    const auto no_reserve = fit_cards(ESTIMATES, std::numeric_limits<uint64_t>::max(), 0);
    EXPECT_EQ(no_reserve[1].best->n_cpu_moe, 1);
    const auto large_reserve = fit_cards(ESTIMATES, std::numeric_limits<uint64_t>::max(), 20 * GIB);
    EXPECT_FALSE(large_reserve[2].best) << "more than the card has";
    EXPECT_TRUE(large_reserve[4].best);
}

}  // namespace
}  // namespace shimmy::engine
