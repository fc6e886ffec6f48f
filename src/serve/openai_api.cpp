#include "serve/openai_api.h"

#include "serve/request_log.h"

#include <strings.h>
#include <map>

namespace shimmy::serve {

namespace {

// Keeps an answer going after its client went away, for a path to fetch it from that is not served here.
constexpr const char * RESUME_HEADER = "x-conversation-id";

std::map<std::string, std::string> known_headers(std::map<std::string, std::string> headers) {
    std::erase_if(headers, [](const auto & header) { return ::strcasecmp(header.first.c_str(), RESUME_HEADER) == 0; });
    return headers;
}

struct Route {
    const char * path;
    Handler server_routes::*handler;
    bool keeps_marks = true;  // RequestWatch
};

// An answer of one of llama.cpp's handlers together with what it needs: the request it reads from, and the model.
struct ModelAnswer : Answer {
    ModelAnswer(Lease model, const Request & original, const Route & route, bool tell_timings)
        : lease(std::move(model)),
          should_stop(original.should_stop),
          ticket(lease->watch(), should_stop, route.keeps_marks),
          request{original.params,
                  known_headers(original.headers),
                  original.path,
                  original.query_string,
                  ticket.marked(original.body),
                  original.files,
                  should_stop},
          log(lease->logs_requests(), tell_timings, original.path, lease.name(), lease.asked()),
          answer((lease->routes().*route.handler)(request)) {
        if (!answer->is_stream()) log.saw_whole(answer->data);
        content_type = answer->content_type;
        status = answer->status;
        data = answer->data;
        headers = answer->headers;
        if (answer->is_stream()) {
            next = [this](std::string & chunk) {
                const bool more = answer->next(chunk);
                log.saw_part(chunk);
                return more;
            };
        }
    }
    void on_complete() override { answer->on_complete(); }

    Lease lease;
    std::function<bool()> should_stop;
    RequestWatch::Ticket ticket;
    Request request;
    RequestLog log;
    AnswerPtr answer;
};

// Of a POST: the model is a member of the body.
Handler by_body(ModelPool & pool, const Route & route) {
    return [&pool, route](const Request & request) -> AnswerPtr {
        const Json body = parse_object(request.body);
        const bool tell_timings = bool_of(body, "timings", false);
        return std::make_unique<ModelAnswer>(pool.use(string_of(body, "model", "")), request, route, tell_timings);
    };
}

// Of a GET: ?model=NAME.
Handler by_query(ModelPool & pool, const Route & route) {
    return [&pool, route](const Request & request) -> AnswerPtr {
        return std::make_unique<ModelAnswer>(pool.use(request.get_param("model")), request, route, false);
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
        return json_answer(openai_model(pool.status(request.get_param("name"))));
    });
    // Each path with its aliases, as llama-server has them.
    for (const Route & route : std::initializer_list<Route>{
             {"/v1/chat/completions", &server_routes::post_chat_completions},
             {"/chat/completions", &server_routes::post_chat_completions},
             {"/v1/chat/completions/input_tokens", &server_routes::post_chat_completions_tok},
             {"/chat/completions/input_tokens", &server_routes::post_chat_completions_tok},
             {"/v1/chat/completions/control", &server_routes::post_control},
             {"/v1/completions", &server_routes::post_completions_oai},
             {"/v1/responses", &server_routes::post_responses_oai},
             {"/responses", &server_routes::post_responses_oai},
             {"/v1/responses/input_tokens", &server_routes::post_responses_tok_oai},
             {"/responses/input_tokens", &server_routes::post_responses_tok_oai},
             {"/v1/embeddings", &server_routes::post_embeddings_oai},
             {"/v1/messages", &server_routes::post_anthropic_messages, /*keeps_marks=*/false},
             {"/v1/messages/count_tokens", &server_routes::post_anthropic_count_tokens, /*keeps_marks=*/false},
             {"/completion", &server_routes::post_completions},
             {"/completions", &server_routes::post_completions},
             {"/embedding", &server_routes::post_embeddings},
             {"/embeddings", &server_routes::post_embeddings},
             {"/infill", &server_routes::post_infill},
             {"/apply-template", &server_routes::post_apply_template},
             {"/tokenize", &server_routes::post_tokenize},
             {"/detokenize", &server_routes::post_detokenize},
         })
        front.post(route.path, by_body(pool, route));
    front.get("/props", by_query(pool, {"/props", &server_routes::get_props}));
    front.get("/slots", by_query(pool, {"/slots", &server_routes::get_slots}));
}

}  // namespace shimmy::serve
