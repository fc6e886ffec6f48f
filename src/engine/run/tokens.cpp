#include "engine/run/tokens.h"

#include "base/error.h"
#include "base/text/text.h"
#include "engine/llama/log.h"
#include "gguf/purpose.h"

#include "llama.h"

#include <algorithm>

namespace shimmy::engine {

namespace {

constexpr size_t MAX_TOKENIZER_REASON_CHARS = 300;

}  // namespace

std::vector<int32_t> tokenize(const llama_vocab * vocab, const std::string & name, const std::string & text,
                              bool parse_special) {
    if (llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE)
        fail("{}: has no tokenizer, so no text can be given to it: convert the model again, with its tokenizer's files",
             name);
    const auto n_bytes = static_cast<int>(text.size());
    std::vector<int32_t> tokens(text.size() + 8);  // a token per byte, BOS and EOS, if it is UTF-8
    const auto into_tokens = [&] {
        return llama_tokenize(vocab, text.c_str(), n_bytes, tokens.data(), static_cast<int>(tokens.size()),
                              /*add_special=*/true, parse_special);
    };
    int n = 0;
    try {
        const LogCapture log;
        n = into_tokens();
        if (n < 0 && n != INT32_MIN) {  // a byte that is none becomes a mark of three
            tokens.resize(static_cast<size_t>(-n));
            n = into_tokens();
        }
    } catch (const std::exception & error) {  // a vocabulary that lacks bytes, or the tokens that begin and end a text
        fail("{}: the text cannot be tokenized: its vocabulary is incomplete ({}): convert the model again", name,
             printable(error.what(), MAX_TOKENIZER_REASON_CHARS));
    }
    if (n < 0) fail("{}: the text is too long to be tokenized", name);
    tokens.resize(static_cast<size_t>(n));
    const bool known = std::all_of(tokens.begin(), tokens.end(), [&](int32_t token) { return token >= 0; });
    if (!known)
        fail(
            "{}: its vocabulary has no token for a part of the text: it does not fit its tokenizer; convert the model "
            "again",
            name);
    return tokens;
}

void require_text_model(LoadOptions & options) {
    const gguf::GgufFile & file = options.open_file();
    if (gguf::model_type(file) != gguf::ModelType::embedding) return;
    fail("{}: is an embedding model ({}), which writes no text: serve it with shimmy serve --embeddings",
         options.shown_name(), printable(file.metadata().find_string("general.architecture").value_or("")));
}

}  // namespace shimmy::engine
