#include "serve/http/json_limits.h"

#include "base/json.h"
#include "serve/http/http_error.h"

namespace shimmy::serve {

void require_json_limits(std::string_view text) {
    const JsonLimits limits{.n_bytes = SIZE_MAX, .depth = MAX_JSON_DEPTH, .n_values = MAX_JSON_VALUES};
    const std::string excess = json_excess(text, limits);
    if (!excess.empty()) throw HttpError(400, "the body " + excess);
}

}  // namespace shimmy::serve
