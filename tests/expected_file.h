// Documents compared with files that are kept beside the tests. scripts/renew-expected.sh writes those anew and shows
// what has changed.
#pragma once

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/process/subprocess.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace shimmy {

// Nine digits of a fraction, as the last ones are the compiler's.
inline Json rounded(Json json) {
    if (json.is_number_float()) return Json::parse(fmt::format("{:.9g}", json.get<double>()));
    if (json.is_structured()) {
        for (Json & value : json)
            value = rounded(value);
    }
    return json;
}

// A line for whatever fits on one, so that a person can read it and `diff` shows what changed.
inline std::string readable(const Json & json, const std::string & indent = "") {
    constexpr size_t MAX_LINE = 320;
    const std::string line = json.dump();
    if (!json.is_structured() || line.size() + indent.size() <= MAX_LINE) return line;
    std::string out = json.is_object() ? "{\n" : "[\n";
    size_t left = json.size();
    for (const auto & [key, value] : json.items()) {
        out += indent + "  " + (json.is_object() ? Json(key).dump() + ": " : "") + readable(value, indent + "  ");
        out += --left > 0 ? ",\n" : "\n";
    }
    return out + indent + (json.is_object() ? "}" : "]");
}

// `now` against tests/<name>; paths of `dir` are DIR there.
inline void expect_as(const fs::path & name, std::string now, const fs::path & dir) {
    for (size_t at = 0; (at = now.find(dir.string())) != std::string::npos;)
        now.replace(at, dir.string().size(), "DIR");
    const fs::path expected = fs::path(SHIMMY_SOURCE_DIR) / "tests" / name;
    if (std::getenv("SHIMMY_RENEW_EXPECTED") != nullptr) {
        fs::create_directories(expected.parent_path());
        write_file_atomic(expected, now);
        return;
    }
    if (fs::exists(expected) && read_file(expected) == now) return;
    const TempDir other;
    write_file_atomic(other / "now", now);
    ADD_FAILURE() << "not as expected; if it should be so now: scripts/renew-expected.sh\n"
                  << run_process({"diff", "-u", "--label", name.string(), "--label", "now", expected.string(),
                                  (other / "now").string()})
                         .out;
}

}  // namespace shimmy
