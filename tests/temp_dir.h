// A folder that lives as long as the test.
#pragma once

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace shimmy {

class TempDir {
public:
    TempDir() {
        std::string name = (std::filesystem::temp_directory_path() / "shimmy-test-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed: " + name);
        path_ = name;
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir &) = delete;
    TempDir & operator=(const TempDir &) = delete;

    const std::filesystem::path & path() const { return path_; }
    std::filesystem::path operator/(const std::filesystem::path & name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

}  // namespace shimmy
