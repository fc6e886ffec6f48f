#include "serve/request_watch.h"

#include "server-queue.h"
#include "server-task.h"

#include <algorithm>
#include <chrono>

namespace shimmy::serve {

namespace {

// 200 ms are promised; ending takes one step of decoding on top.
constexpr std::chrono::milliseconds INTERVAL{50};

// A parameter that says how far a full context is shifted, which is never done here. /slots shows it beside the number
// of the task, which no handler tells otherwise.
constexpr const char * MARK = "n_discard";

}  // namespace

RequestWatch::Ticket::Ticket(RequestWatch & watch, std::function<bool()> is_gone, bool keeps_marks) : watch_(watch) {
    const std::lock_guard lock(watch_.mutex_);
    watch_.last_mark_ = std::max(0, watch_.last_mark_) + 1;
    watched_ = watch_.watched_.insert(watch_.watched_.end(), {keeps_marks ? watch_.last_mark_ : 0, std::move(is_gone)});
    watch_.changed_.notify_all();
}

RequestWatch::Ticket::~Ticket() {
    const std::lock_guard lock(watch_.mutex_);
    watch_.watched_.erase(watched_);
}

std::string RequestWatch::Ticket::marked(const std::string & body) const {
    const size_t end = body.rfind('}');
    const size_t last = end == std::string::npos || end == 0 ? end : body.find_last_not_of(" \t\r\n", end - 1);
    if (watched_->mark == 0 || last == std::string::npos || body[last] == '{')
        return body;                                                                  // an empty object is refused
    return fmt::format("{},\"{}\":{}}}", body.substr(0, end), MARK, watched_->mark);  // of two, the last one counts
}

RequestWatch::RequestWatch(server_context & context, const server_routes & routes)
    : context_(context), routes_(routes), thread_([this] { run(); }) {}

RequestWatch::~RequestWatch() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    thread_.join();
}

void RequestWatch::run() {
    while (true) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stopping_ || !watched_.empty(); });
            changed_.wait_for(lock, INTERVAL, [this] { return stopping_; });
            if (stopping_) return;
        }
        if (look()) end_work();
    }
}

bool RequestWatch::look() {
    const std::lock_guard lock(mutex_);
    bool any = false;
    for (Watched & one : watched_) {
        one.gone = one.gone || one.is_gone();
        any = any || one.gone;
    }
    return any;
}

// The handler that waits for the task gets an error, whereupon it cancels all its tasks.
void RequestWatch::end_work() {
    const std::function<bool()> never = [] { return false; };
    const Request request{{}, {}, "/slots", "", "", {}, never};
    const AnswerPtr answer = routes_.get_slots(request);
    const Json slots = Json::parse(answer->data, nullptr, /*allow_exceptions=*/false);
    if (!slots.is_array()) return;
    server_response_reader reader = context_.get_response_reader();
    for (const Json & slot : slots) {
        if (!slot.value("is_processing", false) || !slot.contains("params")) continue;
        if (!is_abandoned(slot["params"].value(MARK, 0))) continue;
        auto error = std::make_unique<server_task_result_error>();
        error->id = slot.value("id_task", -1);
        error->err_msg = "the client went away";
        reader.queue_results.send(std::move(error));
    }
}

// Of tasks without a mark it is not known whose they are: all clients that could be are gone.
bool RequestWatch::is_abandoned(int mark) {
    const std::lock_guard lock(mutex_);
    const auto is_it = [&](const Watched & one) { return one.mark == mark; };
    const auto is_alive = [&](const Watched & one) { return one.mark == mark && !one.gone; };
    return std::any_of(watched_.begin(), watched_.end(), is_it) &&
           std::none_of(watched_.begin(), watched_.end(), is_alive);
}

}  // namespace shimmy::serve
