// A completion for the APIs that are not OpenAI's. The model answers in OpenAI's form, its events are read back as
// pieces, and the API at hand writes them in its own form.
#pragma once

#include "base/http/sse.h"
#include "serve/http/request.h"
#include "serve/pool/conversation.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>

namespace shimmy::serve {

struct Piece {
    std::string text;           // whole UTF-8 sequences; may be empty
    std::string reasoning;      // a thinking model's thoughts
    Json tool_calls;            // as OpenAI streams them, or null
    std::string finish_reason;  // "stop", "length", "tool_calls" in the last but the figures; else empty
    Json usage;                 // {"prompt_tokens", "completion_tokens", …} in the last, else null
    Json timings;               // llama.cpp's with queue_ms and ttft_ms, in the last, else null
};

class Completion {
public:
    // `body`: an OpenAI request, with "messages" (the model's chat template is applied) or a "prompt" (used as it is).
    // Waits for the model to begin. Throws HttpError with what it says where it refuses. `path`: of the request,
    // for the log.
    Completion(Lease lease, const std::string & path, Json body, const StopCheck & should_stop);

    // The next piece; nullopt after the last. Throws HttpError for a failure midway, ClientGone.
    std::optional<Piece> next();

    const std::string & model_name() const { return conversation_.model_name(); }

private:
    void read_event(const std::string & data);

    Conversation conversation_;
    SseReader events_;
    std::deque<Piece> pieces_;
    bool ended_ = false;
};

// Adds what one piece brings of tool calls to `calls`: [{"id", "name", "arguments"}], the arguments as JSON text that
// comes in parts.
void add_tool_calls(Json & calls, const Json & deltas);

// All pieces of a completion as one, its tool calls as add_tool_calls() has them.
Piece read_whole(Completion & completion);

}  // namespace shimmy::serve
