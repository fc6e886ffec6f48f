// Anthropic's messages API, where llama.cpp's form of it is not what its clients rely on.
#pragma once

#include "server-common.h"

#include <map>
#include <string>
#include <vector>

namespace shimmy::serve::worker {

// One answer: its document, or its events.
class AnthropicForm {
public:
    // `stop_sequences`: those that the client named.
    explicit AnthropicForm(std::vector<std::string> stop_sequences) : stop_sequences_(std::move(stop_sequences)) {}

    // An answer that ended at one of the client's texts says so; the model's own ends are its turn's. `stop`: the text
    // it ended at, or empty.
    void complete_whole(json & message, const std::string & stop) const;
    // An array of {"event", "data"}: each block of content stops before the next one starts.
    void complete_events(json & events, const std::string & stop);

private:
    void name_stop(json & holder, const std::string & stop) const;
    void stop_open_block(json & events);

    std::vector<std::string> stop_sequences_;
    int open_block_ = -1;
    std::map<int, std::string> types_;  // of the blocks that have started
};

}  // namespace shimmy::serve::worker
