// Hashes of bytes that come piece by piece.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace shimmy {

class Digest {
public:
    enum class Kind { sha1, sha256 };

    explicit Digest(Kind kind);
    ~Digest();
    Digest(const Digest &) = delete;
    Digest & operator=(const Digest &) = delete;

    void update(std::string_view bytes);
    uint64_t n_bytes() const { return n_bytes_; }

    // In lower-case hex, of all that came; nothing may come after it but restart().
    std::string hex();

    // As if nothing had come.
    void restart();

private:
    struct Context;
    std::unique_ptr<Context> context_;
    uint64_t n_bytes_ = 0;
};

}  // namespace shimmy
