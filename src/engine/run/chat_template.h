// Internal to the engine: a model's chat template, which turns a conversation into a prompt.
#pragma once

#include "engine/run/answer.h"

#include "chat.h"

#include <map>
#include <string>
#include <vector>

namespace shimmy::engine {

class ChatTemplate {
public:
    // `name`: of the model, for messages. `variables`: what the user sets in the template. `picture_mark`: what stands
    // in a prompt for a picture. `model` must live as long.
    ChatTemplate(const llama_model * model, std::string name, std::map<std::string, std::string> variables,
                 std::string picture_mark)
        : model_(model),
          name_(std::move(name)),
          variables_(std::move(variables)),
          picture_mark_(std::move(picture_mark)) {}

    bool exists() const;

    // Reads it where that has not been done: a template is a program, and most commands can do without one that is
    // broken. Throws Error with the reason, or that there is none.
    void read();

    // The prompt of a conversation, ready for a reply. A template that runs for ever ends the process.
    std::string render(const std::vector<Message> & messages);
    // The same with how its reply is read. `thinks`: for models that can be told not to.
    common_chat_params render_for_reply(const std::vector<Message> & messages, bool thinks);

private:
    common_chat_templates_inputs inputs_of(const std::vector<Message> & messages) const;
    common_chat_params render(const common_chat_templates_inputs & inputs);

    const llama_model * model_;
    std::string name_;
    std::map<std::string, std::string> variables_;
    std::string picture_mark_;
    common_chat_templates_ptr templates_;  // null: not read yet
};

}  // namespace shimmy::engine
