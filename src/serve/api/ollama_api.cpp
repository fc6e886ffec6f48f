#include "serve/api/ollama_api.h"

#include "base/files.h"
#include "gguf/model_info.h"
#include "serve/api/completion.h"
#include "serve/api/keep_alive.h"
#include "serve/api/modalities.h"
#include "serve/api/ollama_request.h"
#include "serve/api/openai_api.h"
#include "serve/api/shapes.h"
#include "serve/bounds/members.h"
#include "serve/metrics/model_status.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

namespace shimmy::serve {

namespace {

using Clock = std::chrono::system_clock;

constexpr double NS_PER_MS = 1e6;
// Whose API this is, which clients look at before they begin; /diag has shimmy's own.
constexpr const char * OLLAMA_VERSION = "0.12.6";

constexpr const char * NEVER = "0001-01-01T00:00:00Z";  // as Ollama says it

std::string iso_time(Clock::time_point time) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(Clock::to_time_t(time)));
}

int64_t to_ns(const Json & timings, const char * key) {
    return timings.is_object() ? std::llround(number_of(timings, key, 0.0) * NS_PER_MS) : 0;
}

bool wants_thinking(const Json & request) {
    const Json think = request.value("think", Json());
    return think == true || think.is_string();
}

const std::string & chat_template_of(const ServedModel & model, const gguf::ModelInfo & info) {
    return model.options.chat_template.empty() ? info.chat_template : model.options.chat_template;
}

// Whether a template has models think that can: by a switch, or by the marks around what they think.
bool has_thinking(const std::string & chat_template) {
    constexpr std::array SIGNS{"enable_thinking", "reasoning_effort", "<think>", "[THINK]", "<|channel|>analysis"};
    return std::any_of(SIGNS.begin(), SIGNS.end(),
                       [&](const char * sign) { return chat_template.find(sign) != std::string::npos; });
}

// As Ollama: whoever asks for thoughts is told where there are none.
void require_thinking(const ServedModel & model) {
    if (!has_thinking(chat_template_of(model, gguf::read_model_info(model.path))))
        throw HttpError(400, fmt::format("{} does not support thinking", model.name));
}

Json to_ollama(const Json & calls) {
    Json result = Json::array();
    for (const Json & call : calls) {
        const Json arguments = parse_json(string_of(call, "arguments", "{}"));
        result.push_back({{"function",
                           {{"name", string_of(call, "name", "")},
                            {"arguments", arguments.is_discarded() ? Json::object() : arguments}}}});
    }
    return result;
}

// A completion written as Ollama's lines: one object per piece, the last with "done"
// and the figures.
class Lines {
public:
    Lines(std::shared_ptr<Completion> completion, bool chat, Clock::time_point asked, Clock::time_point loaded)
        : completion_(std::move(completion)),
          model_(completion_->model_name()),
          chat_(chat),
          asked_(asked),
          loaded_(loaded) {}

    // Called when the answer is whole and the model is not used any more.
    void on_end(std::function<void()> function) {
        on_end_ = [this, function = std::move(function)] {
            completion_.reset();
            function();
        };
    }

    // False after the last.
    bool next(Json & line) {
        const std::optional<Piece> piece = completion_->next();
        if (!piece && chat_ && !calls_.empty()) {  // some clients read no calls from the line that ends
            line = head(false);
            set_text(line, "", "");
            line["message"]["tool_calls"] = to_ollama(std::exchange(calls_, Json()));
            return true;
        }
        if (!piece) {
            line = last_line("");
            if (on_end_) on_end_();
            return false;
        }
        add_tool_calls(calls_, piece->tool_calls);
        if (!piece->finish_reason.empty()) finish_reason_ = piece->finish_reason;
        if (!piece->usage.is_null()) usage_ = piece->usage;
        if (!piece->timings.is_null()) timings_ = piece->timings;
        if (!piece->text.empty() || !piece->reasoning.empty()) {
            line = head(false);
            set_text(line, piece->text, piece->reasoning);
        }
        return true;
    }

