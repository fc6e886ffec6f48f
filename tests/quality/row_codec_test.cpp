#include "quality/row_codec.h"

#include <gtest/gtest.h>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace shimmy::quality {
namespace {

std::vector<float> round_trip(const std::vector<float> & row) {
    std::string bytes(encoded_row_bytes(row.size()), '\0');
    encode_row(row.data(), row.size(), bytes.data());
    std::vector<float> back(row.size());
    decode_row(bytes.data(), row.size(), back.data());
    return back;
}

TEST(RowCodec, IsWithinHalfAStepAndKeepsTheLikeliest) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(-9.0F, 4.0F);
    std::vector<float> row(1001);
    for (float & p : row)
        p = normal(random);
    const float most = *std::max_element(row.begin(), row.end());
    const std::vector<float> back = round_trip(row);
    constexpr float HALF_STEP = 16.0F / 65535.0F / 2.0F;
    for (size_t i = 0; i < row.size(); ++i)
        ASSERT_NEAR(back[i], std::max(row[i], most - 16.0F), HALF_STEP + 1e-5F) << i;
    EXPECT_NEAR(*std::max_element(back.begin(), back.end()), most, 1e-5F);
}

TEST(RowCodec, TakesARowWithoutARange) {
    const std::vector<float> even(8, std::log(0.125F));
    EXPECT_EQ(round_trip(even), even);
}

}  // namespace
}  // namespace shimmy::quality
