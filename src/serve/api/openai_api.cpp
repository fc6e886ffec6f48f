#include "serve/api/openai_api.h"

#include "serve/api/bounds.h"
#include "serve/api/model_answer.h"

#include <string_view>

namespace shimmy::serve {

namespace {

struct Route {
    const char * path;
    const char * name;  // in the model's process
    Shape shape = Shape::openai;
};

// Of a POST: the model is a member of the body.
Handler by_body(ModelPool & pool, const Route & route) {
    return [&pool, route](const Request & request) {
        const Json body = parse_object(request.body);
        require_bounded(body);
        if (std::string_view(route.name).starts_with("/v1/chat/completions") && body.contains("messages"))
            require_messages(body);
        if (route.shape == Shape::anthropic) require_anthropic_messages(body);
        const bool tell_timings = bool_of(body, "timings", false);
        return ask_model(pool, string_of(body, "model", ""), request, route.name, route.shape, tell_timings);
    };
}

// Of a GET: ?model=NAME.
Handler by_query(ModelPool & pool, const char * path) {
    return [&pool, path](const Request & request) {
        return ask_model(pool, request.param("model"), request, path, Shape::openai, false);
    };
}

Json openai_model(const ModelStatus & status) {
    const Json n_ctx = status.loaded ? Json(status.loaded->n_ctx) : Json(nullptr);
    return {{"id", status.model.name},
            {"object", "model"},
            {"created", 0},
            {"owned_by", "shimmy"},
            {"meta",
             {{"architecture", status.model.arch},
              {"quantization", status.model.quantization},
              {"size_bytes", status.model.size_bytes},
              {"n_params", status.model.n_params},
              {"state", to_string(status.state)},
              {"n_ctx", n_ctx}}}};
}

Handler list_models(const ModelPool & pool) {
    return [&pool](const Request &) {
        Json data = Json::array();
        for (const ModelStatus & status : pool.list())
            data.push_back(openai_model(status));
        return json_answer({{"object", "list"}, {"data", data}});
    };
}

}  // namespace

void add_openai_api(HttpFront & front, ModelPool & pool) {
    for (const char * path : {"/v1/models", "/models"})
        front.get(path, list_models(pool));
    front.get("/v1/models/:name", [&pool](const Request & request) {
        return json_answer(openai_model(pool.status(request.param("name"))));
    });
    constexpr const char * CHAT = "/v1/chat/completions";
    constexpr const char * CHAT_TOKENS = "/v1/chat/completions/input_tokens";
    constexpr const char * RESPONSES = "/v1/responses";
    constexpr const char * RESPONSES_TOKENS = "/v1/responses/input_tokens";
    constexpr const char * MESSAGES = "/v1/messages";
    constexpr const char * MESSAGES_TOKENS = "/v1/messages/count_tokens";
    // Each path with its aliases, as llama-server has them.
    for (const Route & route : std::initializer_list<Route>{
             {CHAT, CHAT},
             {"/chat/completions", CHAT},
             {CHAT_TOKENS, CHAT_TOKENS},
             {"/chat/completions/input_tokens", CHAT_TOKENS},
             {"/v1/chat/completions/control", "/v1/chat/completions/control"},
             {"/v1/completions", "/v1/completions"},
             {RESPONSES, RESPONSES, Shape::responses},
             {"/responses", RESPONSES, Shape::responses},
             {RESPONSES_TOKENS, RESPONSES_TOKENS},
             {"/responses/input_tokens", RESPONSES_TOKENS},
             {"/v1/embeddings", "/v1/embeddings"},
             {MESSAGES, MESSAGES, Shape::anthropic},
             {MESSAGES_TOKENS, MESSAGES_TOKENS, Shape::anthropic},
             {"/completion", "/completion"},
             {"/completions", "/completion"},
             {"/embedding", "/embedding"},
             {"/embeddings", "/embedding"},
             {"/infill", "/infill"},
             {"/apply-template", "/apply-template"},
             {"/tokenize", "/tokenize"},
             {"/detokenize", "/detokenize"},
         })
        front.post(route.path, by_body(pool, route));
    front.set_error_format(MESSAGES, [](const HttpError & error) { return error_document(Shape::anthropic, error); });
    front.get("/props", by_query(pool, "/props"));
    front.get("/slots", by_query(pool, "/slots"));
}

}  // namespace shimmy::serve
