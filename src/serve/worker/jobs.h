// Requests as llama.cpp's tasks: parsed, with the chat template applied and turned into tokens, within the bounds of
// the model.
#pragma once

#include "base/error.h"
#include "serve/worker/channel.h"
#include "serve/worker/echo.h"
#include "serve/worker/hosted_model.h"

#include "server-task.h"

#include <string>
#include <vector>

namespace shimmy::serve::worker {

// An error of llama.cpp's kind, {"code", "message", "type", …}.
class JobError : public Error {
public:
    JobError(enum error_type type, const std::string & message)
        : Error(message), document_(format_error_response(message, type)) {}
    explicit JobError(json document)
        : Error(document.at("message").get<std::string>()), document_(std::move(document)) {}
    const json & document() const { return document_; }

private:
    json document_;
};

struct Job {
    task_response_type shape = TASK_RESPONSE_TYPE_NONE;
    bool streams = false;
    std::vector<server_task> tasks;
    std::vector<std::string> stop_sequences;  // that the client named, in Anthropic's API
    std::string begun;                        // of the answer, by the client
    int n_choices = 1;                        // of each prompt
    // Text completions: the prompts that the answers begin with, and with how many likeliest tokens (below 0: no
    // log-probabilities). `echoes` is what became of them.
    std::vector<EchoedPrompt> echoed;
    int n_top_echoed = -1;
    std::vector<Echo> echoes;
    bool only_echo = false;  // no token was asked for
    // Embeddings:
    json request;  // as it came
    bool base64 = false;
};

// True where the route is answered by generated text.
bool is_completion(const std::string & route);
bool is_embedding(const std::string & route);

// A request's body as llama.cpp's own handlers read it.
std::string readable_body(const std::string & route, const std::string & body);

// `number`: of a slot, as a request says it. llama.cpp would count on from the first again. Throws JobError.
void require_slot(const HostedModel & model, const std::string & number);

// Throws JobError, or what llama.cpp throws for a request that it does not like.
Job make_completion(const HostedModel & model, server_response_reader & reader, const std::string & route,
                    const std::string & body);
Job make_embedding(const HostedModel & model, server_response_reader & reader, const std::string & route,
                   const std::string & body);

}  // namespace shimmy::serve::worker
