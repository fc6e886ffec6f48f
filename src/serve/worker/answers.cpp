#include "serve/worker/answers.h"

#include "engine/experts/compute_failure.h"
#include "serve/forms/anthropic_form.h"
#include "serve/forms/begun_answer.h"
#include "serve/forms/completion_form.h"
#include "serve/forms/responses.h"

#include <algorithm>

namespace shimmy::serve::worker {

namespace {

using Clock = wire::Ask::Clock;
using std::chrono::milliseconds;

// A stream that waits for its turn begins after this time; until then a fault can still be an error with a status.
constexpr milliseconds HEAD_PATIENCE{1000};
// Proxies and clients give up on a connection that says nothing, most of them after 30 s or 60 s.
constexpr milliseconds COMMENT_INTERVAL{15000};
constexpr const char * COMMENT = ":\n\n";

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Taken from an answer's last result. `first_ms`: when its first part came; the answer's own time for one that is
// whole.
class Stopwatch {
public:
    explicit Stopwatch(const wire::Ask & ask) : ask_(ask) {}

    void saw_part() {
        if (first_part_ms_ == 0.0) first_part_ms_ = ms_since(ask_.accepted);
    }

    void saw_last(const server_task_result_cmpl_final & result, bool streamed) {
        if (!result.stats.is_set()) return;
        saw_part();
        figures_.timings = Json::parse(result.stats.to_json().dump());
        const double prompt_ms = result.stats.t_prompt_ms();
        // The first token of an answer that is sent whole came before its decoding.
        figures_.ttft_ms = std::max(prompt_ms, streamed ? first_part_ms_ : first_part_ms_ - result.stats.t_gen_ms());
        figures_.queue_ms = std::max(0.0, figures_.ttft_ms - prompt_ms);
    }

    const wire::Figures & figures() const { return figures_; }

    // For a request that asks for them.
    void add_to(json & document) const {
        if (!ask_.tell_timings || !document.is_object() || !document.contains("timings")) return;
        document["timings"]["queue_ms"] = figures_.queue_ms;
        document["timings"]["ttft_ms"] = figures_.ttft_ms;
    }

private:
    const wire::Ask & ask_;
    double first_part_ms_ = 0.0;
    wire::Figures figures_;
};

// Members that the type of a chat completion has, if only to say that there is nothing.
void complete_chat(json & document) {
    for (json & choice : document.at("choices")) {
        if (!choice.contains("logprobs")) choice["logprobs"] = nullptr;
        json & message = choice.at("message");
        for (const char * key : {"content", "refusal"}) {
            if (!message.contains(key)) message[key] = nullptr;
        }
    }
}

// What is put right in llama.cpp's form of an answer, whole or in events.
class AnswerForm {
public:
    AnswerForm(const HostedModel & model, const Job & job)
        : shape_(job.shape),
          begun_(job.begun),
          anthropic_(job.stop_sequences),
          completion_(job.echoes, job.n_choices, job.only_echo),
          responses_(model.meta().model_name) {}

