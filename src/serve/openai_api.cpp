#include "serve/openai_api.h"

#include "serve/request_log.h"

namespace shimmy::serve {

namespace {

// An answer of one of llama.cpp's handlers together with what it needs: the request it reads from, and the model.
struct ModelAnswer : Answer {
    ModelAnswer(Lease model, const Request & original, Handler server_routes::*route)
        : lease(std::move(model)),
          should_stop(original.should_stop),
          request{original.params, original.headers, original.path, original.query_string,
                  original.body,   original.files,   should_stop},
          log(lease->logs_requests(), original.path, lease.name()),
          answer((lease->routes().*route)(request)) {
        if (!answer->is_stream()) log.saw(answer->data);
        content_type = answer->content_type;
        status = answer->status;
        data = answer->data;
        headers = answer->headers;
        if (answer->is_stream()) {
            next = [this](std::string & chunk) {
                const bool more = answer->next(chunk);
                log.saw(chunk);
                return more;
            };
        }
    }
    void on_complete() override { answer->on_complete(); }

    Lease lease;
    std::function<bool()> should_stop;
    Request request;
    RequestLog log;
    AnswerPtr answer;
};

// Of a POST: the model is a member of the body.
Handler by_body(ModelPool & pool, Handler server_routes::*route) {
    return [&pool, route](const Request & request) -> AnswerPtr {
        const std::string model = string_of(parse_object(request.body), "model", "");
        return std::make_unique<ModelAnswer>(pool.use(model), request, route);
    };
}

// Of a GET: ?model=NAME.
Handler by_query(ModelPool & pool, Handler server_routes::*route) {
    return [&pool, route](const Request & request) -> AnswerPtr {
        return std::make_unique<ModelAnswer>(pool.use(request.get_param("model")), request, route);
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
    front.get("/v1/models", list_models(pool));
    front.get("/v1/models/:name", [&pool](const Request & request) {
        return json_answer(openai_model(pool.status(request.get_param("name"))));
    });
    struct Route {
        const char * path;
        Handler server_routes::*handler;
    };
    for (const Route & route : std::initializer_list<Route>{
             {"/v1/chat/completions", &server_routes::post_chat_completions},
             {"/v1/completions", &server_routes::post_completions_oai},
             {"/v1/responses", &server_routes::post_responses_oai},
             {"/v1/embeddings", &server_routes::post_embeddings_oai},
             {"/v1/messages", &server_routes::post_anthropic_messages},
             {"/v1/messages/count_tokens", &server_routes::post_anthropic_count_tokens},
             {"/v1/chat/completions/input_tokens", &server_routes::post_chat_completions_tok},
             {"/completion", &server_routes::post_completions},
             {"/infill", &server_routes::post_infill},
             {"/apply-template", &server_routes::post_apply_template},
             {"/tokenize", &server_routes::post_tokenize},
             {"/detokenize", &server_routes::post_detokenize},
         })
        front.post(route.path, by_body(pool, route.handler));
    front.get("/props", by_query(pool, &server_routes::get_props));
    front.get("/slots", by_query(pool, &server_routes::get_slots));
}

}  // namespace shimmy::serve
