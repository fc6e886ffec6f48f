#include "check/sandbox/read_only_view.h"

#include "base/error.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace shimmy::check {

namespace {

constexpr uint64_t READ_FILE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
constexpr uint64_t READ_FOLDER = READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

void allow_reading(int ruleset, const std::filesystem::path & path) {
    const int fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
    if (fd < 0) return;
    struct stat status {};
    landlock_path_beneath_attr rule{};
    rule.allowed_access = ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? READ_FOLDER : READ_FILE;
    rule.parent_fd = fd;
    const long rc = ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    const int error = errno;
    ::close(fd);
    if (rc != 0) fail("{}: cannot be opened to confined code: {}", path.string(), std::strerror(error));
}

}  // namespace

bool ReadOnlyView::is_supported() {
    return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

ReadOnlyView::ReadOnlyView(const std::vector<std::filesystem::path> & readable) {
    if (!is_supported()) return;
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = READ_FOLDER;  // writing is refused by the seccomp filter
    ruleset_ = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0));
    if (ruleset_ < 0) fail("code cannot be confined here: Landlock: {}", std::strerror(errno));
    try {
        for (const std::filesystem::path & path : readable)
            allow_reading(ruleset_, path);
    } catch (...) {
        ::close(ruleset_);
        throw;
    }
}

ReadOnlyView::~ReadOnlyView() {
    if (ruleset_ >= 0) ::close(ruleset_);
}

bool ReadOnlyView::apply() const {
    return ruleset_ < 0 || ::syscall(SYS_landlock_restrict_self, ruleset_, 0) == 0;
}

}  // namespace shimmy::check
