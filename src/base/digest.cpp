#include "base/digest.h"

#include "base/error.h"

#include <openssl/evp.h>

#include <array>

namespace shimmy {

struct Digest::Context {
    const EVP_MD * algorithm;
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> state{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Digest::Digest(Kind kind) : context_(new Context{kind == Kind::sha1 ? EVP_sha1() : EVP_sha256()}) {
    restart();
}

Digest::~Digest() = default;

void Digest::restart() {
    if (!context_->state || EVP_DigestInit_ex(context_->state.get(), context_->algorithm, nullptr) != 1)
        fail("libcrypto offers no {}", EVP_MD_get0_name(context_->algorithm));
    n_bytes_ = 0;
}

void Digest::update(std::string_view bytes) {
    EVP_DigestUpdate(context_->state.get(), bytes.data(), bytes.size());
    n_bytes_ += bytes.size();
}

std::string Digest::hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned n_bytes = 0;
    EVP_DigestFinal_ex(context_->state.get(), digest.data(), &n_bytes);
    std::string text;
    for (unsigned i = 0; i < n_bytes; ++i)
        text += fmt::format("{:02x}", digest.at(i));
    return text;
}

}  // namespace shimmy
