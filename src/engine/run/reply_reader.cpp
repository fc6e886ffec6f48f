#include "engine/run/reply_reader.h"

namespace shimmy::engine {

ReplyReader::ReplyReader(const common_chat_params & params) : parser_params_(params), stops_(params.additional_stops) {
    parser_params_.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
    parser_params_.parse_tool_calls = false;
    if (!params.parser.empty()) parser_params_.parser.load(params.parser);
}

bool ReplyReader::push(std::string_view text, const OnPiece & on_piece) {
    raw_ += text;
    const bool ended = cut_at_stop();
    return read(/*is_partial=*/true, on_piece) && !ended;
}

const common_chat_msg & ReplyReader::finish(const OnPiece & on_piece) {
    read(/*is_partial=*/false, on_piece);
    return message_;
}

// A text that ends a turn, where it is no token of its own.
bool ReplyReader::cut_at_stop() {
    for (const std::string & stop : stops_) {
        const size_t at = raw_.find(stop);
        if (at == std::string::npos) continue;
        raw_.resize(at);
        ended_ = true;
    }
    return ended_;
}

bool ReplyReader::read(bool is_partial, const OnPiece & on_piece) {
    common_chat_msg message;
    try {
        message = common_chat_parse(raw_, is_partial, parser_params_);
    } catch (const std::exception &) {
        message.content = raw_;  // not in the template's form: all of it is speech
    }
    if (message.empty()) return true;
    bool go_on = true;
    for (const common_chat_msg_diff & diff : common_chat_msg_diff::compute_diffs(message_, message)) {
        if (on_piece && !diff.reasoning_content_delta.empty())
            go_on = go_on && on_piece(true, diff.reasoning_content_delta);
        if (on_piece && !diff.content_delta.empty()) go_on = go_on && on_piece(false, diff.content_delta);
    }
    message_ = std::move(message);
    return go_on;
}

}  // namespace shimmy::engine
