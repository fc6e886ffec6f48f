#include "serve/worker/attendance.h"

#include "base/error.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

namespace shimmy::serve::worker {

namespace {

constexpr int TICK_MS = 100;   // how exact the intervals are
constexpr int IDLE_MS = 1000;  // where there is nobody to look after
constexpr uint64_t STOP = 0;   // the number of the event that ends the thread

// To every task of a reader: its ids name them.
template <typename Result>
void send_to_all(server_response_reader & reader, const Result & result) {
    for (const int id : reader.id_tasks) {
        auto copy = std::make_unique<Result>(result);
        copy->id = id;
        reader.queue_results.send(std::move(copy));
    }
}

}  // namespace

Attendance::Attendance() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), stop_(::eventfd(0, EFD_CLOEXEC)) {
    if (epoll_.fd() < 0 || stop_.fd() < 0) fail("epoll: {}", std::strerror(errno));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = STOP;
    ::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, stop_.fd(), &event);
    thread_ = std::thread([this] { run(); });
}

Attendance::~Attendance() {
    ::eventfd_write(stop_.fd(), 1);
    thread_.join();
}

void Attendance::run() {
    while (true) {
        std::array<epoll_event, 16> events{};
        const int n = ::epoll_wait(epoll_.fd(), events.data(), static_cast<int>(events.size()), wait_ms());
        const std::lock_guard lock(mutex_);
        for (int i = 0; i < n; ++i) {
            if (events[i].data.u64 == STOP) return;
            for (Attended & one : attended_) {
                if (one.number != events[i].data.u64) continue;
                ::epoll_ctl(epoll_.fd(), EPOLL_CTL_DEL, one.channel->fd(), nullptr);
                one.gone = true;
                end(one);
            }
        }
        tick_all();
    }
}

int Attendance::wait_ms() const {
    const std::lock_guard lock(mutex_);
    return attended_.empty() ? IDLE_MS : TICK_MS;
}

// The reader gets an error, whereupon it cancels its tasks.
void Attendance::end(Attended & one) {
    if (!one.posted) return;
    server_task_result_error error;
    error.err_msg = "the client went away";
    send_to_all(*one.reader, error);
}

void Attendance::tick_all() {
    const Clock::time_point now = Clock::now();
    for (Attended & one : attended_) {
        if (!one.posted || one.interval.count() == 0 || now < one.next_tick) continue;
        one.next_tick = now + one.interval;
        auto tick = std::make_unique<Tick>();
        tick->id = *one.reader->id_tasks.begin();
        one.reader->queue_results.send(std::move(tick));
    }
}

Attendance::Ticket::Ticket(Attendance & attendance, const Descriptor & channel, server_response_reader & reader)
    : attendance_(attendance) {
    const std::lock_guard lock(attendance_.mutex_);
    attended_ = attendance_.attended_.insert(attendance_.attended_.end(), Attended{});
    attended_->channel = &channel;
    attended_->reader = &reader;
    attended_->number = ++attendance_.last_number_;
    epoll_event event{};
    event.events = EPOLLRDHUP;
    event.data.u64 = attended_->number;
    ::epoll_ctl(attendance_.epoll_.fd(), EPOLL_CTL_ADD, channel.fd(), &event);
}

Attendance::Ticket::~Ticket() {
    const std::lock_guard lock(attendance_.mutex_);
    ::epoll_ctl(attendance_.epoll_.fd(), EPOLL_CTL_DEL, attended_->channel->fd(), nullptr);
    attendance_.attended_.erase(attended_);
}

void Attendance::Ticket::post(std::vector<server_task> tasks) {
    const std::lock_guard lock(attendance_.mutex_);
    if (attended_->gone) fail("the client went away");
    attended_->reader->post_tasks(std::move(tasks));
    attended_->posted = true;
}

bool Attendance::Ticket::is_gone() const {
    const std::lock_guard lock(attendance_.mutex_);
    return attended_->gone;
}

void Attendance::Ticket::set_interval(std::chrono::milliseconds interval) {
    const std::lock_guard lock(attendance_.mutex_);
    attended_->interval = interval;
    attended_->next_tick = Clock::now() + interval;
}

}  // namespace shimmy::serve::worker
