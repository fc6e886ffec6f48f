// What the clients of a load run ask, from files: prompts, conversations, a recorded trace.
#pragma once

#include "base/files.h"
#include "lab/http/load_run.h"
#include "lab/http/request.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::lab {

// What people say in one conversation, in order; the answers are the server's.
struct Talk {
    std::vector<std::string> turns;
    int max_tokens = 0;  // of each answer; 0: as the options say
    double at_ms = 0.0;  // of a trace: when it begins
};

// Lines of text, a prompt each; or JSON (a list, or one object per line): ShareGPT's {"conversations": [{"from":
// "human", "value": …}, …]}, OpenAI's {"messages": […]}, or {"prompt": …}. At most `n_turns` turns of each
// conversation (0: all). Throws UsageError that names file and line.
std::vector<Talk> read_prompts(const fs::path & file, size_t n_turns);

// Lines of JSON with "timestamp" in ms, in any order, and what was asked: "prompt", "messages", or Mooncake's
// "input_length" with "hash_ids", of which only lengths and shared beginnings are known: text is made up, about one
// word per token, with the same 512 words for the same id. "output_length" or "max_tokens" is the most that is
// generated. The first begins at 0; `speed` 2 halves the distances. Throws UsageError that names file and line.
std::vector<Talk> read_trace(const fs::path & file, double speed);

// How a talk becomes requests.
struct AskAs {
    bool chat = true;
    std::string served_model;  // empty: not named
    std::string system;        // said before everything; empty: nothing
    int max_tokens = 100;
    engine::SamplingOptions sampling;
    bool standard = false;      // only what every OpenAI server knows
    bool ignore_eos = false;    // generate max_tokens in any case, where the server knows how
    bool cache_prompt = false;  // of llama.cpp: what the server has seen before is not computed again
};

Session session_of(const Talk & talk, const AskAs & as);

}  // namespace shimmy::lab
