// What a process says and clears away when a fault ends it: an assertion of a library, a memory fault. A normal end
// needs none of this, since destructors run.
#pragma once

#include <filesystem>
#include <string_view>

namespace shimmy {

// From now on such an end is one line on stderr, with --json an error document on stdout too, and exit code 1. `json`
// is read when it happens.
void install_last_words(const bool * json);
bool has_last_words();

// What is worked on, for that line: the file that the user gave. The newest that lives counts.
class Subject {
public:
    explicit Subject(std::string_view name);
    ~Subject();
    Subject(const Subject &) = delete;
    Subject & operator=(const Subject &) = delete;
};

// A file that is removed if the process ends by a fault while this lives.
class RemovedOnFault {
public:
    explicit RemovedOnFault(const std::filesystem::path & path);
    ~RemovedOnFault();
    RemovedOnFault(const RemovedOnFault &) = delete;
    RemovedOnFault & operator=(const RemovedOnFault &) = delete;

private:
    int slot_;
};

// Says "shimmy: SUBJECT: REASON", clears away and ends the process. Calls nothing that a signal handler may not.
[[noreturn]] void end_by_fault(std::string_view reason);

// The same for a Ctrl-C that nothing could obey in time: "shimmy: interrupted", exit code 130.
[[noreturn]] void end_by_interrupt();

}  // namespace shimmy
