#include "base/text/utf8_stream.h"

#include <algorithm>

namespace shimmy {

namespace {

constexpr std::string_view REPLACEMENT = "\xEF\xBF\xBD";  // U+FFFD

enum class Match { whole, cut, invalid };

struct Sequence {
    Match match;
    size_t n_bytes;
};

// First and second byte decide length and validity (Unicode 15, table 3-7).
Sequence match_sequence(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {Match::whole, 1};
    const size_t n_bytes = lead >= 0xC2 && lead <= 0xDF   ? 2
                           : lead >= 0xE0 && lead <= 0xEF ? 3
                           : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                          : 0;
    if (n_bytes == 0) return {Match::invalid, 1};
    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < n_bytes; ++i) {
        if (i == text.size()) return {Match::cut, i};
        const bool valid = i == 1 ? byte(i) >= low && byte(i) <= high : (byte(i) & 0xC0) == 0x80;
        if (!valid) return {Match::invalid, i};
    }
    return {Match::whole, n_bytes};
}

}  // namespace

std::string_view Utf8Stream::push(std::string_view bytes) {
    held_ += bytes;
    whole_.clear();
    std::string_view rest = held_;
    while (!rest.empty()) {
        const Sequence sequence = match_sequence(rest);
        if (sequence.match == Match::cut) break;
        whole_ += sequence.match == Match::whole ? rest.substr(0, sequence.n_bytes) : REPLACEMENT;
        rest.remove_prefix(sequence.n_bytes);
    }
    held_.erase(0, held_.size() - rest.size());
    return whole_;
}

std::string_view Utf8Stream::finish() {
    const bool cut = !held_.empty();
    held_.clear();
    return cut ? REPLACEMENT : "";
}

}  // namespace shimmy
