#include "lab/http/http_run.h"

#include "base/error.h"
#include "base/http/http.h"
#include "base/process/child_process.h"
#include "base/process/interrupt.h"
#include "base/version.h"
#include "engine/run/answer.h"
#include "lab/http/http_client.h"
#include "lab/http/load_test.h"
#include "lab/http/request.h"

#include <algorithm>
#include <optional>

namespace shimmy::lab {

namespace {

constexpr std::chrono::hours START_TIMEOUT{24};  // the run's own timeout ends it earlier
constexpr std::chrono::seconds STOP_GRACE{10};

// The server with what it said when it was ready.
class Server {
public:
    explicit Server(const HttpRunOptions & options) : process_(command(options)) {
        const std::optional<std::string> line = process_.read_line(START_TIMEOUT);
        if (line) started_ = parse_json(*line);
        if (started_.is_object() && started_.contains("address")) return;
        process_.stop(STOP_GRACE);
        fail("the server did not start: {}", reason());
    }

    const Json & started() const { return started_; }
    std::string url() const { return "http://" + started_.at("address").get<std::string>(); }
    uint64_t peak_rss_bytes() const { return process_.peak_rss_bytes(); }
    // Why a request may have failed, if the server ended.
    std::string reason() const {
        std::string err = process_.err();
        if (err.starts_with("shimmy: ")) err.erase(0, std::string("shimmy: ").size());
        return err.empty() ? "it ended without a word" : err.substr(0, err.find('\n'));
    }

private:
    static std::vector<std::string> command(const HttpRunOptions & options) {
        std::vector<std::string> argv = options.server_command;
        const int n_clients = options.is_load ? options.load.n_clients : 1;
        const int n_parallel = options.n_parallel > 0 ? options.n_parallel : std::max(n_clients, 1);
        for (const std::string & arg : {std::string("--bind"), std::string("127.0.0.1:0"), std::string("--parallel"),
                                        std::to_string(n_parallel), std::string("--json")})
            argv.push_back(arg);
        return argv;
    }