    // `last`: the result that ends the answer, or null.
    void complete(json & document, const server_task_result_cmpl_final * last, bool streamed) {
        if (document.is_null()) return;
        const std::string stop = last != nullptr && last->stop == STOP_TYPE_WORD ? last->stopping_word : "";
        const bool cut_off = last != nullptr && last->stop == STOP_TYPE_LIMIT;
        if (streamed)
            begun_.strip_events(document, shape_);
        else
            begun_.strip(document, shape_);
        if (shape_ == TASK_RESPONSE_TYPE_OAI_CHAT && !streamed) complete_chat(document);
        if (shape_ == TASK_RESPONSE_TYPE_OAI_CMPL) completion_.complete(document);
        if (shape_ == TASK_RESPONSE_TYPE_ANTHROPIC && streamed) anthropic_.complete_events(document, stop);
        if (shape_ == TASK_RESPONSE_TYPE_ANTHROPIC && !streamed) anthropic_.complete_whole(document, stop);
        if (shape_ == TASK_RESPONSE_TYPE_OAI_RESP && streamed) responses_.complete_events(document, cut_off);
        if (shape_ == TASK_RESPONSE_TYPE_OAI_RESP && !streamed) responses_.complete_whole(document, cut_off);
    }

private:
    task_response_type shape_;
    BegunAnswer begun_;
    AnthropicForm anthropic_;
    CompletionForm completion_;
    ResponseForm responses_;
};

// Several choices are one answer: of the first result's shape, with the tokens of all. Those of one prompt are counted
// once.
json joined(std::vector<json> & documents, const Job & job) {
    const bool choices = job.shape == TASK_RESPONSE_TYPE_OAI_CHAT || job.shape == TASK_RESPONSE_TYPE_OAI_CMPL;
    if (documents.size() == 1) return std::move(documents.front());
    if (!choices) {
        json all = json::array();
        for (json & one : documents)
            all.push_back(std::move(one));
        return all;
    }
    json & first = documents.front();
    json & usage = first["usage"];
    for (size_t i = 1; i < documents.size(); ++i) {
        first["choices"].push_back(documents[i]["choices"][0]);
        const json & more = documents[i]["usage"];
        const bool other_prompt = i % static_cast<size_t>(job.n_choices) == 0;
        usage["completion_tokens"] = usage.value("completion_tokens", 0) + more.value("completion_tokens", 0);
        if (other_prompt) usage["prompt_tokens"] = usage.value("prompt_tokens", 0) + more.value("prompt_tokens", 0);
    }
    usage["total_tokens"] = usage.value("prompt_tokens", 0) + usage.value("completion_tokens", 0);
    return std::move(first);
}

// llama.cpp says of a batch that failed no more than that; libggml-moe knows why if it failed there, which it counts.
json explained(json error, uint64_t failed_before) {
    const engine::ComputeFailures now = engine::compute_failures();
    if (now.count == failed_before || error.value("code", 0) < 500) return error;
    error["message"] = fmt::format("{} {}", error.value("message", ""), now.reason);
    return error;
}

void answer_whole(const HostedModel & model, server_response_reader & reader, Attendance::Ticket & ticket,
                  Channel & channel, const Job & job, uint64_t failed_before) {
    Stopwatch watch(channel.ask());
    auto all = reader.wait_for_all([&] { return ticket.is_gone(); });
    if (ticket.is_gone() || all.is_terminated) return;
    if (all.error) return channel.send_error(explained(all.error->to_json(), failed_before));
    std::vector<json> documents;
    for (const server_task_result_ptr & result : all.results) {
        const auto * last = dynamic_cast<server_task_result_cmpl_final *>(result.get());
        documents.push_back(result->to_json());
        if (last != nullptr) {
            watch.saw_last(*last, /*streamed=*/false);
            AnswerForm(model, job).complete(documents.back(), last, /*streamed=*/false);
        }
        watch.add_to(documents.back());
    }
    channel.answer(joined(documents, job).dump_safe(), watch.figures());
}

void answer_embeddings(const HostedModel & model, server_response_reader & reader, Attendance::Ticket & ticket,
                       Channel & channel, const Job & job, uint64_t failed_before) {
    auto all = reader.wait_for_all([&] { return ticket.is_gone(); });
    if (ticket.is_gone() || all.is_terminated) return;
    if (all.error) return channel.send_error(explained(all.error->to_json(), failed_before));
    json results = json::array();
    for (const server_task_result_ptr & result : all.results)
        results.push_back(result->to_json());
    const json document =
        job.shape == TASK_RESPONSE_TYPE_OAI_EMBD
            ? format_embeddings_response_oaicompat(job.request, model.meta().model_name, results, job.base64)
            : results;
    channel.answer(document.dump_safe());
}

std::string events_of(const json & document, task_response_type shape) {
    if (document.is_null()) return "";
    if (shape == TASK_RESPONSE_TYPE_ANTHROPIC) return format_anthropic_sse(document);
    if (shape == TASK_RESPONSE_TYPE_OAI_RESP) return format_oai_resp_sse(document);
    return format_oai_sse(document);
}

// The events of one answer, as they come.
class Stream {
public:
    Stream(const HostedModel & model, Attendance::Ticket & ticket, Channel & channel, const Job & job,
           uint64_t failed_before)
        : ticket_(ticket),
          channel_(channel),
          shape_(job.shape),
          watch_(channel.ask()),
          form_(model, job),
          failed_before_(failed_before) {
        ticket_.set_interval(HEAD_PATIENCE);
    }

    // False after the last.
    bool add(server_task_result & result) {
        if (result.is_error()) {
            if (!ticket_.is_gone()) channel_.send_error(explained(result.to_json(), failed_before_));
            return false;
        }
        if (dynamic_cast<Tick *>(&result) != nullptr) {
            begin();
            channel_.send_data(COMMENT);
            return !ticket_.is_gone();
        }
        json document = result.to_json();
        if (!document.is_null()) watch_.saw_part();
        const auto * last = dynamic_cast<server_task_result_cmpl_final *>(&result);
        if (last != nullptr) finish(*last, document);
        form_.complete(document, last, /*streamed=*/true);
        const std::string events = events_of(document, shape_);
        begin();
        if (!events.empty()) channel_.send_data(events);
        return true;
    }

    void end() {
        begin();
        const bool says_done = shape_ == TASK_RESPONSE_TYPE_OAI_CHAT || shape_ == TASK_RESPONSE_TYPE_OAI_CMPL;
        if (says_done) channel_.send_data("data: [DONE]\n\n");
        channel_.send_end(watch_.figures());
    }

private:
    void begin() {
        if (begun_) return;
        begun_ = true;
        channel_.send_head(200, "text/event-stream", /*stream=*/true);
        ticket_.set_interval(COMMENT_INTERVAL);
    }

    void finish(const server_task_result_cmpl_final & last, json & document) {
        watch_.saw_last(last, /*streamed=*/true);
        if (!document.is_array()) return watch_.add_to(document);
        for (json & event : document)
            watch_.add_to(event);
    }

    Attendance::Ticket & ticket_;
    Channel & channel_;
    task_response_type shape_;
    Stopwatch watch_;
    AnswerForm form_;
    uint64_t failed_before_;
    bool begun_ = false;
};

void answer_in_events(const HostedModel & model, server_response_reader & reader, Attendance::Ticket & ticket,
                      Channel & channel, const Job & job, uint64_t failed_before) {
    Stream stream(model, ticket, channel, job, failed_before);
    while (reader.has_next()) {
        const server_task_result_ptr result = reader.next([&] { return ticket.is_gone(); });
        if (result == nullptr || !stream.add(*result)) return;
    }
    stream.end();
}

}  // namespace

void answer(const HostedModel & model, Attendance::Ticket & ticket, server_response_reader & reader, Channel & channel,
            Job job) {
    const bool embeds = job.tasks.front().type == SERVER_TASK_TYPE_EMBEDDING;
    const uint64_t failed_before = engine::compute_failures().count;
    ticket.post(std::move(job.tasks));
    if (embeds) return answer_embeddings(model, reader, ticket, channel, job, failed_before);
    if (job.streams) return answer_in_events(model, reader, ticket, channel, job, failed_before);
    answer_whole(model, reader, ticket, channel, job, failed_before);
}

}  // namespace shimmy::serve::worker
