#include "serve/api/openai_api.h"

#include "serve/api/modalities.h"
#include "serve/api/model_answer.h"
#include "serve/bounds/media.h"
#include "serve/bounds/members.h"
#include "serve/bounds/request_bounds.h"

namespace shimmy::serve {

namespace {

struct Route {
    const char * path;
    const char * name;  // in the model's process
    Dialect dialect = Dialect::llama;
    Shape shape = Shape::openai;
};

struct Asked {
    std::string model;
    bool tell_timings = false;
};

// What is read here of a body; the model gets it as it came. What was parsed is gone before that: it may be large, and
// the request may wait.
Asked read_request(const std::string & text, const Route & route) {
    const Json body = parse_object(text);
    require_bounded(body);
    if (route.dialect == Dialect::chat) require_messages(body);
    if (route.dialect == Dialect::messages) require_anthropic_messages(body);
    require_supported(body, route.dialect);
    require_media(body);
    return {string_of(body, "model", ""), bool_of(body, "timings", false)};
}

// Of a POST: the model is a member of the body.
Handler by_body(ModelPool & pool, const Route & route) {
    return [&pool, route](const Request & request) {
        const Asked asked = read_request(request.body, route);
        return ask_model(pool, asked.model, request, route.name, route.shape, asked.tell_timings);
    };
}

// Of a GET: ?model=NAME.
Handler by_query(ModelPool & pool, const char * path) {
    return [&pool, path](const Request & request) {
        return ask_model(pool, request.param("model"), request, path, Shape::openai, false);
    };
}

// ?action=save, restore or erase what a slot has computed; llama.cpp refuses other actions and names that are paths.
Handler on_slot(ModelPool & pool) {
    return [&pool](const Request & request) {
        const Json body = request.body.empty() ? Json::object() : parse_object(request.body);
        if (request.param("action") != "erase" && string_of(body, "filename", "").empty())
            throw HttpError(400, "\"filename\" is missing: a file below --slot-save-path");
        const std::string model = string_of(body, "model", request.param("model"));
        return ask_model(pool, model, request, "/slots/action", Shape::openai, false);
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
              {"input_modalities", input_modalities(status)},
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
    for (const char * path : {"/v1/models", "/models", "/v1/models/"})
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
             {CHAT, CHAT, Dialect::chat},
             {"/chat/completions", CHAT, Dialect::chat},
             {CHAT_TOKENS, CHAT_TOKENS, Dialect::chat},
             {"/chat/completions/input_tokens", CHAT_TOKENS, Dialect::chat},
             {"/v1/chat/completions/control", "/v1/chat/completions/control"},
             {"/v1/completions", "/v1/completions", Dialect::completions},
             {RESPONSES, RESPONSES, Dialect::responses, Shape::responses},
             {"/responses", RESPONSES, Dialect::responses, Shape::responses},
             {RESPONSES_TOKENS, RESPONSES_TOKENS, Dialect::responses},
             {"/responses/input_tokens", RESPONSES_TOKENS, Dialect::responses},
             {"/v1/embeddings", "/v1/embeddings"},
             {MESSAGES, MESSAGES, Dialect::messages, Shape::anthropic},
             {MESSAGES_TOKENS, MESSAGES_TOKENS, Dialect::messages, Shape::anthropic},
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
    front.post("/slots/:id_slot", on_slot(pool));
}

}  // namespace shimmy::serve
