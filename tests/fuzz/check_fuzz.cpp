// libFuzzer entry: what code in the sandbox may print where its results are read. What is said of it is short and has
// no control characters, whatever it is.
#include "check/code.h"

#include "complain.h"

#include <algorithm>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    using shimmy::Json;
    shimmy::check::Task task;
    task.cases = {{Json::array({1}), 2}, {Json::array({"a"}), {{"b", Json::array({1.5, nullptr})}}}};
    shimmy::check::SandboxResult run;
    run.out.assign(reinterpret_cast<const char *>(data), n_bytes);
    for (const std::string & reason : shimmy::check::judge(run, "m ", task)) {
        const bool has_control =
            std::any_of(reason.begin(), reason.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
        if (has_control || reason.size() > 1000) shimmy::fuzz::complain("is not for people", reason);
    }
    return 0;
}
