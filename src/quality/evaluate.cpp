#include "quality/evaluate.h"

#include "base/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace shimmy::quality {

namespace {

std::vector<std::vector<int32_t>> cut(const engine::Model & model, const std::string & text, size_t n_ctx,
                                      size_t n_chunks) {
    const std::vector<int32_t> tokens = model.tokenize(text, /*parse_special=*/false);
    if (tokens.size() < n_ctx)
        fail("the text has {} tokens, fewer than one chunk of {}: use a longer text or a smaller --ctx", tokens.size(),
             n_ctx);
    const size_t n_whole = tokens.size() / n_ctx;
    const size_t n = n_chunks == 0 ? n_whole : std::min(n_chunks, n_whole);
    const auto bos = model.bos_token();
    std::vector<std::vector<int32_t>> chunks;
    for (size_t i = 0; i < n; ++i) {
        const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(i * n_ctx);
        chunks.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(n_ctx));
        if (bos) chunks.back().front() = *bos;
    }
    return chunks;
}

// Rows [first, last) of a chunk of n tokens are scored: row i predicts token i + 1.
size_t first_row(size_t n) {
    return n / 2;
}
size_t last_row(size_t n) {
    return n - 1;
}

}  // namespace

Reference::Reference(const engine::LoadOptions & load, const std::string & text, size_t n_chunks,
                     const OnChunk & on_chunk)
    : text_(text), file_(std::tmpfile()) {
    if (!file_) fail("no temporary file for the base's predictions: {}", std::strerror(errno));
    engine::Model model(load);
    n_vocab_ = static_cast<size_t>(model.n_vocab());
    chunks_ = cut(model, text, static_cast<size_t>(load.n_ctx), n_chunks);
    for (size_t i = 0; i < chunks_.size(); ++i) {
        on_chunk(i, chunks_.size());
        const std::vector<float> rows = model.log_probabilities(chunks_[i]);
        const size_t first = first_row(chunks_[i].size());
        const size_t n = (last_row(chunks_[i].size()) - first) * n_vocab_;
        if (std::fwrite(rows.data() + first * n_vocab_, sizeof(float), n, file_.get()) != n)
            fail("the base's predictions do not fit into the temporary folder ({}): use fewer --chunks",
                 std::strerror(errno));
    }
    if (std::fflush(file_.get()) != 0)
        fail("the base's predictions do not fit into the temporary folder ({}): use fewer --chunks",
             std::strerror(errno));
    on_chunk(chunks_.size(), chunks_.size());
}

Divergence Reference::compare(const engine::LoadOptions & load, const OnChunk & on_chunk) {
    engine::Model model(load);
    const size_t n_ctx = chunks_.front().size();
    if (static_cast<size_t>(model.n_vocab()) != n_vocab_ || cut(model, text_, n_ctx, chunks_.size()) != chunks_)
        fail("{}: cuts the text into other tokens than the base: it is a quantization of another model", load.path);
    std::rewind(file_.get());
    std::vector<Position> positions;
    std::vector<float> base;  // scored rows of one chunk
    for (size_t i = 0; i < chunks_.size(); ++i) {
        on_chunk(i, chunks_.size());
        const std::vector<float> rows = model.log_probabilities(chunks_[i]);
        const size_t first = first_row(n_ctx), last = last_row(n_ctx);
        base.resize((last - first) * n_vocab_);
        if (std::fread(base.data(), sizeof(float), base.size(), file_.get()) != base.size())
            fail("the base's predictions could not be read back: {}", std::strerror(errno));
        for (size_t row = first; row < last; ++row) {
            positions.push_back(quality::compare(base.data() + (row - first) * n_vocab_, rows.data() + row * n_vocab_,
                                                 n_vocab_, static_cast<size_t>(chunks_[i][row + 1])));
        }
    }
    on_chunk(chunks_.size(), chunks_.size());
    return summarize(positions);
}

}  // namespace shimmy::quality
