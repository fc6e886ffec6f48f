// A streamed answer as a client sees it, event by event, and what is wrong with it.
#pragma once

#include "base/http/sse.h"
#include "base/json.h"

#include <string>
#include <string_view>
#include <vector>

namespace shimmy::lab {

// Reads the events of one streamed answer of OpenAI's API (chat or text completions).
class AnswerEvents {
public:
    // Bytes as they arrive, `at_ms` after the request.
    void feed(std::string_view bytes, double at_ms);

    // Call when the answer has ended: what can only be known then becomes a defect.
    void finish();

    const std::string & text() const { return text_; }
    const std::vector<double> & text_ms() const { return text_ms_; }  // of each event that carried text
    int n_events() const { return n_events_; }                        // [DONE] not counted
    bool done_last() const { return n_done_ == 1 && !after_done_; }
    const Json & usage() const { return usage_; }      // null if none came
    const Json & timings() const { return timings_; }  // llama.cpp's own; null if none came
    const std::string & finish_reason() const { return finish_reason_; }

    // Empty: every event parsed (so no UTF-8 sequence was split), [DONE] came once and last, and no text came in more
    // events than there were tokens.
    const std::vector<std::string> & defects() const { return defects_; }

    // Why the answer is not whole: an event that is an error, no [DONE], no reason to finish. Empty: it is.
    const std::string & failure() const { return failure_; }

private:
    void event(std::string_view data, double at_ms);
    void defect(const std::string & what);
    void break_off(const std::string & what);

    SseLines lines_;
    std::string text_;
    std::vector<double> text_ms_;
    int n_events_ = 0;
    int n_done_ = 0;
    bool after_done_ = false;
    Json usage_;
    Json timings_;
    std::string finish_reason_;
    std::vector<std::string> defects_;
    std::string failure_;
};

// The text that a choice of an answer carries: of an event's delta, of a message, or of a text completion. Thoughts
// (reasoning_content) count.
std::string choice_text(const Json & choice);

}  // namespace shimmy::lab
