#include "serve/prompt/template_trial.h"

#include "chat.h"

#include <exception>
#include <string>

namespace shimmy::serve::worker {

void try_chat_template(ModelOptions & options) {
    std::string source = options.chat_template;
    if (source.empty())
        source = options.load.open_file().metadata().find_string("tokenizer.chat_template").value_or("");
    if (source.empty()) return;
    try {
        const common_chat_templates_ptr templates = common_chat_templates_init(nullptr, source);
        common_chat_format_example(templates.get(), /*use_jinja=*/true, {});
        common_chat_templates_support_enable_thinking(templates.get());
    } catch (const std::exception &) {  // told when the model is loaded
    }
}

}  // namespace shimmy::serve::worker
