#include "check/sandbox/path_guard.h"

#include "base/error.h"
#include "base/process/uninterrupted.h"
#include "check/sandbox/seccomp_filter.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

namespace shimmy::check {

namespace {

namespace fs = std::filesystem;

// Where a call has what decides: numbers of its arguments; -1: it has none.
struct PathCall {
    const char * name;
    int folder;                // descriptor of the folder that a relative path begins in
    int path;                  // address
    int flags;                 // whose AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH or O_NOFOLLOW say how the path is read
    bool follows_link = true;  // where no flag says
};

constexpr PathCall CALLS[] = {
    {"open", -1, 0, 1},      {"openat", 0, 1, 2},
    {"stat", -1, 0, -1},     {"lstat", -1, 0, -1, false},
    {"newfstatat", 0, 1, 3}, {"statx", 0, 1, 2},
    {"access", -1, 0, -1},   {"faccessat", 0, 1, -1},
    {"faccessat2", 0, 1, 3}, {"readlink", -1, 0, -1, false},
    {"execve", -1, 0, -1},   {"readlinkat", 0, 1, -1, false},
};

bool opens(const PathCall & call) {
    return std::string_view(call.name).starts_with("open");
}

const PathCall * find_call(int number) {
    static const std::map<int, const PathCall *> by_number = [] {
        std::map<int, const PathCall *> result;
        for (const PathCall & call : CALLS)
            result.emplace(seccomp_syscall_resolve_name(call.name), &call);
        return result;
    }();
    const auto found = by_number.find(number);
    return found == by_number.end() ? nullptr : found->second;
}

// None if the memory cannot be read, or holds no path.
std::optional<std::string> read_text(pid_t pid, uint64_t address) {
    constexpr uint64_t PAGE = 4096;  // the least that there is: a read may not run into a page that is not mapped
    std::string text;
    while (text.size() < PATH_MAX) {
        std::array<char, PAGE> buffer;
        iovec here{buffer.data(), PAGE - (address + text.size()) % PAGE};
        const iovec there{reinterpret_cast<void *>(address + text.size()), here.iov_len};
        const ssize_t n = ::process_vm_readv(pid, &here, 1, &there, 1, 0);
        if (n <= 0) return std::nullopt;
        const std::string_view part(buffer.data(), static_cast<size_t>(n));
        const size_t end = part.find('\0');
        text += part.substr(0, end);
        if (end != std::string_view::npos) return text;
    }
    return std::nullopt;
}

// Of a process that never leaves "/".
fs::path folder_of(pid_t pid, const PathCall & call, const seccomp_data & data) {
    const int fd = call.folder < 0 ? AT_FDCWD : static_cast<int>(data.args[call.folder]);
    if (fd == AT_FDCWD) return "/";
    std::error_code error;
    return fs::read_symlink(fmt::format("/proc/{}/fd/{}", pid, fd), error);
}

bool has_flag(const PathCall & call, const seccomp_data & data, int flag) {
    return call.flags >= 0 && (static_cast<int>(data.args[call.flags]) & flag) != 0;
}

// False once `stop` has happened, or nothing more comes.
bool wait_for(int fd, int stop) {
    std::array<pollfd, 2> ends{{{fd, POLLIN, 0}, {stop, POLLIN, 0}}};
    uninterrupted([&] { return ::poll(ends.data(), ends.size(), -1); });
    return ends[1].revents == 0 && (ends[0].revents & POLLIN) != 0;
}

}  // namespace

PathGuard::PathGuard(const std::vector<fs::path> & readable) : stop_(::eventfd(0, EFD_CLOEXEC)) {
    std::vector<const char *> names;
    for (const PathCall & call : CALLS)
        names.push_back(call.name);
    filter_ = asking_filter(names);
    if (stop_.fd() < 0) fail("code cannot be confined here: {}", std::strerror(errno));
    std::tie(parent_end_, child_end_) = socket_pair();
    for (const fs::path & path : readable) {
        std::error_code error;
        const fs::path canonical = fs::canonical(path, error);
        if (error) continue;
        readable_.push_back(canonical);
        readable_.push_back(fs::absolute(path).lexically_normal());
    }
}

PathGuard::~PathGuard() {
    if (!thread_.joinable()) return;
    ::eventfd_write(stop_.fd(), 1);
    thread_.join();
}

bool PathGuard::apply() const {
    const sock_fprog program{static_cast<unsigned short>(filter_.size()), const_cast<sock_filter *>(filter_.data())};
    const auto listener =
        static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
    return listener >= 0 && send_descriptor(child_end_.fd(), listener);
}

void PathGuard::answer() {
    child_end_.reset();  // so that the end of the child is noticed
    thread_ = std::thread([this] { run(); });
}

void PathGuard::run() {
    if (!wait_for(parent_end_.fd(), stop_.fd())) return;
    const std::optional<Descriptor> listener = receive_descriptor(parent_end_.fd());
    while (listener && wait_for(listener->fd(), stop_.fd()))
        answer_one(listener->fd());
}

void PathGuard::answer_one(int listener) const {
    seccomp_notif * call = nullptr;
    seccomp_notif_resp * answer = nullptr;
    if (seccomp_notify_alloc(&call, &answer) != 0) return;
    const std::unique_ptr<seccomp_notif, void (*)(seccomp_notif *)> guard(
        call, [](seccomp_notif * c) { seccomp_notify_free(c, nullptr); });
    const std::unique_ptr<seccomp_notif_resp, void (*)(seccomp_notif_resp *)> answer_guard(
        answer, [](seccomp_notif_resp * a) { seccomp_notify_free(nullptr, a); });
    if (seccomp_notify_receive(listener, call) != 0) return;  // it was killed meanwhile
    const bool allowed = is_allowed(*call);
    if (seccomp_notify_id_valid(listener, call->id) != 0) return;  // what was read was perhaps another process'
    answer->id = call->id;
    answer->error = allowed ? 0 : -EPERM;
    answer->flags = allowed ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    seccomp_notify_respond(listener, answer);
}

bool PathGuard::is_allowed(const seccomp_notif & call) const {
    const PathCall * kind = find_call(call.data.nr);
    if (kind == nullptr) return false;
    const auto pid = static_cast<pid_t>(call.pid);
    const auto text = read_text(pid, call.data.args[kind->path]);
    if (!text) return false;
    if (text->empty()) return true;  // ENOENT, or with AT_EMPTY_PATH a file that it has opened
    const fs::path folder = text->front() == '/' ? "/" : folder_of(pid, *kind, call.data);
    if (!folder.is_absolute()) return false;  // the descriptor of a pipe, or none
    const int no_follow = opens(*kind) ? O_NOFOLLOW : AT_SYMLINK_NOFOLLOW;
    return is_readable(folder / *text, kind->follows_link && !has_flag(*kind, call.data, no_follow));
}

// Step by step, as the kernel goes: a link outside tells by where it leads that it is there.
bool PathGuard::is_readable(const fs::path & path, bool follows_link) const {
    const auto begins = [](const fs::path & whole, const fs::path & start) {
        return std::mismatch(start.begin(), start.end(), whole.begin(), whole.end()).first == start.end();
    };
    const auto any = [&](auto holds) { return std::any_of(readable_.begin(), readable_.end(), holds); };
    const auto is_inside = [&](const fs::path & at) {
        return any([&](const fs::path & one) { return begins(at, one); });
    };
    const auto is_above = [&](const fs::path & at) {
        return any([&](const fs::path & one) { return begins(one, at); });
    };
    fs::path at = "/";
    for (auto part = path.begin(); part != path.end(); ++part) {
        if (*part == "/" || *part == "." || part->empty()) continue;
        at = *part == ".." ? at.parent_path() : at / *part;
        if (!is_inside(at) && !is_above(at)) return false;
        std::error_code error;
        const bool is_last = std::next(part) == path.end();
        if ((is_last && !follows_link) || !fs::is_symlink(at, error)) continue;
        at = fs::weakly_canonical(at, error);
        if (error || (!is_inside(at) && !is_above(at))) return false;
    }
    return is_inside(at);
}

}  // namespace shimmy::check
