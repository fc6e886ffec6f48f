// Internal to the engine: the raw text of an answer as it grows, and the message that llama.cpp's parser of the chat
// template reads from it.
#pragma once

#include "chat.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::engine {

class ReplyReader {
public:
    // Called with each new piece; false stops the answer.
    using OnPiece = std::function<bool(bool is_thought, std::string_view text)>;

    explicit ReplyReader(const common_chat_params & params);

    // False where the answer is to end: it was stopped, or it holds a text with which the template ends a turn.
    bool push(std::string_view text, const OnPiece & on_piece);
    // The whole message.
    const common_chat_msg & finish(const OnPiece & on_piece);

    bool ended_at_stop() const { return ended_; }

private:
    bool cut_at_stop();
    bool read(bool is_partial, const OnPiece & on_piece);

    common_chat_parser_params parser_params_;
    std::vector<std::string> stops_;
    std::string raw_;
    common_chat_msg message_;
    bool ended_ = false;
};

}  // namespace shimmy::engine
