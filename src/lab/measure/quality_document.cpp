#include "lab/measure/quality_document.h"

namespace shimmy::lab {

void name_mix(Json & document, const fs::path & file, const std::string & mix) {
    if (!document.is_object()) return;
    for (const char * list : {"models", "offload"}) {
        if (!document.contains(list) || !document[list].is_array()) continue;
        for (Json & entry : document[list]) {
            const Json named = entry.is_object() ? entry.value("file", Json()) : Json();
            if (named.is_string() && fs::path(named.get<std::string>()).filename() == file.filename())
                entry["quant"] = mix;
        }
    }
}

}  // namespace shimmy::lab