    ChildProcess process_;
    Json started_;
};

// What the server said about itself, as the first part of a run's document.
Json environment(const Server & server) {
    Json document;
    for (const char * key : {"shimmy_version", "llama_cpp_version", "model", "placement", "device", "host",
                             "moe_backend", "n_threads", "n_ctx", "load_ms", "memory"})
        document[key] = server.started().at(key);
    document["peak_rss_bytes"] = server.peak_rss_bytes();
    return document;
}

HttpAnswer ask(HttpClient & client, const Server & server, const Request & request, std::chrono::milliseconds timeout) {
    HttpAnswer answer = client.post(
        request.path, request.body, [] { return interrupted(); }, timeout);
    if (answer.timed_out) fail("the request failed: {} (--timeout)", answer.error);
    check_interrupted();
    if (!answer.error.empty()) fail("the request failed: {} ({})", answer.error, server.reason());
    return answer;
}

Json rate(const Json & timings, double n_tokens, const char * time) {
    const double ms = timings.is_object() ? timings.value(time, 0.0) : 0.0;
    return n_tokens > 0.0 && ms > 0.0 ? Json(n_tokens * 1000.0 / ms) : Json(nullptr);
}

// The server's clock starts with the first token, so that n tokens are n - 1 steps.
Json decode_tps(const Json & timings) {
    return rate(timings, timings.is_object() ? timings.value("predicted_n", 0) - 1.0 : 0.0, "predicted_ms");
}

Json prefill_tps(const Json & timings) {
    return rate(timings, timings.is_object() ? timings.value("prompt_n", 0) : 0.0, "prompt_ms");
}

// The parts that a streamed answer and a whole one have in different places.
struct Parts {
    std::string text;
    std::string finish_reason;
    Json usage;
    Json timings;
};

Parts parts_of(const HttpAnswer & answer, bool stream) {
    if (stream)
        return {answer.events.text(), answer.events.finish_reason(), answer.events.usage(), answer.events.timings()};
    const Json & choice = answer.document.at("choices").at(0);
    return {choice_text(choice), choice.value("finish_reason", ""), answer.document.value("usage", Json()),
            answer.document.value("timings", Json())};
}

int count(const Json & usage, const char * key) {
    return usage.is_object() ? usage.value(key, 0) : 0;
}

// llama.cpp's server counts drafts only where there were any.
Json speculation(const Json & timings) {
    if (!timings.is_object() || !timings.contains("draft_n")) return nullptr;
    return {{"n_drafted", timings["draft_n"]}, {"n_accepted", timings.value("draft_n_accepted", 0)}};
}

Json answer_document(const HttpAnswer & answer, bool stream) {
    const Parts parts = parts_of(answer, stream);
    const auto time = [&](const char * key) {
        return parts.timings.is_object() ? parts.timings.value(key, Json()) : Json();
    };
    return {{"text", parts.text},
            {"stop_reason", parts.finish_reason == "length" ? "max_tokens" : "end_of_text"},
            {"n_prompt_tokens", count(parts.usage, "prompt_tokens")},
            {"n_output_tokens", count(parts.usage, "completion_tokens")},
            {"ttft_ms", answer.ttft_ms},
            {"prefill_ms", time("prompt_ms")},
            {"prefill_tps", prefill_tps(parts.timings)},
            {"decode_ms", time("predicted_ms")},
            {"decode_tps", decode_tps(parts.timings)},
            {"total_ms", answer.total_ms},
            {"speculation", speculation(parts.timings)},
            {"token_ms", stream ? Json(answer.events.text_ms()) : Json::array()}};
}

Json sse_document(const AnswerEvents & events) {
    return {{"n_events", events.n_events()},
            {"n_text_events", events.text_ms().size()},
            {"n_output_tokens", count(events.usage(), "completion_tokens")},
            {"done_last", events.done_last()},
            {"defects", events.defects()}};
}

Json cold_document(const HttpAnswer & cold, const Json & warm, bool stream) {
    const Json answer = answer_document(cold, stream);
    const std::string text = answer.at("text");
    return {{"ttft_ms", answer.at("ttft_ms")},
            {"prefill_tps", answer.at("prefill_tps")},
            {"decode_tps", answer.at("decode_tps")},
            {"total_ms", answer.at("total_ms")},
            {"n_output_tokens", answer.at("n_output_tokens")},
            {"same_text", warm.at("text").get<std::string>().starts_with(text)}};
}

// [{"layer", "expert", "hits", "bytes"}] since the server started; null where libggml-moe computes no experts.
Json expert_use(HttpClient & client) {
    const Json models = client.get("/v1/moe").at("models");
    Json use = Json::array();
    for (const Json & layer : models.empty() ? Json::array() : models[0].at("layers")) {
        for (size_t expert = 0; expert < layer.at("hits").size(); ++expert) {
            use.push_back({{"layer", layer.at("layer")},
                           {"expert", expert},
                           {"hits", layer["hits"][expert]},
                           {"bytes", layer.at("read_bytes")[expert]}});
        }
    }
    return use.empty() ? Json() : use;
}

// What was chosen in between; an expert that was not looked at yet before has no entry there.
Json difference(const Json & before, const Json & after) {
    Json result = after;
    for (size_t i = 0; i < before.size() && i < result.size(); ++i) {
        for (const char * count : {"hits", "bytes"})
            result[i][count] = after[i].at(count).get<uint64_t>() - before[i].at(count).get<uint64_t>();
    }
    return result;
}

Json measure_answer(const HttpRunOptions & options, const Server & server) {
    HttpClient client(server.url());
    const bool chat = server.started().at("has_chat_template");
    const auto request = [&](int max_tokens) {
        return make_request(chat, options.prompt, max_tokens, options.sampling, options.stream);
    };
    const HttpAnswer cold =
        ask(client, server, request(std::min(engine::N_COLD_TOKENS, options.max_tokens)), options.timeout);
    const Json before = expert_use(client);
    const HttpAnswer warm = ask(client, server, request(options.max_tokens), options.timeout);
    const Json after = expert_use(client);
    Json document = environment(server);
    document["prompt"] = options.prompt;
    document["max_tokens"] = options.max_tokens;
    document["seed"] = options.sampling.seed;
    document["temperature"] = options.sampling.temperature;
    document.update(answer_document(warm, options.stream));
    document["cold"] = cold_document(cold, document, options.stream);
    document["expert_use"] = difference(before, after);
    if (options.stream) document["sse"] = sse_document(warm.events);
    return document;
}

AskAs ask_as(const HttpRunOptions & options, bool chat) {
    AskAs as = options.load.ask;
    as.chat = chat;
    as.max_tokens = options.max_tokens;
    as.sampling = options.sampling;
    return as;
}

void add_load(Json & document, const HttpRunOptions & options, const LoadTestOptions & load) {
    document["max_tokens"] = options.max_tokens;
    if (options.is_sweep) {
        document["sweep"] = run_sweep(load, options.on_step);
    } else {
        document["load"] = run_load_test(load);
    }
}

Json measure_load(const HttpRunOptions & options, const Server & server) {
    LoadTestOptions load = options.load;
    load.url = server.url();
    load.ask = ask_as(options, server.started().at("has_chat_template"));
    Json figures;
    add_load(figures, options, load);
    Json document = environment(server);
    document.update(figures);
    return document;
}

// The first that it lists, as most servers hold one.
std::string first_model(const LoadTestOptions & load) {
    const HttpClient client(load.url, load.api_key);
    std::string reason = "lists no model";
    try {
        const Json list = client.get("/v1/models");
        const Json::json_pointer id("/data/0/id");
        if (list.is_object() && list.contains(id) && list.at(id).is_string()) return list.at(id);
    } catch (const http::TransportError &) {
        throw;  // there is no server
    } catch (const Interrupted &) {
        throw;
    } catch (const Error & error) {
        reason = error.what();
    }
    fail("{}: {}: name the model with --served-model", load.url, reason);
}

Json measure_running_server(const HttpRunOptions & options) {
    LoadTestOptions load = options.load;
    load.ask = ask_as(options, options.chat);
    load.ask.standard = true;
    if (load.ask.served_model.empty()) load.ask.served_model = first_model(load);
    Json document{{"shimmy_version", shimmy_version()}, {"url", load.url}, {"served_model", load.ask.served_model}};
    add_load(document, options, load);
    return document;
}

}  // namespace

Json measure_http(const HttpRunOptions & options) {
    if (options.server_command.empty()) return measure_running_server(options);
    const Server server(options);
    return options.is_load ? measure_load(options, server) : measure_answer(options, server);
}

}  // namespace shimmy::lab