    Json whole() {
        Piece all = read_whole(*completion_);
        calls_ = all.tool_calls;
        finish_reason_ = all.finish_reason;
        usage_ = all.usage;
        timings_ = all.timings;
        Json line = last_line(all.text, all.reasoning);
        if (on_end_) on_end_();
        return line;
    }

private:
    Json head(bool done) const { return {{"model", model_}, {"created_at", iso_time(Clock::now())}, {"done", done}}; }

    void set_text(Json & line, const std::string & text, const std::string & reasoning) const {
        if (!chat_) {
            line["response"] = text;
            if (!reasoning.empty()) line["thinking"] = reasoning;
            return;
        }
        line["message"] = {{"role", "assistant"}, {"content", text}};
        if (!reasoning.empty()) line["message"]["thinking"] = reasoning;
    }

    Json last_line(const std::string & text, const std::string & reasoning = "") const {
        Json line = head(true);
        set_text(line, text, reasoning);
        if (chat_ && !calls_.empty()) line["message"]["tool_calls"] = to_ollama(calls_);
        line["done_reason"] = finish_reason_ == "length" ? "length" : "stop";
        line["total_duration"] = ns_between(asked_, Clock::now());
        line["load_duration"] = ns_between(asked_, loaded_);
        line["prompt_eval_count"] = usage_.is_object() ? integer_of(usage_, "prompt_tokens", 0) : 0;
        line["prompt_eval_duration"] = to_ns(timings_, "prompt_ms");
        line["eval_count"] = usage_.is_object() ? integer_of(usage_, "completion_tokens", 0) : 0;
        line["eval_duration"] = to_ns(timings_, "predicted_ms");
        return line;
    }

    static int64_t ns_between(Clock::time_point start, Clock::time_point end) {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(end - start).count();
    }

    std::shared_ptr<Completion> completion_;
    std::string model_;
    std::function<void()> on_end_;
    bool chat_;
    Clock::time_point asked_;
    Clock::time_point loaded_;
    Json calls_;
    Json usage_;
    Json timings_;
    std::string finish_reason_;
};

Answer stream(std::shared_ptr<Lines> lines) {
    return stream_answer("application/x-ndjson", [lines = std::move(lines)](std::string & part) {
        Json line;
        bool more = false;
        try {
            more = lines->next(line);
        } catch (const ClientGone &) {
            throw;
        } catch (const std::exception & error) {  // too late for a status
            part = error_event(Shape::ollama, to_http_error(error));
            return false;
        }
        if (!line.is_null()) part = to_text(line) + "\n";
        return more;
    });
}

bool is_zero(const std::optional<KeepAlive> & keep_alive) {
    return keep_alive && keep_alive->time && keep_alive->time->count() == 0;
}

// An empty request loads the model, or with "keep_alive": 0 unloads it: so Ollama's
// own client does.
Answer load_or_unload(ModelPool & pool, const Json & request, bool chat, const StopCheck & should_stop) {
    const std::string name = string_of(request, "model", "");
    const auto keep_alive = keep_alive_of(request.value("keep_alive", Json()));
    const bool unload = is_zero(keep_alive);
    Json answer{{"model", name}, {"created_at", iso_time(Clock::now())}};
    if (unload) {
        pool.unload(name, std::chrono::seconds(30));
    } else {
        pool.use(name, should_stop);
        if (keep_alive) pool.set_keep_alive(name, keep_alive->time);
    }
    if (chat) {
        answer["message"] = {{"role", "assistant"}, {"content", ""}};
    } else {
        answer["response"] = "";
    }
    answer["done"] = true;
    answer["done_reason"] = unload ? "unload" : "load";
    return json_answer(answer);
}

void unload_if_idle(ModelPool & pool, const std::string & name) {
    try {
        pool.unload(name, std::chrono::seconds(0));
    } catch (const HttpError &) {  // somebody else uses it
    }
}

