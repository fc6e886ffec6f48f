// Internal to serve/: requests, answers and errors as every API of the server sees them. The types are llama.cpp's own,
// so that its handlers can be called directly.
#pragma once

#include "base/error.h"
#include "base/json.h"

#include "server-http.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace shimmy::serve {

using Request = server_http_req;
using Answer = server_http_res;
using AnswerPtr = server_http_res_ptr;
using Handler = server_http_context::handler_t;

// Ends a request with a status of its own. Any other exception from a handler becomes 400 (bad JSON) or 500.
class HttpError : public Error {
public:
    HttpError(int status, const std::string & message) : Error(message), status_(status) {}
    int status() const { return status_; }

private:
    int status_;
};

// "invalid_request_error", "not_found_error", …: OpenAI's word for a status.
const char * error_type(int status);

// {"error": {"code", "message", "type"}}
Json error_document(int status, const std::string & message);

AnswerPtr json_answer(const Json & document, int status = 200);
AnswerPtr text_answer(const std::string & text, const std::string & content_type);

// An answer in pieces, each sent as soon as `next` has it. `next` returns false with or after the last one.
AnswerPtr stream_answer(const std::string & content_type, std::function<bool(std::string & chunk)> next);

// The body as an object. Throws HttpError 400 that says what is wrong with it.
Json parse_object(const std::string & body);

// A member of the type that the default has. Absent or null: the default. Throws HttpError 400 that names the member
// for another type.
std::string string_of(const Json & object, const char * key, const std::string & fallback);
bool bool_of(const Json & object, const char * key, bool fallback);
double number_of(const Json & object, const char * key, double fallback);
int integer_of(const Json & object, const char * key, int fallback);

}  // namespace shimmy::serve
