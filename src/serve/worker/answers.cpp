#include "serve/worker/answers.h"

#include "serve/worker/responses.h"

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

// In Anthropic's API an answer that ended at one of the client's texts says so; the model's own ends are its turn's.
void name_stop(json & document, const server_task_result_cmpl_final & last, const Job & job) {
    if (job.shape != TASK_RESPONSE_TYPE_ANTHROPIC || last.stop != STOP_TYPE_WORD) return;
    const auto & stops = job.stop_sequences;
    const bool named = std::find(stops.begin(), stops.end(), last.stopping_word) != stops.end();
    const auto set = [&](json & holder) {
        if (named)
            holder["stop_reason"] = "stop_sequence";
        else
            holder["stop_sequence"] = nullptr;
    };
    if (!document.is_array()) return set(document);
    for (json & event : document) {
        if (event.contains("data") && event["data"].contains("delta") && event["data"]["delta"].contains("stop_reason"))
            set(event["data"]["delta"]);
    }
}

// Several choices are one answer: of the first result's shape, with the tokens of all.
json joined(std::vector<json> & documents, task_response_type shape) {
    const bool choices = shape == TASK_RESPONSE_TYPE_OAI_CHAT || shape == TASK_RESPONSE_TYPE_OAI_CMPL;
    if (!choices || documents.size() == 1) {
        if (documents.size() == 1) return std::move(documents.front());
        json all = json::array();
        for (json & one : documents)
            all.push_back(std::move(one));
        return all;
    }
    json & first = documents.front();
    for (size_t i = 1; i < documents.size(); ++i) {
        first["choices"].push_back(documents[i]["choices"][0]);
        for (const char * key : {"completion_tokens", "total_tokens"}) {
            const int more =
                documents[i]["usage"].value(key, 0) -
                (key == std::string_view("total_tokens") ? documents[i]["usage"].value("prompt_tokens", 0) : 0);
            first["usage"][key] = first["usage"].value(key, 0) + more;
        }
    }
    return std::move(first);
}

void answer_whole(const HostedModel & model, server_response_reader & reader, Attendance::Ticket & ticket,
                  Channel & channel, const Job & job) {
    Stopwatch watch(channel.ask());
    auto all = reader.wait_for_all([&] { return ticket.is_gone(); });
    if (ticket.is_gone() || all.is_terminated) return;
    if (all.error) return channel.send_error(all.error->to_json());
    std::vector<json> documents;
    for (const server_task_result_ptr & result : all.results) {
        const auto * last = dynamic_cast<server_task_result_cmpl_final *>(result.get());
        documents.push_back(result->to_json());
        if (last != nullptr) {
            watch.saw_last(*last, /*streamed=*/false);
            name_stop(documents.back(), *last, job);
            if (job.shape == TASK_RESPONSE_TYPE_OAI_RESP)
                ResponseForm(model.meta().model_name).complete_whole(documents.back(), last->stop == STOP_TYPE_LIMIT);
        }
        watch.add_to(documents.back());
    }
    channel.answer(joined(documents, job.shape).dump_safe(), watch.figures());
}

void answer_embeddings(const HostedModel & model, server_response_reader & reader, Attendance::Ticket & ticket,
                       Channel & channel, const Job & job) {
    auto all = reader.wait_for_all([&] { return ticket.is_gone(); });
    if (ticket.is_gone() || all.is_terminated) return;
    if (all.error) return channel.send_error(all.error->to_json());
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
    Stream(const HostedModel & model, Attendance::Ticket & ticket, Channel & channel, const Job & job)
        : ticket_(ticket),
          channel_(channel),
          job_(job),
          shape_(job.shape),
          watch_(channel.ask()),
          responses_(model.meta().model_name) {
        ticket_.set_interval(HEAD_PATIENCE);
    }

    // False after the last.
    bool add(server_task_result & result) {
        if (result.is_error()) {
            if (!ticket_.is_gone()) channel_.send_error(result.to_json());
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
        if (shape_ == TASK_RESPONSE_TYPE_OAI_RESP && !document.is_null())
            responses_.complete_events(document, last != nullptr && last->stop == STOP_TYPE_LIMIT);
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
        name_stop(document, last, job_);
        if (!document.is_array()) return watch_.add_to(document);
        for (json & event : document)
            watch_.add_to(event);
    }

    Attendance::Ticket & ticket_;
    Channel & channel_;
    const Job & job_;
    task_response_type shape_;
    Stopwatch watch_;
    ResponseForm responses_;
    bool begun_ = false;
};

void answer_in_events(const HostedModel & model, server_response_reader & reader, Attendance::Ticket & ticket,
                      Channel & channel, const Job & job) {
    Stream stream(model, ticket, channel, job);
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
    ticket.post(std::move(job.tasks));
    if (embeds) return answer_embeddings(model, reader, ticket, channel, job);
    if (job.streams) return answer_in_events(model, reader, ticket, channel, job);
    answer_whole(model, reader, ticket, channel, job);
}

}  // namespace shimmy::serve::worker
