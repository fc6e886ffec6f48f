#include "lab/http/load_run.h"

#include "base/process/interrupt.h"
#include "lab/http/http_client.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

namespace shimmy::lab {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A server that refuses at once must not be asked thousands of times a second.
constexpr milliseconds AFTER_A_FAILURE{100};
constexpr milliseconds LOOK_FOR_INTERRUPT{50};

// What was said in a conversation, for its next turn.
class History {
public:
    // The turn with all that came before it.
    Json body(const Request & turn) {
        Json body = turn.body;
        if (body.contains("messages")) {
            for (const Json & message : body["messages"])
                messages_.push_back(message);
            body["messages"] = messages_;
        } else {
            text_ += body.value("prompt", "");
            body["prompt"] = text_;
        }
        return body;
    }
    void answered(const std::string & text) {
        messages_.push_back({{"role", "assistant"}, {"content", text}});
        text_ += text + "\n";
    }

private:
    Json messages_ = Json::array();
    std::string text_;
};

class Runner {
public:
    explicit Runner(const LoadPlan & plan) : plan_(plan), start_(Clock::now()), end_(start_ + plan.duration) {}

    LoadRun run() {
        {
            std::vector<std::jthread> clients;
            const auto n_most = static_cast<size_t>(std::max(plan_.n_clients, 1));
            const size_t n = plan_.is_open() ? std::min(n_most, plan_.arrivals_ms.size()) : n_most;
            for (size_t i = 0; i < n; ++i)
                clients.emplace_back([this, i] { plan_.is_open() ? arrive() : go_on(i); });
        }
        LoadRun result;
        result.duration_ms = ms_since_start();
        result.interrupted = interrupted();
        result.records = std::move(records_);
        std::stable_sort(result.records.begin(), result.records.end(),
                         [](const RequestRecord & a, const RequestRecord & b) { return a.sent_ms < b.sent_ms; });
        return result;
    }

private:
    double ms_since_start() const { return std::chrono::duration<double, std::milli>(Clock::now() - start_).count(); }
    // Of a closed loop.
    bool is_over() const { return interrupted() || (!plan_.is_open() && Clock::now() >= end_); }

    // A client of a closed loop.
    void go_on(size_t client) {
        for (size_t i = client; !is_over(); ++i) {
            if (plan_.n_sessions > 0 && n_begun_.fetch_add(1) >= plan_.n_sessions) return;
            if (!hold(i, std::nullopt)) return;
        }
    }

    // A worker of an open loop: takes the next arrival, waits for its time.
    void arrive() {
        for (size_t i = n_begun_.fetch_add(1); i < plan_.arrivals_ms.size(); i = n_begun_.fetch_add(1)) {
            const double planned_ms = plan_.arrivals_ms[i];
            while (ms_since_start() < planned_ms) {
                if (interrupted()) return;
                const std::chrono::duration<double, std::milli> left(planned_ms - ms_since_start());
                std::this_thread::sleep_for(
                    std::min<std::chrono::duration<double, std::milli>>(left, LOOK_FOR_INTERRUPT));
            }
            if (interrupted() || !hold(i, planned_ms)) return;
        }
    }

    // The turns of a session. The first is planned for `planned_ms`, if at all; the others for when they can be sent.
    // False: the run has ended.
    bool hold(size_t index, std::optional<double> planned_ms) {
        const Session & session = plan_.sessions[index % plan_.sessions.size()];
        History history;
        for (size_t turn = 0; turn < session.size() && !is_over(); ++turn) {
            RequestRecord record;
            record.session = index;
            record.turn = turn;
            const Json body = history.body(session[turn]);
            record.sent_ms = ms_since_start();
            record.planned_ms = turn == 0 ? planned_ms.value_or(record.sent_ms) : record.sent_ms;
            const HttpAnswer answer = ask(session[turn].path, body);
            record.end_ms = ms_since_start();
            fill(record, answer);
            const bool stopped = record.stopped;
            const bool failed = !record.error.empty();
            keep(std::move(record));
            if (stopped) return false;
            if (failed && !plan_.is_open()) std::this_thread::sleep_for(AFTER_A_FAILURE);
            if (failed) return true;
            history.answered(answer.events.text());
        }
        return true;
    }

    HttpAnswer ask(const std::string & path, const Json & body) const {
        const HttpClient client(plan_.url, plan_.api_key);
        milliseconds at_most = plan_.timeout;
        bool until_end = false;  // of the run, which comes earlier
        if (!plan_.is_open()) {
            const auto left = std::max(std::chrono::ceil<milliseconds>(end_ - Clock::now()), milliseconds(1));
            until_end = at_most.count() == 0 || left < at_most;
            if (until_end) at_most = left;
        }
        HttpAnswer answer = client.post(
            path, body, [this] { return is_over(); }, at_most);
        if (answer.timed_out && until_end) {
            answer.timed_out = false;
            answer.stopped = true;
            answer.error.clear();
        }
        return answer;
    }

    static void fill(RequestRecord & record, const HttpAnswer & answer) {
        const AnswerEvents & events = answer.events;
        for (const double ms : events.text_ms())
            record.text_ms.push_back(record.sent_ms + ms);
        const auto count = [&](const char * key) -> uint64_t {
            const Json value = events.usage().is_object() ? events.usage().value(key, Json()) : Json();
            return value.is_number_unsigned() ? value.get<uint64_t>() : 0;
        };
        record.n_prompt_tokens = count("prompt_tokens");
        record.n_output_tokens = std::max<uint64_t>(count("completion_tokens"), events.text_ms().size());
        record.stopped = answer.stopped;
        record.timed_out = answer.timed_out;
        if (record.stopped) return;
        record.error = answer.error;
        record.n_sse_defects = answer.timed_out ? 0 : events.defects().size();
    }

    void keep(RequestRecord record) {
        const std::lock_guard lock(mutex_);
        records_.push_back(std::move(record));
    }

    const LoadPlan & plan_;
    Clock::time_point start_;
    Clock::time_point end_;
    std::atomic<uint64_t> n_begun_{0};
    std::mutex mutex_;
    std::vector<RequestRecord> records_;
};

}  // namespace

LoadRun run_load(const LoadPlan & plan) {
    return Runner(plan).run();
}

}  // namespace shimmy::lab
