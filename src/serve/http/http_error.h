// An error that a client is told, with its status.
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <chrono>
#include <string>

namespace shimmy::serve {

// Ends a request with a status of its own. Any other exception from a handler becomes 400 (bad JSON) or 500.
class HttpError : public Error {
public:
    HttpError(int status, const std::string & message);
    // llama.cpp's {"code", "message", "type", …}; more members are kept.
    explicit HttpError(Json document);

    int status() const { return status_; }
    // {"code", "message", "type", …}
    const Json & document() const { return document_; }
    // When it is worth to ask again; zero: nothing is said.
    std::chrono::seconds retry_after{0};

private:
    int status_;
    Json document_;
};

// "invalid_request_error", "not_found_error", …: OpenAI's word for a status.
const char * error_type(int status);

}  // namespace shimmy::serve
