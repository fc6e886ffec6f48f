#include "serve/http/http_error.h"

namespace shimmy::serve {

HttpError::HttpError(int status, const std::string & message)
    : Error(message),
      status_(status),
      document_{{"code", status}, {"message", message}, {"type", error_type(status)}} {}

HttpError::HttpError(Json document)
    : Error(document.value("message", "the request failed")),
      status_(document.value("code", 500)),
      document_(std::move(document)) {
    if (!document_.contains("type")) document_["type"] = error_type(status_);
}

const char * error_type(int status) {
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 501:
            return "not_supported_error";
        case 503:
            return "unavailable_error";
        default:
            return status < 500 ? "invalid_request_error" : "server_error";
    }
}

}  // namespace shimmy::serve
