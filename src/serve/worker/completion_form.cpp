#include "serve/worker/completion_form.h"

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
        top.push_back(likeliest);
        size_t & n = n_characters_[choice];
        offsets.push_back(n);
        n += n_characters(text);
    }
    return json{{"tokens", tokens}, {"token_logprobs", figures}, {"top_logprobs", top}, {"text_offset", offsets}};
}

void CompletionForm::complete(json & document) {
    if (!document.is_object() || !document.contains("choices")) return;
    for (json & choice : document.at("choices")) {
        const json logprobs = json_value(choice, "logprobs", json());
        if (logprobs.is_object() && logprobs.contains("content"))
            choice["logprobs"] = legacy_logprobs(logprobs.at("content"), json_value(choice, "index", 0));
    }
}

}  // namespace shimmy::serve::worker
