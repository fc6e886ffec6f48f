// Answers that the client began itself (a last message of the assistant's): llama.cpp gives back the whole, clients put
// what comes behind what they have.
#pragma once

#include "server-common.h"
#include "server-task.h"

#include <map>
#include <string>

namespace shimmy::serve::worker {

class BegunAnswer {
public:
    explicit BegunAnswer(std::string text) : text_(std::move(text)) {}

    // Takes it off the text of a whole answer.
    void strip(json & document, task_response_type shape) const;
    // Takes it off events, which come in order.
    void strip_events(json & events, task_response_type shape);

private:
    void strip_text(json & holder, const char * key) const;
    void strip_delta(json & holder, const char * key, int choice);
    void strip_response_item(json & item) const;
    void strip_event(json & event, task_response_type shape);

    std::string text_;
    std::map<int, size_t> n_stripped_;  // bytes, by choice
};

}  // namespace shimmy::serve::worker
