#include "base/text/base64.h"

#include <openssl/evp.h>

#include <algorithm>

namespace shimmy {

namespace {

constexpr std::string_view ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string base64(std::string_view bytes) {
    std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const auto * in = reinterpret_cast<const unsigned char *>(bytes.data());
    auto * encoded = reinterpret_cast<unsigned char *>(out.data());
    const int n = EVP_EncodeBlock(encoded, in, static_cast<int>(bytes.size()));
    out.resize(static_cast<size_t>(n));
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    const size_t n_digits = std::min(text.find_first_not_of(ALPHABET), text.size());
    const size_t n_padding = text.size() - n_digits;
    if (text.size() % 4 != 0 || n_padding > 2 || text.substr(n_digits).find_first_not_of('=') != text.npos)
        return std::nullopt;
    std::string out(text.size() / 4 * 3, '\0');
    const auto * in = reinterpret_cast<const unsigned char *>(text.data());
    const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char *>(out.data()), in, static_cast<int>(text.size()));
    if (n < 0) return std::nullopt;
    out.resize(static_cast<size_t>(n) - n_padding);
    return out;
}

}  // namespace shimmy
