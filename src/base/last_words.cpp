#include "base/last_words.h"

#include <unistd.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <csignal>
#include <exception>

namespace shimmy {

namespace {

constexpr int EXIT_CODE_FAULT = 1;
constexpr int EXIT_CODE_INTERRUPTED = 130;
constexpr size_t ALTERNATE_STACK_BYTES = 64 * 1024;  // a fault may come from a stack that is full

// Fixed storage: nothing may be allocated when it is read.
struct Text {
    std::array<char, PATH_MAX> bytes{};
    std::atomic<size_t> size{0};

    void set(std::string_view text) {
        size = 0;
        const size_t n = std::min(text.size(), bytes.size());
        std::copy_n(text.data(), n, bytes.data());
        size = n;
    }
    std::string_view view() const { return {bytes.data(), size}; }
};

std::array<Text, 8> subjects;
std::atomic<size_t> n_subjects{0};
std::array<Text, 32> removed;
std::atomic<const bool *> wants_json{nullptr};
std::atomic<bool> installed{false};
std::atomic<pid_t> ending{0};  // the thread that says them; 0: none

// A line in pieces, written at once.
class Line {
public:
    void add(std::string_view text) {
        for (const char c : text)
            add(c);
    }
    // As part of a JSON string; bytes outside ASCII could be anything.
    void add_escaped(std::string_view text) {
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if (c == '"' || c == '\\') add('\\');
            add(byte < 0x20 || byte >= 0x7F ? '?' : c);
        }
    }
    // As part of a line for people.
    void add_shown(std::string_view text) {
        for (const char c : text)
            add(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
    }
    void write(int fd) const {
        const char * at = bytes_.data();
        for (size_t left = size_; left > 0;) {
            const ssize_t n = ::write(fd, at, left);
            if (n <= 0) return;
            at += n;
            left -= static_cast<size_t>(n);
        }
    }

private:
    void add(char c) {
        if (size_ < bytes_.size()) bytes_[size_++] = c;
    }
    std::array<char, 3 * PATH_MAX> bytes_{};
    size_t size_ = 0;
};

std::string_view subject() {
    const size_t n = std::min(n_subjects.load(), subjects.size());
    return n == 0 ? std::string_view() : subjects[n - 1].view();
}

void say(std::string_view about, std::string_view reason, std::string_view exit_code) {
    Line line;
    if (::isatty(STDERR_FILENO) == 1) line.add("\r\x1b[K");  // in place of a line of progress
    line.add("shimmy: ");
    if (!about.empty()) {
        line.add_shown(about);
        line.add(": ");
    }
    line.add_shown(reason);
    line.add("\n");
    line.write(STDERR_FILENO);
    const bool * json = wants_json;
    if (json == nullptr || !*json) return;
    Line document;
    document.add("{\n  \"error\": {\n    \"message\": \"");
    if (!about.empty()) {
        document.add_escaped(about);
        document.add(": ");
    }
    document.add_escaped(reason);
    document.add("\",\n    \"exit_code\": ");
    document.add(exit_code);
    document.add("\n  }\n}\n");
    document.write(STDOUT_FILENO);
}

// An exception that nothing catches: in a thread, or out of a destructor.
[[noreturn]] void on_terminate() {
    try {
        if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
    } catch (const std::exception & error) {
        end_by_fault(error.what());
    } catch (...) {
    }
    end_by_fault("an internal error ended the work");
}

void on_fault(int signal_number) {
    switch (signal_number) {
        case SIGBUS:
            end_by_fault(
                "a mapped file became shorter, or its disk failed, while it was read: check it, and run the command "
                "again");
        case SIGABRT:
            end_by_fault("a library gave up (abort): the file is damaged, or this is a defect that -vv may show");
        default:
            end_by_fault(
                "a memory fault ended the work: the file is damaged (compare its hash, or download it again), or this "
                "is a defect");
    }
}

}  // namespace

void install_last_words(const bool * json) {
    wants_json = json;
    installed = true;
    std::set_terminate(on_terminate);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they have reports of their own
    static std::array<char, ALTERNATE_STACK_BYTES> stack;
    stack_t alternate{};
    alternate.ss_sp = stack.data();
    alternate.ss_size = stack.size();
    sigaltstack(&alternate, nullptr);
    struct sigaction action {};
    action.sa_handler = on_fault;
    action.sa_flags = SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
        sigaction(number, &action, nullptr);
#else
    (void)on_fault;
#endif
}

bool has_last_words() {
    return installed;
}

Subject::Subject(std::string_view name) {
    const size_t at = n_subjects++;
    if (at < subjects.size()) subjects[at].set(name);
}

Subject::~Subject() {
    --n_subjects;
}

RemovedOnFault::RemovedOnFault(const std::filesystem::path & path) : slot_(-1) {
    for (size_t i = 0; i < removed.size() && slot_ < 0; ++i) {
        if (removed[i].size != 0) continue;
        removed[i].set(std::string_view(path.native()).substr(0, PATH_MAX - 1));
        slot_ = static_cast<int>(i);
    }
}

RemovedOnFault::~RemovedOnFault() {
    if (slot_ >= 0) removed[static_cast<size_t>(slot_)].size = 0;
}

namespace {

// The first thread to come here ends the process; a fault on the way adds nothing.
void claim_end(int exit_code) {
    pid_t nobody = 0;
    if (ending.compare_exchange_strong(nobody, ::gettid())) return;
    if (nobody == ::gettid()) ::_exit(exit_code);
    for (;;)
        ::pause();
}

void clear_away() {
    for (Text & path : removed) {
        if (path.size == 0) continue;
        path.bytes[std::min<size_t>(path.size, path.bytes.size() - 1)] = '\0';
        ::unlink(path.bytes.data());
    }
}

}  // namespace

void end_by_fault(std::string_view reason) {
    claim_end(EXIT_CODE_FAULT);
    clear_away();
    say(subject(), reason, "1");
    ::_exit(EXIT_CODE_FAULT);
}

void end_by_interrupt() {
    claim_end(EXIT_CODE_INTERRUPTED);
    clear_away();
    say("", "interrupted", "130");
    ::_exit(EXIT_CODE_INTERRUPTED);
}

}  // namespace shimmy
