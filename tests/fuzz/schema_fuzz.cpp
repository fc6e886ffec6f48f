// libFuzzer entry: any bytes as a JSON schema, a pattern or a grammar. What is within the bounds must become rules that
// llama.cpp reads, in bounded time and memory, or be refused by it with a message.
#include "serve/bounds/grammar_bounds.h"
#include "serve/bounds/pattern.h"
#include "serve/bounds/schema.h"
#include "serve/http/json_limits.h"
#include "serve/http/request.h"

#include "complain.h"
#include "json-schema-to-grammar.h"
#include "llama-grammar.h"

#include <cstdint>
#include <string>

namespace {

using namespace shimmy::serve;
using shimmy::Json;
using shimmy::fuzz::complain;

bool read_grammar(const std::string & grammar) {
    llama_grammar_parser parser(nullptr);
    return parser.parse(grammar.c_str()) && !parser.rules.empty();
}

void try_schema(const std::string & text) {
    require_json_limits(text);
    const Json schema = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (schema.is_discarded() || !schema.is_object()) return;
    require_bounded_schema(schema, "schema");
    require_enforceable_schema(schema, "schema");
    const std::string grammar = json_schema_to_grammar(common_json::parse(schema.dump()));
    if (!read_grammar(grammar)) complain("a schema whose grammar cannot be read", grammar);
}

// In the form that llama.cpp keeps, no pattern is passed over: its rule is there, and can be read.
void try_pattern(const std::string & pattern) {
    require_bounded_pattern(pattern, "pattern");
    const std::string kept = enforceable_pattern(pattern);
    const Json schema{{"type", "string"}, {"pattern", kept}};
    const std::string grammar = json_schema_to_grammar(common_json::parse(schema.dump()));
    if (grammar.find("root ::= \"\\\"\" (") == std::string::npos) complain("a pattern that is passed over", pattern);
    if (!read_grammar(grammar)) complain("a pattern whose grammar cannot be read", grammar);
}

void try_grammar(const std::string & grammar) {
    require_bounded_grammar(grammar, "grammar");
    (void)read_grammar(grammar);
}

bool is_utf8(const std::string & text) {
    return Json::accept(Json(text).dump(-1, ' ', false, Json::error_handler_t::ignore)) &&
           Json(text).dump(-1, ' ', false, Json::error_handler_t::ignore) ==
               Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    if (n_bytes == 0) return 0;
    const std::string text(reinterpret_cast<const char *>(data) + 1, n_bytes - 1);
    if (text.find('\0') != std::string::npos || !is_utf8(text)) return 0;  // no text of a JSON body
    try {
        switch (data[0] % 3) {
            case 0:
                try_schema(text);
                break;
            case 1:
                try_pattern(text);
                break;
            default:
                try_grammar(text);
        }
    } catch (const std::exception &) {  // refused, with a message
    }
    return 0;
}
