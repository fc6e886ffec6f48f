#include "engine/score/sequence_scorer.h"

#include "base/error.h"
#include "base/log_sum_exp.h"
#include "base/process/interrupt.h"
#include "engine/llama/log.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

namespace shimmy::engine {

namespace {

// Rows of logits that one call of llama_decode() returns at most: 256 of a vocabulary of 150,000 are 150 MB.
constexpr size_t MAX_ROWS = 256;
// Fewer tokens are computed again: a beginning-of-text token that all questions share is not worth other batches.
constexpr size_t MIN_KEPT = 32;

double log_probability(const float * logits, int n_vocab, llama_token token) {
    return logits[token] - log_sum_exp({logits, static_cast<size_t>(n_vocab)});
}

// Tokens in the order in which they are computed: what is shared once, for all sequences, then the rest of each.
class Batch {
public:
    explicit Batch(size_t n_tokens, size_t n_sequences)
        : batch_(llama_batch_init(static_cast<int>(n_tokens), 0, static_cast<int>(n_sequences))) {}
    ~Batch() { llama_batch_free(batch_); }
    Batch(const Batch &) = delete;
    Batch & operator=(const Batch &) = delete;

    void add(llama_token token, size_t position, size_t first_sequence, size_t n_sequences) {
        const int i = batch_.n_tokens++;
        batch_.token[i] = token;
        batch_.pos[i] = static_cast<llama_pos>(position);
        batch_.n_seq_id[i] = static_cast<int>(n_sequences);
        for (size_t s = 0; s < n_sequences; ++s)
            batch_.seq_id[i][s] = static_cast<llama_seq_id>(first_sequence + s);
        batch_.logits[i] = 0;
    }
    void want(size_t index) { batch_.logits[index] = 1; }
    bool wants(size_t index) const { return batch_.logits[index] != 0; }
    size_t size() const { return static_cast<size_t>(batch_.n_tokens); }

