#include "lab/http/request.h"

namespace shimmy::lab {

Request make_request(bool chat, const std::string & prompt, int max_tokens, const engine::SamplingOptions & sampling,
                     bool stream) {
    Json body{{"max_tokens", max_tokens}, {"temperature", sampling.temperature},
              {"top_p", sampling.top_p},  {"top_k", sampling.top_k},
              {"min_p", sampling.min_p},  {"repeat_penalty", sampling.repeat_penalty},
              {"seed", sampling.seed},    {"cache_prompt", false},
              {"stream", stream}};
    if (stream) body["stream_options"] = {{"include_usage", true}};
    if (chat) {
        body["messages"] = Json::array({{{"role", "user"}, {"content", prompt}}});
    } else {
        body["prompt"] = prompt;
    }
    return {chat ? "/v1/chat/completions" : "/v1/completions", body};
}

}  // namespace shimmy::lab
