#include "quality/evaluate.h"

#include "base/error.h"
#include "base/files.h"
#include "engine/run/model.h"
#include "gguf/model_info.h"
#include "quality/row_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace shimmy::quality {

namespace {

using Tokens = std::vector<int32_t>;

std::vector<Tokens> cut(const engine::Model & model, const std::string & path, const std::string & text, size_t n_ctx,
                        size_t n_chunks) {
    const Tokens tokens = model.tokenize(text, /*parse_special=*/false);
    if (tokens.size() < n_ctx)
        fail("{}: cuts the text into {} tokens, fewer than one chunk of {}: use a longer text or a smaller --ctx", path,
             tokens.size(), n_ctx);
    const size_t n_whole = tokens.size() / n_ctx;
    const size_t n = n_chunks == 0 ? n_whole : std::min(n_chunks, n_whole);
    const auto bos = model.bos_token();
    std::vector<Tokens> chunks;
    for (size_t i = 0; i < n; ++i) {
        const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(i * n_ctx);
        chunks.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(n_ctx));
        if (bos) chunks.back().front() = *bos;
    }
    return chunks;
}

// All chunks' tokens, as they lie in memory.
std::string sha256_of(const std::vector<Tokens> & chunks) {
    std::string bytes;
    for (const Tokens & chunk : chunks)
        bytes.append(reinterpret_cast<const char *>(chunk.data()), chunk.size() * sizeof(chunk[0]));
    return sha256_hex(bytes);
}

// Rows [first_row, n - 1) of a chunk of n tokens are scored: row i predicts token i + 1.
size_t first_row(size_t n) {
    return n / 2;
}
size_t n_scored(size_t n) {
    return n - 1 - first_row(n);
}

// Log-probabilities of a chunk's scored rows: n_scored x n_vocab.
std::vector<float> scored_rows(engine::Model & model, const Tokens & chunk, const std::string & path) {
    std::vector<float> rows = model.log_probabilities(chunk, first_row(chunk.size()));
    if (!std::all_of(rows.begin(), rows.end(), [](float p) { return std::isfinite(p); }))
        fail("{}: what it predicts is not a number: the file is damaged", path);
    return rows;
}

ReferenceChunk reference_chunk(engine::Model & model, const Tokens & tokens, const std::string & path) {
    const auto n_vocab = static_cast<size_t>(model.n_vocab());
    const size_t row_bytes = encoded_row_bytes(n_vocab);
    const std::vector<float> rows = scored_rows(model, tokens, path);
    ReferenceChunk chunk{tokens, {}, std::string(n_scored(tokens.size()) * row_bytes, '\0'), model.take_routing()};
    for (size_t i = 0; i < n_scored(tokens.size()); ++i) {
        const float * row = rows.data() + i * n_vocab;
        chunk.nll.push_back(-row[tokens[first_row(tokens.size()) + i + 1]]);
        encode_row(row, n_vocab, chunk.rows.data() + i * row_bytes);
    }
    return chunk;
}

// Compares scored rows, with scratch space for one.
class RowComparer {
public:
    explicit RowComparer(size_t n_vocab) : decoded_(n_vocab), encoded_(encoded_row_bytes(n_vocab), '\0') {}

    // `base`: encoded; `model`: n_vocab log-probabilities; `nll_base`: not rounded.
    Position compare(const char * base, double nll_base, const float * model, size_t right) {
        encode_row(model, decoded_.size(), encoded_.data());
        if (std::memcmp(base, encoded_.data(), encoded_.size()) == 0)
            return {nll_base, -static_cast<double>(model[right]), 0.0, true};
        decode_row(base, decoded_.size(), decoded_.data());
        Position position = quality::compare(decoded_.data(), model, decoded_.size(), right);
        position.nll_base = nll_base;
        return position;
    }

private:
    std::vector<float> decoded_;
    std::string encoded_;
};

