#include "serve/api/shimmy_api.h"

#include "serve/api/completion.h"
#include "serve/api/modalities.h"
#include "serve/api/shapes.h"
#include "serve/metrics/model_status.h"

namespace shimmy::serve {

namespace {

constexpr std::chrono::seconds UNLOAD_PATIENCE{30};

constexpr const char * WEBSOCKET_PATH = "/ws/generate";

// What a request leaves open.
constexpr int MAX_TOKENS = 256;
constexpr double TEMPERATURE = 0.7;
constexpr double TOP_P = 0.9;
constexpr int TOP_K = 40;
constexpr double REPEAT_PENALTY = 1.1;

// The conversation as the model's chat template takes it; with none, the prompt as it is.
void set_prompt(Json & body, const Json & request, bool has_chat_template) {
    const std::string system = string_of(request, "system", "");
    const Json messages = request.value("messages", Json());
    if (messages.is_null() && !request.contains("prompt"))
        throw HttpError(400, "\"prompt\" or \"messages\" is missing");
    const std::string prompt = string_of(request, "prompt", "");
    if (!has_chat_template) {
        if (!messages.is_null()) throw HttpError(400, "this model has no chat template: ask with \"prompt\"");
        body["prompt"] = system.empty() ? prompt : system + "\n" + prompt;
        return;
    }
    body["messages"] = Json::array();
    if (!system.empty()) body["messages"].push_back({{"role", "system"}, {"content", system}});
    if (!messages.is_null()) {
        if (!messages.is_array()) throw HttpError(400, "\"messages\" must be an array");
        for (const Json & message : messages)
            body["messages"].push_back(message);
    } else {
        body["messages"].push_back({{"role", "user"}, {"content", prompt}});
    }
}

Json completion_body(const Json & request, bool has_chat_template) {
    Json body{{"max_tokens", integer_of(request, "max_tokens", MAX_TOKENS)},
              {"temperature", number_of(request, "temperature", TEMPERATURE)},
              {"top_p", number_of(request, "top_p", TOP_P)},
              {"top_k", integer_of(request, "top_k", TOP_K)},
              {"repeat_penalty", number_of(request, "repeat_penalty", REPEAT_PENALTY)}};
    for (const char * key : {"seed", "min_p", "stop"}) {
        if (request.contains(key)) body[key] = request[key];
    }
    set_prompt(body, request, has_chat_template);
    return body;
}

std::shared_ptr<Completion> start(ModelPool & pool, const std::string & path, const Json & request,
                                  const StopCheck & should_stop) {
    Lease lease = pool.use(string_of(request, "model", ""), should_stop);
    Json body = completion_body(request, lease->loaded().has_chat_template);
    return std::make_shared<Completion>(std::move(lease), path, std::move(body), should_stop);
}

// One event of raw text: a line break begins a new data line.
std::string text_event(const std::string & text) {
    std::string event = "data: ";
    for (const char c : text) {
        event += c;
        if (c == '\n' || c == '\r') event += "data: ";
    }
    return event + "\n\n";
}

Answer stream(std::shared_ptr<Completion> completion) {
    return stream_answer("text/event-stream", [completion = std::move(completion)](std::string & part) {
        try {
            const std::optional<Piece> piece = completion->next();
            if (!piece) {
                part = "data: [DONE]\n\n";
                return false;
            }
            if (!piece->text.empty()) part = text_event(piece->text);
            return true;
        } catch (const ClientGone &) {
            throw;
        } catch (const std::exception & error) {  // too late for a status
            part = error_event(Shape::shimmy, to_http_error(error));
            return false;
        }
    });
}

Handler generate(ModelPool & pool) {
    return [&pool](const Request & request) -> Answer {
        const Json document = parse_object(request.body);
        const bool streamed = bool_of(document, "stream", true);
        std::shared_ptr<Completion> completion = start(pool, request.path, document, request.should_stop);
        if (streamed) return stream(std::move(completion));
        const Piece whole = read_whole(*completion);
        return json_answer({{"model", completion->model_name()},
                            {"response", whole.text},
                            {"finish_reason", whole.finish_reason},
                            {"usage", whole.usage},
                            {"timings", whole.timings}});
    };
}

// One request as JSON; frames of raw text; {"done": true} last.
WebSocketHandler generate_over_websocket(ModelPool & pool) {
    return [&pool](const std::string & message, const std::function<bool(const std::string & frame)> & send,
                   const StopCheck & should_stop) {
        const std::shared_ptr<Completion> completion = start(pool, WEBSOCKET_PATH, parse_object(message), should_stop);
        Piece last;
        while (const std::optional<Piece> piece = completion->next()) {
            if (!piece->text.empty() && !send(piece->text)) return;
            if (!piece->usage.is_null()) last = *piece;
        }
        send(Json{{"done", true}, {"usage", last.usage}, {"timings", last.timings}}.dump());
    };
}

Json model_entry(const ModelStatus & status) {
    const ServedModel & model = status.model;
    return {{"name", model.name},
            {"size_bytes", model.size_bytes},
            {"model_type", model.has_experts ? "moe" : "dense"},
            {"parameter_count", model.n_params},
            {"source", model.source},
            {"architecture", model.arch},
            {"quantization", model.quantization},
            {"input_modalities", input_modalities(status)},
            {"state", to_string(status.state)}};
}

Json models_document(const ModelPool & pool) {
    Json models = Json::array();
    for (const ModelStatus & status : pool.list())
        models.push_back(model_entry(status));
    return {{"models", models}};
}

}  // namespace

void add_shimmy_api(HttpFront & front, ModelPool & pool, const std::function<std::vector<ServedModel>()> & discover) {
    front.post("/api/generate", generate(pool));
    front.websocket(WEBSOCKET_PATH, generate_over_websocket(pool));
    front.get("/api/models", [&pool](const Request &) { return json_answer(models_document(pool)); });
    front.post("/api/models/discover", [&pool, discover](const Request &) {
        const size_t n_new = discover ? pool.replace(discover()) : 0;
        Json document = models_document(pool);
        document["n_new"] = n_new;
        return json_answer(document);
    });
    front.get("/api/models/:name/status", [&pool](const Request & request) {
        return json_answer(status_document(status_now(pool, request.param("name"), request)));
    });
    front.post("/api/models/:name/load", [&pool](const Request & request) {
        const Lease lease = pool.use(request.param("name"), request.should_stop);
        return json_answer(status_document(status_now(pool, lease.name(), request)));
    });
    front.post("/api/models/:name/unload", [&pool](const Request & request) {
        const std::string name = request.param("name");
        pool.unload(name, UNLOAD_PATIENCE);
        return json_answer(status_document(pool.status(name)));
    });
}

}  // namespace shimmy::serve
