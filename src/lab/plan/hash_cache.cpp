#include "lab/plan/hash_cache.h"

#include "base/error.h"
#include "library/names.h"

#include <chrono>

namespace shimmy::lab {

namespace {

// Since 1970.
int64_t modified_ns(const fs::path & file) {
    const auto time = std::chrono::file_clock::to_sys(fs::last_write_time(file));
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

HashCache::HashCache(fs::path file) : file_(std::move(file)), entries_(Json::object()) {
    if (!fs::exists(file_)) return;
    Json stored = read_json(file_);
    if (stored.is_object()) entries_ = std::move(stored);
}

std::string HashCache::file_sha256(const fs::path & file,
                                   const std::function<ByteProgress(const fs::path &)> & progress) {
    require_readable_file(file);
    const std::string key = fs::absolute(file).lexically_normal().string();
    const Json stamp{{"size_bytes", fs::file_size(file)}, {"mtime_ns", modified_ns(file)}};
    const Json & known = entries_.value(key, Json::object());
    if (known.is_object() && known.contains("sha256") && known["sha256"].is_string() &&
        known.value("size_bytes", Json()) == stamp["size_bytes"] &&
        known.value("mtime_ns", Json()) == stamp["mtime_ns"]) {
        return known["sha256"];
    }
    Json entry = stamp;
    entry["sha256"] = sha256_file_hex(file, progress(file));
    entries_[key] = entry;
    changed_ = true;
    return entry["sha256"];
}

std::string HashCache::model_sha256(const fs::path & first,
                                    const std::function<ByteProgress(const fs::path &)> & progress) {
    const std::vector<fs::path> files = library::model_files(first);
    if (files.size() == 1) return file_sha256(first, progress);
    std::string sums;
    for (const fs::path & file : files)
        sums += fmt::format("{}  {}\n", file_sha256(file, progress), file.filename().string());
    return sha256_hex(sums);
}

void HashCache::save() {
    if (!changed_) return;
    write_file_atomic(file_, json_text(entries_) + "\n");
    changed_ = false;
}

}  // namespace shimmy::lab
