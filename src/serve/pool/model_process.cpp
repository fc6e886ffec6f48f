#include "serve/pool/model_process.h"

#include "base/json.h"
#include "base/process/spawn.h"
#include "base/process/subprocess.h"
#include "engine/predict/fit.h"
#include "serve/http/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

namespace shimmy::serve {

namespace {

// This program, also after an update has put another one into its place, or taken it away.
std::string program() {
    const std::string path = self_path();
    return fs::exists(path) ? path : "/proc/self/exe";
}

using std::chrono::milliseconds;

constexpr milliseconds POLL{50};
constexpr milliseconds WATCH_INTERVAL{200};
constexpr milliseconds END_PATIENCE{2000};  // for a process that was asked to end
constexpr milliseconds REASON_PATIENCE{2000};
constexpr size_t MAX_LAST_LINE_BYTES = 2000;

std::string exit_text(int exit_code) {
    if (exit_code == SIGNAL_EXIT + SIGBUS) return "ended by SIGBUS: a mapped file became shorter, or its disk failed";
    if (exit_code <= SIGNAL_EXIT) return fmt::format("ended with status {}", exit_code);
    const char * name = ::sigabbrev_np(exit_code - SIGNAL_EXIT);
    return name == nullptr ? fmt::format("ended by signal {}", exit_code - SIGNAL_EXIT)
                           : fmt::format("ended by SIG{}", name);
}

[[noreturn]] void throw_load_error(const Json & error) {
    const std::string type = error.value("type", "");
    const std::string message = error.value("message", "");
    if (type == wire::DOES_NOT_FIT) throw engine::DoesNotFit(message);
    if (type == wire::USAGE) throw UsageError(message);
    throw Error(message);
}

}  // namespace

ModelProcess::ModelProcess(std::string name, std::chrono::seconds stall_limit)
    : name_(std::move(name)), stall_limit_(stall_limit) {
    keeper_ = std::thread([this] { keep(); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !starting_; });
    if (start_error_.empty()) return;
    lock.unlock();
    keeper_.join();
    throw Error(start_error_);
}

ModelProcess::ModelProcess(std::string name, const ModelOptions & options, const std::function<bool()> & should_stop)
    : ModelProcess(std::move(name), options.stall_limit) {
    loaded_ =
        wire::loaded_from(Json::parse(ask(wire::LOAD, json_text(wire::to_json(name_, options), -1), should_stop)));
}

std::vector<engine::Device> ModelProcess::devices(const ModelOptions & options) {
    const ModelProcess process("devices", options.stall_limit);
    return wire::devices_from(
        Json::parse(process.ask(wire::DEVICES, json_text(wire::to_json("", options), -1), [] { return false; })));
}

ModelProcess::~ModelProcess() {
    ending_ = true;
    ::shutdown(control_.fd(), SHUT_RDWR);
    if (keeper_.joinable()) keeper_.join();
}

std::string ModelProcess::ask(const char * route, std::string_view body,
                              const std::function<bool()> & should_stop) const {
    wire::Ask ask;
    ask.route = route;
    const Descriptor channel = open(ask, body);
    wire::FrameReader reader(channel);
    std::string data;
    while (true) {
        wire::Frame frame;
        switch (reader.read(frame, POLL)) {
            case wire::FrameReader::Got::closed:
                throw ProcessEnded(fmt::format("{}: its process {}", name_, how_it_ended()));
            case wire::FrameReader::Got::nothing_yet:
                if (should_stop()) throw Interrupted();
                continue;
            case wire::FrameReader::Got::frame:
                break;
        }
        if (frame.kind == wire::Kind::error) throw_load_error(Json::parse(frame.payload));
        if (frame.kind == wire::Kind::data) data = std::move(frame.payload);
        if (frame.kind == wire::Kind::end) return data;
    }
}

Descriptor ModelProcess::open(const wire::Ask & ask, std::string_view body) const {
    auto [ours, theirs] = socket_pair();
    const bool sent = send_descriptor(control_.fd(), theirs.fd());
    theirs.reset();  // so that ours closes with the process
    if (!sent || !wire::send_frame(ours, wire::Kind::ask, json_text(wire::to_json(ask), -1)) ||
        !wire::send_frame(ours, wire::Kind::body, body))
        throw ProcessEnded(fmt::format("{}: its process {}", name_, how_it_ended()));
    return std::move(ours);
}

bool ModelProcess::has_ended() const {
    std::unique_lock lock(mutex_);
    if (ended_) return true;
    pollfd control{control_.fd(), POLLRDHUP, 0};
    const bool ending = ::poll(&control, 1, 0) == 1 && (control.revents & (POLLRDHUP | POLLHUP)) != 0;
    // It is about to be collected; whoever asks next must not be sent to it.
    return ending && changed_.wait_for(lock, REASON_PATIENCE + END_PATIENCE, [this] { return ended_; });
}

std::string ModelProcess::how_it_ended() const {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, REASON_PATIENCE, [this] { return ended_; })) return "does not answer";
    const std::string how = was_stalled_
                                ? fmt::format("gave no sign of life for {} s and was ended", stall_limit_.count())
                                : exit_text(exit_code_);
    return last_line_.empty() ? how : fmt::format("{}: {}", how, last_line_);
}

