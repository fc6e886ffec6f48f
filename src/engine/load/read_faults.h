// Reading a page of a mapped file that cannot be read (its disk failed, or the file became shorter) raises SIGBUS,
// which ends a process. While mappings are watched it does not: zeros take the place of the whole mapping, what
// computes goes on, and whoever asks afterwards is told.
#pragma once

#include <filesystem>
#include <memory>

namespace shimmy::engine {

class Mappings {
public:
    Mappings() = default;  // none
    // All that this process has mapped of the file now, as far as there is room for it in the list of a signal handler.
    explicit Mappings(const std::filesystem::path & file);

    // Calls may overlap.
    void watch() const;
    void end_watch() const;
    // Whether a page could not be read while it was watched. It stays so: the zeros do not go away.
    bool failed() const;

private:
    struct Ranges;
    std::shared_ptr<Ranges> ranges_;
};

}  // namespace shimmy::engine
