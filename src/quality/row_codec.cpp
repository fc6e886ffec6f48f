#include "quality/row_codec.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace shimmy::quality {

namespace {

constexpr float RANGE_NATS = 16.0F;
constexpr float LEVELS = 65535.0F;

}  // namespace

void encode_row(const float * log_p, size_t n_vocab, char * out) {
    const auto [least, most] = std::minmax_element(log_p, log_p + n_vocab);
    const float min = std::max(*least, *most - RANGE_NATS);
    const float scale = (*most - min) / LEVELS;
    std::memcpy(out, &scale, sizeof(scale));
    std::memcpy(out + sizeof(scale), &min, sizeof(min));
    out += 2 * sizeof(float);
    const float inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
    for (size_t v = 0; v < n_vocab; ++v) {
        const float level = std::nearbyint(inverse * (std::max(log_p[v], min) - min));
        const auto code = static_cast<uint16_t>(std::min(level, LEVELS));
        std::memcpy(out + 2 * v, &code, sizeof(code));
    }
}

void decode_row(const char * in, size_t n_vocab, float * log_p) {
    float scale = 0.0F;
    float min = 0.0F;
    std::memcpy(&scale, in, sizeof(scale));
    std::memcpy(&min, in + sizeof(scale), sizeof(min));
    in += 2 * sizeof(float);
    for (size_t v = 0; v < n_vocab; ++v) {
        uint16_t code = 0;
        std::memcpy(&code, in + 2 * v, sizeof(code));
        log_p[v] = scale * static_cast<float>(code) + min;
    }
}

}  // namespace shimmy::quality
