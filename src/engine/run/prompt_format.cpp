#include "engine/run/prompt_format.h"

#include "base/error.h"
#include "base/process/bounded_work.h"
#include "base/text/text.h"

#include "chat.h"
#include "log.h"

namespace shimmy::engine {

namespace {

constexpr size_t MAX_REASON_CHARS = 300;

// "<s>" of tokenizer.ggml.bos_token_id; empty if the file names none.
std::string special_token(const gguf::GgufFile & file, const char * key) {
    const auto id = file.metadata().find_int(std::string("tokenizer.ggml.") + key);
    if (!id || *id < 0) return "";
    const auto tokens = file.metadata().find_strings("tokenizer.ggml.tokens", static_cast<size_t>(*id) + 1);
    return tokens && tokens->size() > static_cast<size_t>(*id) ? std::string(tokens->back()) : "";
}

// llama.cpp puts the system message before the question where the template takes none.
std::string render(const common_chat_templates & templates) {
    common_chat_templates_inputs inputs;
    const auto say = [&](const char * role, const char * content) {
        common_chat_msg & message = inputs.messages.emplace_back();
        message.role = role;
        message.content = content;
    };
    say("system", "{system prompt}");
    say("user", "{prompt}");
    return common_chat_templates_apply(&templates, inputs).prompt;
}

}  // namespace

std::string prompt_format(const gguf::GgufFile & file) {
    const auto source = file.metadata().find_string("tokenizer.chat_template");
    if (!source || source->empty()) fail("{}: has no chat template", file.path().string());
    const BoundedWork bounded("its chat template takes more than 10 s or 2 GiB, and was stopped");
    common_log_set_verbosity_thold(LOG_LEVEL_OUTPUT);  // what is wrong with a template is said in the error
    try {
        const auto templates =
            common_chat_templates_init(/*model=*/nullptr, std::string(*source), special_token(file, "bos_token_id"),
                                       special_token(file, "eos_token_id"));
        return render(*templates);
    } catch (const std::exception & error) {
        fail("{}: its chat template failed: {}", file.path().string(), printable(error.what(), MAX_REASON_CHARS));
    }
}

}  // namespace shimmy::engine
