// libFuzzer entry: any bytes as a campaign and as a model's shape. They must be taken, or refused in one line that
// names the file.
#include "base/error.h"
#include "complain.h"
#include "gguf/shape.h"
#include "lab/campaign/campaign.h"

#include <sys/mman.h>
#include <unistd.h>
#include <functional>
#include <string>
#include <string_view>

namespace {

void expect_one_line(const std::string & file, const std::function<void()> & read) {
    try {
        read();
    } catch (const shimmy::Error & error) {
        const std::string message = error.what();
        if (message.find('\n') != std::string::npos) shimmy::fuzz::complain("an error of several lines", message);
        if (message.find(file) == std::string::npos) shimmy::fuzz::complain("an error without the file", message);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    const std::string_view text(reinterpret_cast<const char *>(data), n_bytes);
    expect_one_line("campaign.toml", [&] { shimmy::lab::parse_campaign(text, "campaign.toml"); });
    const int fd = memfd_create("shape", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, n_bytes) != static_cast<ssize_t>(n_bytes)) shimmy::fuzz::complain("memfd", "full");
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    expect_one_line(path, [&] { shimmy::gguf::load_shape(path); });
    close(fd);
    return 0;
}
