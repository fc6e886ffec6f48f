// libFuzzer entry: any bytes as the file of a finished run. They must be taken or set aside, never end the program; and
// what is taken must be written again without an error.
#include "base/json.h"
#include "complain.h"
#include "lab/plan/result.h"

#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    const std::string_view text(reinterpret_cast<const char *>(data), n_bytes);
    const shimmy::Json document = shimmy::parse_json(text);
    if (document.is_discarded()) return 0;
    const std::string again = shimmy::json_text(document);
    if (shimmy::parse_json(again).is_discarded()) shimmy::fuzz::complain("cannot be read again", again);
    for (const char * mode : {"generate", "load", "task"}) {
        // Those of the task that the document itself names, so that its scores are looked at.
        const shimmy::Json task = document.is_object() ? document.value("task", shimmy::Json()) : shimmy::Json();
        const auto named = [&](const char * key) { return task.is_object() ? task.value(key, shimmy::Json()) : task; };
        const shimmy::Json::json_pointer model("/models/0/sha256");
        const shimmy::Json settings{{"mode", mode},
                                    {"placement", "baseline"},
                                    {"task_sha256", named("sha256")},
                                    {"form", "arc"},
                                    {"n_shots", named("n_shots")},
                                    {"n_questions", 2},
                                    {"chat", named("chat")},
                                    {"model_sha256", document.contains(model) ? document.at(model) : shimmy::Json()}};
        (void)shimmy::lab::defect(document, settings);
        shimmy::ProcessResult process;
        process.out = std::string(text);
        (void)shimmy::lab::make_result({{"settings", settings}}, process, 1);
    }
    return 0;
}