Handler complete(ModelPool & pool, bool chat) {
    return [&pool, chat](const Request & request) -> Answer {
        const Clock::time_point asked = Clock::now();
        const Json document = parse_object(request.body);
        require_supported(document, Dialect::ollama);
        const auto keep_alive = keep_alive_of(document.value("keep_alive", Json()));
        const bool empty =
            chat ? document.value("messages", Json()).empty() : string_of(document, "prompt", "").empty();
        if (empty) return load_or_unload(pool, document, chat, request.should_stop);
        Lease lease = pool.use(string_of(document, "model", ""), request.should_stop);
        const Clock::time_point loaded = Clock::now();
        if (keep_alive && !is_zero(keep_alive)) pool.set_keep_alive(lease.name(), keep_alive->time);
        if (wants_thinking(document)) require_thinking(pool.status(lease.name()).model);
        Json body = chat ? openai_chat(document) : openai_generate(document, lease->loaded().has_chat_template);
        auto completion =
            std::make_shared<Completion>(std::move(lease), request.path, std::move(body), request.should_stop);
        auto lines = std::make_shared<Lines>(std::move(completion), chat, asked, loaded);
        if (is_zero(keep_alive))
            lines->on_end([&pool, name = string_of(document, "model", "")] { unload_if_idle(pool, name); });
        return bool_of(document, "stream", true) ? stream(std::move(lines)) : json_answer(lines->whole());
    };
}

std::string billions(uint64_t n_params) {
    return fmt::format("{:.1f}B", static_cast<double>(n_params) / 1e9);
}

Json details(const ServedModel & model) {
    return {{"parent_model", ""},
            {"format", "gguf"},
            {"family", model.arch},
            {"families", Json::array({model.arch})},
            {"parameter_size", billions(model.n_params)},
            {"quantization_level", model.quantization}};
}

std::string modified_at(const ServedModel & model) {
    std::error_code ignored;
    const auto written = fs::last_write_time(model.path, ignored);
    return iso_time(std::chrono::time_point_cast<Clock::duration>(std::chrono::file_clock::to_sys(written)));
}

// Of what the file is called, how large it is and when it was written: a hash of its
// bytes takes minutes. Clients show its first twelve digits, and see by it that a
// model has changed.
std::string digest(const ServedModel & model) {
    return sha256_hex(
        fmt::format("{}\n{}\n{}\n{}", model.name, model.path.string(), model.size_bytes, modified_at(model)));
}

Json listed(const ServedModel & model) {
    return {{"name", model.name},       {"model", model.name},     {"modified_at", modified_at(model)},
            {"size", model.size_bytes}, {"digest", digest(model)}, {"details", details(model)}};
}

Json tags(const ModelPool & pool) {
    Json models = Json::array();
    for (const ModelStatus & status : pool.list())
        models.push_back(listed(status.model));
    return {{"models", models}};
}

Json running(ModelPool & pool, const Request & request) {
    Json models = Json::array();
    for (const ModelStatus & status : list_now(pool, request)) {
        if (!status.loaded) continue;
        Json entry = listed(status.model);
        const auto & memory = status.loaded->memory;
        entry["size"] = memory.vram().total_bytes() + memory.host().total_bytes();
        entry["size_vram"] = memory.vram().total_bytes();
        entry["expires_at"] = status.left ? iso_time(Clock::now() + *status.left) : NEVER;
        entry["context_length"] = status.loaded->n_ctx;
        models.push_back(std::move(entry));
    }
    return {{"models", models}};
}

Json capabilities_of(const std::string & chat_template, const ModelStatus & status) {
    Json capabilities = Json::array({"completion"});
    if (chat_template.find("tools") != std::string::npos) capabilities.push_back("tools");
    if (has_thinking(chat_template)) capabilities.push_back("thinking");
    if (status.model.options.embeddings) capabilities.push_back("embedding");
    const Json modalities = input_modalities(status);
    if (modalities.size() > 1 && modalities[1] == "image") capabilities.push_back("vision");
    return capabilities;
}

Json show(const ModelPool & pool, const Json & request) {
    std::string name = string_of(request, "model", "");
    if (name.empty()) name = string_of(request, "name", "");
    const ModelStatus status = pool.status(name);
    const ServedModel & model = status.model;
    const gguf::ModelInfo info = gguf::read_model_info(model.path);
    const std::string chat_template = chat_template_of(model, info);
    return {{"modelfile", "FROM " + model.name},
            {"parameters", ""},
            {"template", chat_template},
            {"details", details(model)},
            {"model_info",
             {{"general.architecture", info.arch},
              {"general.parameter_count", info.n_params},
              {info.arch + ".context_length", info.n_ctx_train},
              {info.arch + ".embedding_length", info.n_embd},
              {info.arch + ".block_count", info.n_layers},
              {info.arch + ".expert_count", info.n_expert},
              {info.arch + ".expert_used_count", info.n_expert_used}}},
            {"capabilities", capabilities_of(chat_template, status)},
            {"modified_at", modified_at(model)}};
}