    // From `start` on, as many as one call takes.
    llama_batch part(size_t start, size_t n_most) const {
        size_t n_rows = 0;
        size_t end = start;
        while (end < size() && end - start < n_most && n_rows + (wants(end) ? 1 : 0) <= MAX_ROWS) {
            if (wants(end)) ++n_rows;
            ++end;
        }
        return {
            static_cast<int>(end - start), batch_.token + start, nullptr, batch_.pos + start, batch_.n_seq_id + start,
            batch_.seq_id + start,         batch_.logits + start};
    }

private:
    llama_batch batch_;
};

size_t n_alike(std::span<const llama_token> a, std::span<const llama_token> b) {
    return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

std::vector<double> SequenceScorer::score(const std::vector<std::vector<llama_token>> & sequences,
                                          const std::vector<Probe> & probes) {
    std::vector<size_t> n_needed(sequences.size());
    for (const Probe & probe : probes)
        n_needed[probe.sequence] = std::max(n_needed[probe.sequence], probe.position + 1);
    std::vector<Tokens> needed;
    for (size_t s = 0; s < sequences.size(); ++s)
        needed.push_back(Tokens(sequences[s]).first(n_needed[s]));
    std::vector<double> result(probes.size());
    for (size_t first = 0; first < needed.size();) {
        const Group group = next_group(needed, first);
        score(group, probes, result);
        first += group.sequences.size();
    }
    return result;
}

SequenceScorer::Group SequenceScorer::next_group(const std::vector<Tokens> & needed, size_t first) const {
    const size_t n_ctx = llama_n_ctx(context_);
    Group group{first, {needed[first]}, needed[first].size(), needed[first].size()};
    if (group.n_tokens > n_ctx)
        fail("{}: {} tokens do not fit into a context of {}: raise --ctx", name_, group.n_tokens, n_ctx);
    size_t n_in_all = group.n_tokens;  // of the sequences, if nothing is shared
    for (size_t s = first + 1; s < needed.size() && group.sequences.size() < llama_n_seq_max(context_); ++s) {
        const size_t n_shared = std::min(group.n_shared, n_alike(needed[first], needed[s]));
        n_in_all += needed[s].size();
        const size_t n_tokens = n_in_all - n_shared * group.sequences.size();
        if (n_tokens > n_ctx) break;
        group.sequences.push_back(needed[s]);
        group.n_shared = n_shared;
        group.n_tokens = n_tokens;
    }
    return group;
}

void SequenceScorer::score(const Group & group, const std::vector<Probe> & probes, std::vector<double> & result) {
    const auto is_here = [&](const Probe & probe) {
        return probe.sequence >= group.first && probe.sequence < group.first + group.sequences.size();
    };
    size_t first_row = group.n_shared;
    for (const Probe & probe : probes) {
        if (is_here(probe)) first_row = std::min(first_row, probe.position);
    }
    const Tokens shared = group.sequences.front().first(group.n_shared);
    const size_t n_kept = keep(shared, first_row);

    const size_t n_sequences = llama_n_seq_max(context_);
    Batch batch(group.n_tokens, n_sequences);
    for (size_t i = n_kept; i < shared.size(); ++i)
        batch.add(shared[i], i, 0, n_sequences);
    std::vector<size_t> begin;  // in the batch, of each sequence's own tokens
    for (size_t s = 0; s < group.sequences.size(); ++s) {
        begin.push_back(batch.size());
        for (size_t i = shared.size(); i < group.sequences[s].size(); ++i)
            batch.add(group.sequences[s][i], i, s, 1);
    }
    std::vector<std::vector<size_t>> asked(batch.size());  // probes by the row that answers them
    for (size_t i = 0; i < probes.size(); ++i) {
        if (!is_here(probes[i])) continue;
        const size_t position = probes[i].position;
        const size_t at = position < shared.size() ? position - n_kept
                                                   : begin[probes[i].sequence - group.first] + position - shared.size();
        batch.want(at);
        asked[at].push_back(i);
    }

    const int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(context_)));
    kept_.clear();  // until all is computed
    for (size_t start = 0; start < batch.size();) {
        const LogCapture log;
        const llama_batch part = batch.part(start, llama_n_batch(context_));
        const int rc = llama_decode(context_, part);
        check_interrupted();
        if (rc != 0)
            fail("{}: decoding {} tokens failed: {}", name_, part.n_tokens,
                 log.reason(fmt::format("llama_decode returned {}", rc)));
        for (int i = 0; i < part.n_tokens; ++i) {
            for (const size_t probe : asked[start + static_cast<size_t>(i)]) {
                result[probe] = log_probability(llama_get_logits_ith(context_, i), n_vocab, probes[probe].token);
                if (!std::isfinite(result[probe]))
                    fail("{}: what it predicts is not a number: the file is damaged", name_);
            }
        }
        start += static_cast<size_t>(part.n_tokens);
    }
    kept_.assign(shared.begin(), shared.end());
}

// Leaves in the context what `shared` begins with, or nothing. Returns how many tokens that is.
size_t SequenceScorer::keep(Tokens shared, size_t at_most) {
    const size_t n_kept = std::min(n_alike(kept_, shared), at_most);
    if (n_kept >= MIN_KEPT && go_back_to(n_kept)) return n_kept;
    llama_memory_clear(llama_get_memory(context_), /*data=*/false);
    return 0;
}

// False for a recurrent state, and for a sliding window that has moved on.
bool SequenceScorer::go_back_to(size_t position) {
    llama_memory_t memory = llama_get_memory(context_);
    const auto to = static_cast<llama_pos>(position);
    const int n_swa = llama_model_n_swa(llama_get_model(context_));
    for (llama_seq_id s = 0; s < static_cast<llama_seq_id>(llama_n_seq_max(context_)); ++s) {
        const llama_pos first = llama_memory_seq_pos_min(memory, s);
        if (first > 0 && to - n_swa < first) return false;
        if (!llama_memory_seq_rm(memory, s, to, -1)) return false;
    }
    return true;
}

}  // namespace shimmy::engine
