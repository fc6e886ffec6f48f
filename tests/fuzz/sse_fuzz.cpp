// libFuzzer entry: a byte that says how the rest is cut, and any bytes as server-sent events. The same events must come
// out however they are cut.
#include "base/http/sse.h"

#include "complain.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    if (n_bytes == 0) return 0;
    const std::string_view text(reinterpret_cast<const char *>(data) + 1, n_bytes - 1);
    const std::vector<std::string> whole = shimmy::SseReader().feed(text);
    shimmy::SseReader reader;
    std::vector<std::string> pieces;
    const size_t step = 1 + data[0] % 16;
    for (size_t at = 0; at < text.size(); at += step) {
        for (std::string & event : reader.feed(text.substr(at, step)))
            pieces.push_back(std::move(event));
    }
    if (pieces != whole) shimmy::fuzz::complain("other events in pieces than at once", std::string(text));
    return 0;
}
