#include "serve/http/json_limits.h"

#include "serve/http/http_error.h"

namespace shimmy::serve {

void require_json_limits(std::string_view text) {
    size_t depth = 0;
    size_t n_values = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        if (c == '[' || c == '{') {
            ++n_values;
            if (++depth > MAX_JSON_DEPTH)
                throw HttpError(400, fmt::format("the body is nested deeper than {} levels", MAX_JSON_DEPTH));
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        } else if (c == ',') {
            ++n_values;
        }
        if (n_values > MAX_JSON_VALUES)
            throw HttpError(400, fmt::format("the body holds more than {} values", MAX_JSON_VALUES));
    }
}

}  // namespace shimmy::serve
