// A conversation with a model: its messages, and how the next is made. Nothing is printed here.
#pragma once

#include "base/files.h"
#include "engine/run/model.h"
#include "engine/run/sampling_options.h"

#include <string>
#include <vector>

namespace shimmy::cli {

struct ReplySettings {
    engine::SamplingOptions sampling;
    int max_tokens = 0;  // of a reply; 0: to its end
    bool thinks = true;  // for models that can be told not to
};

class Conversation {
public:
    explicit Conversation(engine::Model & model) : model_(model) {}

    ReplySettings settings;

    const std::string & system() const { return system_; }
    void set_system(std::string text) { system_ = std::move(text); }

    // Of the user and the assistant in turn.
    const std::vector<engine::Message> & messages() const { return messages_; }

    // Shows a picture with the next question. Throws UsageError if the model sees none.
    void show(engine::Image image);
    const std::vector<engine::Image> & shown() const { return shown_; }
    void hide() { shown_.clear(); }

    // The answer is kept, also where it was stopped. Where it fails, the conversation is as it was.
    engine::Reply say(const std::string & text, const engine::OnReply & on_reply);
    // Takes back the last answer and asks for another one, with another seed. Throws UsageError if there is none.
    engine::Reply say_again(const engine::OnReply & on_reply);
    // Takes back the last question and its answer. False if there is none.
    bool take_back();
    void clear();

    // JSON: {"system", "messages": [{"role", "content", "thoughts", "images"}]}; images are names of files, read again.
    // load() throws Error for what is no such file and leaves the conversation as it was.
    void save(const fs::path & file) const;
    void load(const fs::path & file);

private:
    engine::Reply answer(const engine::SamplingOptions & sampling, const engine::OnReply & on_reply);

    engine::Model & model_;
    std::string system_;
    std::vector<engine::Message> messages_;
    std::vector<engine::Image> shown_;  // with the next question
    uint32_t n_again_ = 0;
};

}  // namespace shimmy::cli
