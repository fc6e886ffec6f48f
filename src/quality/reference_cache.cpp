#include "quality/reference_cache.h"

#include "base/error.h"
#include "base/text/units.h"

#include <algorithm>
#include <chrono>
#include <vector>

namespace shimmy::quality {

namespace {

constexpr const char * SUFFIX = ".predictions";
constexpr int FORMAT = 1;  // raise it when the layout of ReferenceChunk or the rounding of its rows changes

struct Kept {
    fs::path path;
    uint64_t bytes = 0;
    fs::file_time_type last_use;
};

// Longest unused first.
std::vector<Kept> kept_files(const fs::path & dir) {
    std::vector<Kept> files;
    std::error_code ignored;
    for (const auto & entry : fs::directory_iterator(dir, ignored)) {
        if (entry.path().extension() == SUFFIX)
            files.push_back({entry.path(), entry.file_size(ignored), entry.last_write_time(ignored)});
    }
    std::sort(files.begin(), files.end(), [](const Kept & a, const Kept & b) { return a.last_use < b.last_use; });
    return files;
}

}  // namespace

fs::path ReferenceCache::path_of(const Json & settings) const {
    return dir_ / (sha256_hex(json_text(settings, -1)) + SUFFIX);
}

std::unique_ptr<ReferenceFile> ReferenceCache::find(const Json & settings) {
    note_.clear();
    if (dir_.empty()) return nullptr;
    const fs::path path = path_of(settings);
    std::error_code error;
    if (!fs::exists(path, error)) return nullptr;
    try {
        auto file = std::make_unique<ReferenceFile>(path);
        if (file->header().value("format", 0) != FORMAT || file->header().value("settings", Json()) != settings)
            fail("{}: is of other settings", path.string());
        fs::last_write_time(path, fs::file_time_type::clock::now(), error);
        return file;
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception & damage) {
        note_ = fmt::format("the kept predictions of the base are damaged and are made again ({})", damage.what());
        fs::remove(path, error);
        return nullptr;
    }
}

void ReferenceCache::make_room(uint64_t bytes) const {
    uint64_t total = bytes;
    const std::vector<Kept> files = kept_files(dir_);
    for (const Kept & file : files)
        total += file.bytes;
    for (const Kept & file : files) {
        if (total <= limit_bytes_ && free_disk_bytes(dir_) >= bytes) return;
        std::error_code ignored;
        if (fs::remove(file.path, ignored)) total -= file.bytes;
    }
}

std::unique_ptr<ReferenceFile> ReferenceCache::create(const Json & settings, Json header, uint64_t bytes) {
    header["format"] = FORMAT;
    header["settings"] = settings;
    if (dir_.empty()) return std::make_unique<ReferenceFile>(fs::path(), header);
    if (bytes > limit_bytes_) {
        note_ = fmt::format("the base's predictions take {}, above the cache's limit of {}: they are not kept",
                            format_bytes(bytes), format_bytes(limit_bytes_));
        return std::make_unique<ReferenceFile>(fs::path(), header);
    }
    try {
        ensure_writable_dir(dir_);
        remove_stale_part_files(dir_);
        make_room(bytes);
        if (free_disk_bytes(dir_) < bytes) fail("{}: the disk is full", dir_.string());
        return std::make_unique<ReferenceFile>(path_of(settings), header);
    } catch (const Error & error) {
        note_ = fmt::format("the base's predictions are not kept: {}", error.what());
        return std::make_unique<ReferenceFile>(fs::path(), header);
    }
}

}  // namespace shimmy::quality