// What `input`, a text or a list of texts, means to the model.
Json embed(ModelPool & pool, const Request & request, const Json & document, const char * key) {
    const Json input = document.value(key, Json());
    if (!input.is_string() && !input.is_array()) throw HttpError(400, fmt::format("\"{}\" is missing", key));
    if (input.is_array() && input.empty()) return {{"data", Json::array()}};
    Conversation conversation(pool.use(string_of(document, "model", ""), request.should_stop), request.path,
                              "/v1/embeddings", {}, to_text({{"input", input}}), false, request.should_stop);
    return Json::parse(conversation.rest());
}

Handler embeddings(ModelPool & pool) {
    return [&pool](const Request & request) {
        const Clock::time_point asked = Clock::now();
        const Json document = parse_object(request.body);
        const Json result = embed(pool, request, document, "input");
        Json vectors = Json::array();
        for (const Json & one : result["data"])
            vectors.push_back(one["embedding"]);
        return json_answer(
            {{"model", string_of(document, "model", "")},
             {"embeddings", vectors},
             {"total_duration", std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - asked).count()},
             {"load_duration", 0},
             {"prompt_eval_count", result.value("usage", Json::object()).value("prompt_tokens", 0)}});
    };
}

// The older path, of one text.
Handler embedding(ModelPool & pool) {
    return [&pool](const Request & request) {
        const Json result = embed(pool, request, parse_object(request.body), "prompt");
        return json_answer({{"embedding", result["data"].empty() ? Json::array() : result["data"][0]["embedding"]}});
    };
}

// Many clients pull a model before they use it. One that is here is there already.
Answer pull(const ModelPool & pool, const Request & request) {
    const Json document = parse_object(request.body);
    const std::string name = string_of(document, "model", string_of(document, "name", ""));
    if (name.empty()) throw HttpError(400, "\"model\" is missing");
    try {
        (void)pool.status(name);
    } catch (const HttpError &) {
        throw HttpError(501, fmt::format("there is no model '{}', and models are not pulled over this address: run "
                                         "`shimmy pull hf:USER/NAME:QUANT` where the server runs",
                                         name));
    }
    return json_answer({{"status", "success"}});  // also a stream: of one line
}

Handler not_here(const char * what) {
    return [what](const Request &) -> Answer {
        throw HttpError(501,
                        fmt::format("models are not {} over this address: the server serves files, and leaves them "
                                    "as they are",
                                    what));
    };
}

}  // namespace

void add_ollama_api(HttpFront & front, ModelPool & pool) {
    add_openai_api(front, pool);  // as Ollama has them on its address
    front.set_error_format("/v1/", [](const HttpError & error) { return error_document(Shape::openai, error); });
    front.set_error_format("/", [](const HttpError & error) { return error_document(Shape::ollama, error); });
    front.get(
        "/", [](const Request &) { return text_answer("Ollama is running", "text/plain"); }, Needs::nothing);
    front.get("/api/version", [](const Request &) { return json_answer({{"version", OLLAMA_VERSION}}); });
    front.get("/api/tags", [&pool](const Request &) { return json_answer(tags(pool)); });
    front.get("/api/ps", [&pool](const Request & request) { return json_answer(running(pool, request)); });
    front.post("/api/show",
               [&pool](const Request & request) { return json_answer(show(pool, parse_object(request.body))); });
    front.post("/api/embed", embeddings(pool));
    front.post("/api/embeddings", embedding(pool));
    front.post("/api/pull", [&pool](const Request & request) { return pull(pool, request); });
    front.post("/api/push", not_here("pushed"));
    front.post("/api/create", not_here("created"));
    front.post("/api/copy", not_here("copied"));
    front.del("/api/delete", not_here("deleted"));
    front.post("/api/blobs/:digest", not_here("created"));
    front.post("/api/chat", complete(pool, /*chat=*/true));
    front.post("/api/generate", complete(pool, /*chat=*/false));
}

}  // namespace shimmy::serve
