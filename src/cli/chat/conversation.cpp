#include "cli/chat/conversation.h"

#include "base/error.h"
#include "base/json.h"

namespace shimmy::cli {

engine::Reply Conversation::answer(const engine::SamplingOptions & sampling, const engine::OnReply & on_reply) {
    std::vector<engine::Message> all;
    if (!system_.empty()) all.push_back({"system", system_});
    all.insert(all.end(), messages_.begin(), messages_.end());
    engine::Reply reply = model_.reply(all, settings.max_tokens, sampling, settings.thinks, on_reply);
    messages_.push_back(reply.message);
    return reply;
}

void Conversation::show(engine::Image image) {
    if (!model_.sees_pictures())
        fail_usage("the model sees no pictures without its projector: start with --mmproj FILE");
    shown_.push_back(std::move(image));
}

void Conversation::clear() {
    messages_.clear();
    shown_.clear();
}

engine::Reply Conversation::say(const std::string & text, const engine::OnReply & on_reply) {
    messages_.push_back({"user", text, /*thoughts=*/"", shown_});
    try {
        engine::Reply reply = answer(settings.sampling, on_reply);
        shown_.clear();
        return reply;
    } catch (...) {
        messages_.pop_back();
        throw;
    }
}

engine::Reply Conversation::say_again(const engine::OnReply & on_reply) {
    if (messages_.empty() || messages_.back().role != "assistant") fail_usage("there is no answer yet");
    const engine::Message before = messages_.back();
    messages_.pop_back();
    engine::SamplingOptions sampling = settings.sampling;
    sampling.seed += ++n_again_;
    try {
        return answer(sampling, on_reply);
    } catch (...) {
        messages_.push_back(before);
        throw;
    }
}

bool Conversation::take_back() {
    if (messages_.empty()) return false;
    while (!messages_.empty() && messages_.back().role != "user")
        messages_.pop_back();
    if (!messages_.empty()) messages_.pop_back();
    return true;
}

void Conversation::save(const fs::path & file) const {
    Json messages = Json::array();
    for (const engine::Message & message : messages_) {
        Json entry{{"role", message.role}, {"content", message.content}};
        if (!message.thoughts.empty()) entry["thoughts"] = message.thoughts;
        for (const engine::Image & image : message.images)
            entry["images"].push_back(fs::absolute(image.file).string());
        messages.push_back(std::move(entry));
    }
    const Json document{{"system", system_}, {"messages", messages}};
    write_file_atomic(file, document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Conversation::load(const fs::path & file) {
    std::string system;
    std::vector<engine::Message> messages;
    try {
        const Json document = Json::parse(read_file(file));
        system = document.value("system", "");
        for (const Json & entry : document.at("messages")) {
            const bool from_user = messages.size() % 2 == 0;
            engine::Message message{entry.at("role").get<std::string>(), entry.at("content").get<std::string>()};
            if (message.role != (from_user ? "user" : "assistant"))
                fail("{}: message {} is of '{}': a conversation is of user and assistant in turn", file.string(),
                     messages.size() + 1, message.role);
            message.thoughts = entry.value("thoughts", "");
            for (const Json & image : entry.value("images", Json::array()))
                message.images.push_back(engine::read_image(image.get<std::string>()));
            if (!message.images.empty() && !model_.sees_pictures())
                fail("{}: has pictures, which the model sees with its projector only: start with --mmproj FILE",
                     file.string());
            messages.push_back(std::move(message));
        }
    } catch (const Json::exception & error) {
        fail("{}: is no saved conversation ({})", file.string(), error.what());
    }
    if (messages.size() % 2 != 0) fail("{}: the last question has no answer", file.string());
    system_ = std::move(system);
    messages_ = std::move(messages);
    shown_.clear();
}

}  // namespace shimmy::cli
