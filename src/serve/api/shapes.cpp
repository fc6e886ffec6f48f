#include "serve/api/shapes.h"

namespace shimmy::serve {

namespace {

// Anthropic's words; its clients make exceptions of them.
const char * anthropic_type(int status) {
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 413:
            return "request_too_large";
        case 429:
            return "rate_limit_error";
        case 503:
            return "overloaded_error";
        default:
            return status < 500 ? "invalid_request_error" : "api_error";
    }
}

std::string data_event(const Json & document) {
    return "data: " + to_text(document) + "\n\n";
}

}  // namespace

Json error_document(Shape shape, const HttpError & error) {
    switch (shape) {
        case Shape::anthropic:
            return {{"type", "error"},
                    {"error", {{"type", anthropic_type(error.status())}, {"message", error.what()}}}};
        case Shape::ollama:
            return {{"error", error.what()}};
        default:
            return {{"error", error.document()}};
    }
}

std::string error_event(Shape shape, const HttpError & error) {
    switch (shape) {
        case Shape::responses:
            return "event: error\n" + data_event({{"type", "error"},
                                                  {"code", error.document().value("type", "server_error")},
                                                  {"message", error.what()},
                                                  {"param", nullptr}});
        case Shape::anthropic:
        case Shape::shimmy:
            return "event: error\n" + data_event(error_document(shape, error));
        case Shape::ollama:
            return to_text(error_document(shape, error)) + "\n";
        default:
            return data_event(error_document(shape, error));
    }
}

}  // namespace shimmy::serve
