// Requests, answers and errors as every API of the server sees them.
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "serve/http/http_error.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace shimmy::serve {

// Whether an answer is still wanted.
enum class Stop {
    no,
    client_gone,
    shutting_down,  // the server ends: what runs ends with an error
};
using StopCheck = std::function<Stop()>;

struct Request {
    std::string path;
    std::map<std::string, std::string> params;  // of the path and the query
    std::string body;
    bool takes_gzip = false;  // as the content encoding of the answer
    StopCheck should_stop;

    // Empty if it is not there.
    std::string param(const std::string & key) const;
};

// Whole, or in parts: `next` gives one at a time, each is sent at once, and false comes with or after the last one.
struct Answer {
    int status = 200;
    std::string content_type = "application/json; charset=utf-8";
    std::map<std::string, std::string> headers;
    std::string data;
    std::function<bool(std::string & part)> next;
};

using Handler = std::function<Answer(const Request & request)>;

// The client went away: nobody reads an answer.
class ClientGone : public Error {
public:
    ClientGone() : Error("the client went away") {}
};

// The error of an exception that a handler threw.
HttpError to_http_error(const std::exception & error);

// Whether a header Accept-Encoding names gzip, and not with a weight of 0. "*" does not count.
bool takes_gzip(std::string_view accept_encoding);

// {"error": {"code", "message", "type"}}
Json error_document(int status, const std::string & message);

std::string to_text(const Json & document);

Answer json_answer(const Json & document, int status = 200);
Answer text_answer(const std::string & text, const std::string & content_type);
Answer stream_answer(const std::string & content_type, std::function<bool(std::string & part)> next);

// The body as an object. Throws HttpError 400 that says what is wrong with it.
Json parse_object(const std::string & body);

// A member of the type that the default has. Absent or null: the default. Throws HttpError 400 that names the member
// for another type.
std::string string_of(const Json & object, const char * key, const std::string & fallback);
bool bool_of(const Json & object, const char * key, bool fallback);
double number_of(const Json & object, const char * key, double fallback);
int integer_of(const Json & object, const char * key, int fallback);

}  // namespace shimmy::serve