RoutingTally tally_for(const std::string & path) {
    return RoutingTally(static_cast<int>(gguf::read_model_info(path).n_expert));
}

}  // namespace

Reference::Reference(const ReferenceOptions & options, ReferenceCache & cache, const OnChunk & on_chunk)
    : options_(options), file_(cache.find(options.settings)), from_cache_(file_ != nullptr) {
    options_.load.record_routing = true;
    if (!file_) file_ = make(cache, on_chunk);
}

std::unique_ptr<ReferenceFile> Reference::make(ReferenceCache & cache, const OnChunk & on_chunk) const {
    engine::Model model(options_.load);
    const auto n_vocab = static_cast<size_t>(model.n_vocab());
    const size_t n_ctx = options_.load.n_ctx;
    const std::vector<Tokens> chunks = cut(model, options_.load.path, options_.text, n_ctx, options_.n_chunks);
    const uint64_t bytes = chunks.size() * (n_scored(n_ctx) * (encoded_row_bytes(n_vocab) + sizeof(double)));
    const Json header{{"n_vocab", n_vocab}, {"n_chunks", chunks.size()}, {"tokens_sha256", sha256_of(chunks)}};
    auto file = cache.create(options_.settings, header, bytes);
    for (size_t i = 0; i < chunks.size(); ++i) {
        on_chunk(i, chunks.size());
        file->append(reference_chunk(model, chunks[i], options_.load.path));
    }
    file->commit();
    on_chunk(chunks.size(), chunks.size());
    return file;
}

Comparison Reference::base() const {
    RoutingTally tally = tally_for(options_.load.path);
    std::vector<Position> positions;
    file_->rewind();
    for (size_t i = 0; i < n_chunks(); ++i) {
        const ReferenceChunk chunk = file_->read();
        for (const double nll : chunk.nll)
            positions.push_back({nll, nll, 0.0, true});
        tally.add(chunk.routing, chunk.routing);
    }
    return {summarize(positions), tally.layers()};
}

Comparison Reference::compare(engine::LoadOptions load, const OnChunk & on_chunk) const {
    load.record_routing = true;
    engine::Model model(load);
    const size_t n_ctx = options_.load.n_ctx;
    const auto n_vocab = static_cast<size_t>(model.n_vocab());
    const auto fail_other_model = [&] {
        fail("{}: cuts the text into other tokens than {}: it is a quantization of another model", load.path,
             options_.load.path);
    };
    if (file_->header()["n_vocab"] != n_vocab) fail_other_model();
    const std::vector<Tokens> chunks = cut(model, load.path, options_.text, n_ctx, n_chunks());
    if (chunks.size() != n_chunks()) fail_other_model();
    // Before anything is computed; what an earlier version kept is compared chunk by chunk.
    if (file_->header().value("tokens_sha256", "") != "" && file_->header()["tokens_sha256"] != sha256_of(chunks))
        fail_other_model();

    RoutingTally tally = tally_for(load.path);
    RowComparer comparer(n_vocab);
    std::vector<Position> positions;
    file_->rewind();
    for (size_t c = 0; c < chunks.size(); ++c) {
        on_chunk(c, chunks.size());
        const ReferenceChunk base = file_->read();
        if (base.tokens != chunks[c]) fail_other_model();
        const std::vector<float> rows = scored_rows(model, chunks[c], load.path);
        for (size_t i = 0; i < n_scored(n_ctx); ++i) {
            const auto right = static_cast<size_t>(chunks[c][first_row(n_ctx) + i + 1]);
            positions.push_back(comparer.compare(base.rows.data() + i * encoded_row_bytes(n_vocab), base.nll[i],
                                                 rows.data() + i * n_vocab, right));
        }
        try {
            tally.add(base.routing, model.take_routing());
        } catch (const Error & error) {
            fail("{}: {} ({})", load.path, error.what(), options_.load.path);
        }
    }
    on_chunk(chunks.size(), chunks.size());
    return {summarize(positions), tally.layers()};
}

}  // namespace shimmy::quality
