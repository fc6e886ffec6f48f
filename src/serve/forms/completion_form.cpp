#include "serve/forms/completion_form.h"

#include <algorithm>
#include <string>

namespace shimmy::serve::worker {

namespace {

size_t n_characters(const std::string & text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// "logprob", or "prob" where the client asked for what sampling made of it.
json figure_of(const json & token) {
    return token.contains("logprob") ? token.at("logprob") : json_value(token, "prob", json());
}

}  // namespace

json CompletionForm::legacy_logprobs(const json & content, int choice) {
    json tokens = json::array();
    json figures = json::array();
    json top = json::array();
    json offsets = json::array();
    for (const json & token : content) {
        const std::string text = token.at("token").get<std::string>();
        tokens.push_back(text);
        figures.push_back(figure_of(token));
        json likeliest = json::object();
        for (const char * key : {"top_logprobs", "top_probs"}) {
            const json others = json_value(token, key, json::array());
            for (const json & other : others)
                likeliest[other.at("token").get<std::string>()] = figure_of(other);
        }
        // Nothing predicts the first token of a prompt.
        top.push_back(figures.back().is_null() ? json() : likeliest);
        size_t & n = n_characters_[choice];
        offsets.push_back(n);
        n += n_characters(text);
    }
    return json{{"tokens", tokens}, {"token_logprobs", figures}, {"top_logprobs", top}, {"text_offset", offsets}};
}

void CompletionForm::prepend(json & choice, int index) {
    if (only_echo_) {
        choice["text"] = "";
        choice["logprobs"] = nullptr;
    }
    if (echoes_.empty() || !begun_.insert(index).second) return;
    const Echo & echo = echoes_.at(static_cast<size_t>(index / n_choices_));
    choice["text"] = echo.text + json_value(choice, "text", std::string());
    if (echo.tokens.is_null()) return;
    json content = echo.tokens;
    const json logprobs = json_value(choice, "logprobs", json());
    for (const json & token : logprobs.is_object() ? json_value(logprobs, "content", json::array()) : json::array())
        content.push_back(token);
    choice["logprobs"] = json{{"content", content}};
}

void CompletionForm::complete(json & document) {
    if (!document.is_object() || !document.contains("choices")) return;
    if (only_echo_ && document.contains("usage")) {
        json & usage = document.at("usage");
        usage["completion_tokens"] = 0;
        usage["total_tokens"] = json_value(usage, "prompt_tokens", 0);
    }
    for (json & choice : document.at("choices")) {
        const int index = json_value(choice, "index", 0);
        prepend(choice, index);
        const json logprobs = json_value(choice, "logprobs", json());
        if (logprobs.is_object() && logprobs.contains("content"))
            choice["logprobs"] = legacy_logprobs(logprobs.at("content"), index);
    }
}

}  // namespace shimmy::serve::worker
