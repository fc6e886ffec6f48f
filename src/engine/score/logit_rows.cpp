#include "engine/score/logit_rows.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "engine/llama/log.h"

#include <algorithm>
#include <memory>

namespace shimmy::engine {

void for_each_row(llama_context * context, std::string_view what, std::span<const llama_token> tokens, size_t first,
                  size_t n_batch, const OnLogits & on_logits) {
    const auto n_vocab = static_cast<size_t>(llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(context))));
    llama_batch batch = llama_batch_init(static_cast<int>(n_batch), 0, 1);
    const std::unique_ptr<llama_batch, void (*)(llama_batch *)> guard(&batch,
                                                                      [](llama_batch * b) { llama_batch_free(*b); });
    for (size_t start = 0; start < tokens.size(); start += n_batch) {
        batch.n_tokens = static_cast<int>(std::min(n_batch, tokens.size() - start));
        for (int i = 0; i < batch.n_tokens; ++i) {
            const size_t index = start + static_cast<size_t>(i);
            batch.token[i] = tokens[index];
            batch.pos[i] = static_cast<llama_pos>(index);
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = index >= first ? 1 : 0;
        }
        const LogCapture log;
        const int rc = llama_decode(context, batch);
        check_interrupted();
        if (rc != 0)
            fail("{}: decoding failed at token {}: {}", what, start,
                 log.reason(fmt::format("llama_decode returned {}", rc)));
        for (int i = 0; i < batch.n_tokens; ++i) {
            if (batch.logits[i] == 0) continue;
            const std::span<const float> logits(llama_get_logits_ith(context, i), n_vocab);
            if (!on_logits(start + static_cast<size_t>(i), logits)) return;
        }
    }
}

}  // namespace shimmy::engine
