#include "lab/run/run_state.h"

#include "base/error.h"
#include "base/host/host.h"

#include <fmt/chrono.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>

namespace shimmy::lab {

namespace {

fs::path lock_path(const fs::path & out_dir) {
    return out_dir / ".lock";
}

fs::path state_path(const fs::path & out_dir) {
    return out_dir / "running.json";
}

double now_s() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Json to_json(const RunState & state) {
    return {{"pid", state.pid},
            {"host", state.host},
            {"phase", state.phase},
            {"current", state.current},
            {"n_done", state.n_done},
            {"n_total", state.n_total},
            {"started_at", state.started_at},
            {"current_started_at", state.current_started_at},
            {"left_s", state.left_s ? Json(*state.left_s) : Json(nullptr)}};
}

std::optional<RunState> parse_state(const fs::path & file) {
    if (!fs::exists(file)) return std::nullopt;
    const Json json = read_json(file);
    try {
        RunState state;
        state.pid = json.at("pid");
        state.host = json.at("host");
        state.phase = json.at("phase");
        state.current = json.at("current");
        state.n_done = json.at("n_done");
        state.n_total = json.at("n_total");
        state.started_at = json.at("started_at");
        state.current_started_at = json.at("current_started_at");
        if (json.at("left_s").is_number()) state.left_s = json.at("left_s").get<double>();
        return state;
    } catch (const Json::exception &) {
        return std::nullopt;
    }
}

// True if another process holds the lock.
bool is_locked(const fs::path & out_dir) {
    const int fd = ::open(lock_path(out_dir).c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return false;
    const bool locked = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
    ::close(fd);
    return locked;
}

}  // namespace

std::string now_utc() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

RunStateFile::RunStateFile(const fs::path & out_dir)
    : file_(state_path(out_dir)), lock_(::open(lock_path(out_dir).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644)) {
    if (lock_ < 0) fail("{}: cannot be opened", lock_path(out_dir).string());
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        ::close(lock_);
        const std::optional<RunState> other = parse_state(file_);
        fail("{}: another process runs this campaign{}: see shimmy lab status", out_dir.string(),
             other ? fmt::format(" ({} on {}, since {})", other->pid, other->host, other->started_at) : "");
    }
    state_.pid = ::getpid();
    state_.host = host().name;
    state_.started_at = now_utc();
}

RunStateFile::~RunStateFile() {
    std::error_code ignored;
    fs::remove(file_, ignored);
    ::close(lock_);
}

void RunStateFile::update(const std::string & phase, const std::string & current, size_t n_done, size_t n_total) {
    if (phase != state_.phase) phase_start_s_ = now_s();
    state_.phase = phase;
    state_.current = current;
    state_.n_done = n_done;
    state_.n_total = n_total;
    state_.current_started_at = now_utc();
    state_.left_s.reset();
    if (n_done > 0) {
        const double pace_s = (now_s() - phase_start_s_) / static_cast<double>(n_done);
        state_.left_s = pace_s * static_cast<double>(n_total - n_done);
    }
    write_file_atomic(file_, json_text(to_json(state_)) + "\n");
}

std::optional<RunState> read_run_state(const fs::path & out_dir) {
    return is_locked(out_dir) ? parse_state(state_path(out_dir)) : std::nullopt;
}

}  // namespace shimmy::lab