milliseconds ModelProcess::age() const {
    const std::lock_guard lock(mutex_);
    return std::chrono::duration_cast<milliseconds>((ended_ ? ended_at_ : Clock::now()) - started_);
}

void ModelProcess::start() {
    auto [ours, theirs] = socket_pair();
    std::array<int, 2> output{};
    if (::pipe2(output.data(), O_CLOEXEC) != 0) fail("pipe: {}", std::strerror(errno));
    stderr_ = Descriptor(output[0]);
    const Descriptor their_stderr(output[1]);
    pid_ = spawn({program(), "serve-model", name_}, theirs.fd(), their_stderr.fd());
    control_ = std::move(ours);
}

// The process is this thread's child: the kernel ends it when the thread ends, with the server for instance.
void ModelProcess::keep() {
    std::string error;
    try {
        start();
    } catch (const std::exception & failure) {
        error = failure.what();
    }
    {
        const std::lock_guard lock(mutex_);
        start_error_ = error;
        starting_ = false;
        changed_.notify_all();
    }
    if (!error.empty()) return;
    watch();
    set_ended(collect());
}

// Until it closes its end, or gives no sign of life for too long.
void ModelProcess::watch() {
    Clock::time_point last_sign = Clock::now();
    while (Clock::now() - last_sign <= stall_limit_) {
        std::array<pollfd, 2> ends{{{control_.fd(), POLLIN, 0}, {stderr_.fd(), POLLIN, 0}}};
        ::poll(ends.data(), ends.size(), static_cast<int>(WATCH_INTERVAL.count()));
        if (ends[1].revents != 0) read_output(stderr_.fd());
        if (ends[0].revents == 0) continue;
        std::array<char, 64> signs{};
        const ssize_t n = ::recv(control_.fd(), signs.data(), signs.size(), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return;
        last_sign = Clock::now();
    }
    was_stalled_ = true;
}

// Waits for the end a little, and then ends it. Returns its exit code.
int ModelProcess::collect() {
    const auto deadline = Clock::now() + (was_stalled_ ? milliseconds(0) : END_PATIENCE);
    int exit_code = 0;
    while (!try_wait(pid_, exit_code)) {
        if (Clock::now() >= deadline) ::kill(pid_, SIGKILL);
        std::this_thread::sleep_for(milliseconds(2));
    }
    read_output(stderr_.fd());
    return exit_code;
}

void ModelProcess::read_output(int fd) {
    std::array<char, 4096> bytes{};
    pollfd ready{fd, POLLIN, 0};
    while (::poll(&ready, 1, 0) == 1) {
        const ssize_t n = ::read(fd, bytes.data(), bytes.size());
        if (n <= 0) return;
        for (ssize_t i = 0; i < n; ++i) {
            if (bytes[i] != '\n' && unfinished_line_.size() < MAX_LAST_LINE_BYTES) {
                unfinished_line_ += bytes[i];
                continue;
            }
            note_line(unfinished_line_);
            unfinished_line_.clear();
        }
    }
}

void ModelProcess::note_line(const std::string & line) {
    if (line.empty()) return;
    log("{}: {}", name_, line);
    const std::lock_guard lock(mutex_);
    last_line_ = line;
}

void ModelProcess::set_ended(int exit_code) {
    if (!unfinished_line_.empty()) note_line(unfinished_line_);
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        exit_code_ = exit_code;
        ended_at_ = Clock::now();
        changed_.notify_all();
    }
    if (!ending_) log("{}: its process {}", name_, how_it_ended());
}

}  // namespace shimmy::serve
