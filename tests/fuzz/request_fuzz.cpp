// libFuzzer entry: a byte that chooses a route, and any bytes as its body. They must end in a request that is within
// the bounds and can be translated, or in an error with a status of 400; never in a crash, and never in any other
// exception.
#include "serve/api/keep_alive.h"
#include "serve/api/ollama_request.h"
#include "serve/bounds/members.h"
#include "serve/bounds/request_bounds.h"
#include "serve/forms/begun_answer.h"
#include "serve/forms/responses.h"
#include "serve/http/request.h"
#include "serve/prompt/tool_choice.h"

#include "complain.h"
#include "server-chat.h"

#include <cstdint>
#include <string>

namespace {

using namespace shimmy::serve;
using shimmy::Json;
using shimmy::fuzz::complain;

void require_all(const Json & body, Dialect dialect) {
    require_bounded(body);
    if (dialect == Dialect::chat || dialect == Dialect::ollama) require_messages(body);
    if (dialect == Dialect::messages) require_anthropic_messages(body);
    require_supported(body, dialect);
}

// As llama.cpp reads what passed, up to where a model is needed.
void translate(const std::string & text, Dialect dialect) {
    json request = json::parse(text);
    if (dialect == Dialect::chat) {
        (void)worker::with_tool_choice(request);
    } else if (dialect == Dialect::responses) {
        (void)worker::with_tool_choice(
            server_chat_convert_responses_to_chatcmpl(worker::readable_response_request(request)));
    } else if (dialect == Dialect::messages) {
        (void)server_chat_convert_anthropic_to_oai(worker::with_anthropic_tool_choice(request));
    }
}

void handle(const std::string & text, Dialect dialect) {
    Json body = parse_object(text);
    require_supported(body, dialect);
    if (dialect == Dialect::ollama) {
        (void)keep_alive_of(body.value("keep_alive", Json()));
        for (const Json & chat : {openai_generate(body, false), openai_generate(body, true), openai_chat(body)})
            require_bounded(chat);
        body = openai_chat(body);
    }
    require_all(body, dialect == Dialect::ollama ? Dialect::chat : dialect);
    const std::string sent = to_text(body);
    if (!Json::accept(sent)) complain("a body that became no JSON", sent);
    translate(sent, dialect == Dialect::ollama ? Dialect::chat : dialect);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    if (n_bytes == 0) return 0;
    const auto dialect = static_cast<Dialect>(data[0] % 6);
    const std::string text(reinterpret_cast<const char *>(data) + 1, n_bytes - 1);
    try {
        handle(text, dialect);
    } catch (const HttpError & error) {
        if (error.status() != 400) complain("a status that is not the client's", error.what());
    } catch (const Json::exception & error) {  // a member of another type: a 400 (http/request.cpp)
        if (to_http_error(error).status() != 400) complain("a status that is not the client's", error.what());
    } catch (const std::exception &) {  // llama.cpp's own about the request: a 400 (worker/worker.cpp)
    }
    return 0;
}
