// OpenAI's responses API, where llama.cpp's form of it leaves out what its clients rely on.
#pragma once

#include "server-common.h"

#include <string>
#include <vector>

namespace shimmy::serve::worker {

// The request as llama.cpp reads it: what is asked of the text's form, and answers of earlier turns in the short form
// that clients send. Throws std::invalid_argument for what cannot be done here.
json readable_response_request(json request);

// One answer: its document, or its events.
class ResponseForm {
public:
    explicit ResponseForm(std::string model) : model_(std::move(model)) {}

    // `cut_off`: it ended at the limit of tokens.
    void complete_whole(json & response, bool cut_off) const;
    // An event, {"event", "data"}, or an array of them; an array afterwards: each item is done before the next begins.
    void complete_events(json & events, bool cut_off);

private:
    void complete_event(json & event, bool cut_off);
    size_t index_of(const std::string & item);
    void end_open_item(json & events);

    std::string model_;
    std::vector<std::string> items_;  // of the output, by their ids
    json open_ = nullptr;             // the item that has begun
    std::string open_text_;
    std::vector<std::string> done_;  // items
    int n_events_ = 0;
};

}  // namespace shimmy::serve::worker
