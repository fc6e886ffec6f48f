// libFuzzer entry: any bytes as the file of a finished run. They must be taken or set aside, never end the program; and
// what is taken must be written again without an error.
#include "base/json.h"
#include "complain.h"
#include "lab/campaign/result.h"

#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    const std::string_view text(reinterpret_cast<const char *>(data), n_bytes);
    const shimmy::Json document = shimmy::parse_json(text);
    if (document.is_discarded()) return 0;
    const std::string again = shimmy::json_text(document);
    if (shimmy::parse_json(again).is_discarded()) shimmy::fuzz::complain("cannot be read again", again);
    for (const char * mode : {"generate", "load"}) {
        const shimmy::Json settings{{"mode", mode}, {"placement", "baseline"}};
        (void)shimmy::lab::defect(document, settings);
        shimmy::ProcessResult process;
        process.out = std::string(text);
        (void)shimmy::lab::make_result({{"settings", settings}}, process, 1);
    }
    return 0;
}
