// Files: whole or not at all, with errors that name the path.
#pragma once

#include "base/last_words.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace shimmy {

namespace fs = std::filesystem;

// Called with the bytes done so far and in all; may throw to stop.
using ByteProgress = std::function<void(uint64_t done, uint64_t total)>;

std::string read_file(const fs::path & path);

// Writes beside the target, syncs, renames. A crash leaves the old file or the new one.
void write_file_atomic(const fs::path & path, std::string_view content);

// Free bytes for this user on the file system that holds `path` (or its nearest existing parent).
uint64_t free_disk_bytes(const fs::path & path);
inline constexpr uint64_t DISK_MARGIN_BYTES =
    16 << 20;  // beside the tensors: metadata, and what the file system needs for itself

// Makes the folder with its parents. Throws Error that names what is in the way.
void make_folders(const fs::path & dir);

// Makes the folder with its parents and checks that files can be written in it.
void ensure_writable_dir(const fs::path & dir);

// TMPDIR, else /tmp. Throws Error with the way out if that is no folder.
fs::path temporary_dir();

// Throws if the file is missing, is a folder or cannot be read.
void require_readable_file(const fs::path & path);

// SHA-256 in lower-case hex.
std::string sha256_hex(std::string_view bytes);
std::string sha256_file_hex(const fs::path & path, const ByteProgress & progress = {});

// What git names a file of this content: SHA-1 of "blob <size>\0<content>" in lower-case hex.
std::string git_blob_oid(std::string_view bytes);

// A file under construction: written beside its target, put on disk and moved to its name by commit(), and removed
// otherwise, by the destructor or if a fault ends the process. What stood under the name stays until then. Two writers
// of one target are told apart by the process id in the name. A target that is a symbolic link is written where it
// leads. Throws UsageError if the target is a folder.
class PartFile {
public:
    explicit PartFile(const fs::path & target);
    ~PartFile();
    PartFile(const PartFile &) = delete;
    PartFile & operator=(const PartFile &) = delete;

    const fs::path & path() const { return part_; }
    void commit();

private:
    fs::path target_;
    fs::path part_;
    std::optional<RemovedOnFault> on_fault_;
    bool committed_ = false;
};

// A folder beside its target in which something is made, named as a PartFile is; goes with the destructor, or with the
// next one of the same target if the process is killed.
class PartFolder {
public:
    explicit PartFolder(const fs::path & target);
    ~PartFolder();
    PartFolder(const PartFolder &) = delete;
    PartFolder & operator=(const PartFolder &) = delete;

    const fs::path & path() const { return dir_; }

private:
    fs::path dir_;
};

// Removes `*.part` files of writers that no longer run.
void remove_stale_part_files(const fs::path & dir);

}  // namespace shimmy
