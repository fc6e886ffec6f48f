#include "engine/run/chat_template.h"

#include "base/error.h"
#include "base/process/bounded_work.h"
#include "base/text/text.h"

#include "llama.h"
#include "log.h"

namespace shimmy::engine {

namespace {

constexpr size_t MAX_REASON_CHARS = 300;
constexpr const char * WITHOUT_TEMPLATE = "shimmy generate --raw needs none";
constexpr const char * ENDLESS_TEMPLATE =
    "its chat template takes more than 10 s or 2 GiB, and was stopped: shimmy generate --raw needs none";
static_assert(BoundedWork::TIME_LIMIT.count() == 10 && BoundedWork::MEMORY_LIMIT == uint64_t{2} << 30);

}  // namespace

bool ChatTemplate::exists() const {
    return llama_model_chat_template(model_, nullptr) != nullptr;
}

void ChatTemplate::read() {
    if (templates_) return;
    const BoundedWork bounded(ENDLESS_TEMPLATE);
    const char * source = llama_model_chat_template(model_, nullptr);
    if (source == nullptr) fail("{}: has no chat template: continue a text with shimmy generate --raw", name_);
    common_log_set_verbosity_thold(LOG_LEVEL_OUTPUT);  // what is wrong with a template is said in the error
    try {
        const common_chat_template checked(source, "", "");  // llama.cpp's next call would lose the reason
        templates_ = common_chat_templates_init(model_, "");
    } catch (const std::exception & error) {
        fail("{}: its chat template cannot be read: {}: {}", name_, printable(error.what(), MAX_REASON_CHARS),
             WITHOUT_TEMPLATE);
    }
}

std::string ChatTemplate::render(const std::vector<Message> & messages) {
    return render(inputs_of(messages)).prompt;
}

common_chat_params ChatTemplate::render_for_reply(const std::vector<Message> & messages, bool thinks) {
    common_chat_templates_inputs inputs = inputs_of(messages);
    inputs.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
    inputs.enable_thinking = thinks;
    return render(inputs);
}

common_chat_templates_inputs ChatTemplate::inputs_of(const std::vector<Message> & messages) const {
    common_chat_templates_inputs inputs;
    for (const Message & message : messages) {
        common_chat_msg & msg = inputs.messages.emplace_back();
        msg.role = message.role;
        for (size_t i = 0; i < message.images.size(); ++i)
            msg.content_parts.push_back({"media_marker", picture_mark_});
        if (message.images.empty()) {
            msg.content = message.content;
        } else {
            msg.content_parts.push_back({"text", message.content});
        }
        msg.reasoning_content = message.thoughts;
    }
    inputs.chat_template_kwargs = variables_;
    return inputs;
}

common_chat_params ChatTemplate::render(const common_chat_templates_inputs & inputs) {
    read();
    const BoundedWork bounded(ENDLESS_TEMPLATE);
    try {
        return common_chat_templates_apply(templates_.get(), inputs);
    } catch (const std::exception & error) {
        fail("{}: its chat template failed: {}: {}", name_, printable(error.what(), MAX_REASON_CHARS),
             WITHOUT_TEMPLATE);
    }
}

}  // namespace shimmy::engine
