#include "serve/http/request.h"

#include "base/text/text.h"
#include "serve/http/json_limits.h"

#include <cmath>
#include <limits>

namespace shimmy::serve {

namespace {

// nullptr where the member is absent or null.
const Json * find(const Json & object, const char * key) {
    const auto member = object.find(key);
    return member == object.end() || member->is_null() ? nullptr : &*member;
}

[[noreturn]] void wrong_type(const char * key, const char * expected, const Json & value) {
    throw HttpError(400, fmt::format("\"{}\" must be {}, not {}", key, expected, value.type_name()));
}

}  // namespace

std::string Request::param(const std::string & key) const {
    const auto found = params.find(key);
    return found == params.end() ? "" : found->second;
}

bool takes_gzip(std::string_view accept_encoding) {
    std::string codings = lower(accept_encoding);
    std::erase_if(codings, [](char c) { return c == ' ' || c == '\t'; });
    for (const std::string & coding : split(codings, ',')) {
        const std::vector<std::string> parts = split(coding, ';');
        if (parts.front() != "gzip") continue;
        return parts.size() == 1 || parts[1].find_first_not_of("q=0.") != std::string::npos;  // not "q=0.000"
    }
    return false;
}

HttpError to_http_error(const std::exception & error) {
    if (const auto * http = dynamic_cast<const HttpError *>(&error)) return *http;
    if (dynamic_cast<const Json::exception *>(&error) != nullptr) {  // a member of another type than a handler expects
        const std::string text = error.what();
        return {400, "the request holds a value of the wrong type: " + text.substr(text.find("] ") + 2)};
    }
    if (dynamic_cast<const Interrupted *>(&error) != nullptr) return {503, "the server is shutting down"};
    return {500, error.what()};
}

Json error_document(int status, const std::string & message) {
    return {{"error", {{"code", status}, {"message", message}, {"type", error_type(status)}}}};
}

std::string to_text(const Json & document) {
    // Text from a client or a model may hold bytes that are no UTF-8.
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Answer json_answer(const Json & document, int status) {
    Answer answer;
    answer.status = status;
    answer.data = to_text(document);
    return answer;
}

Answer text_answer(const std::string & text, const std::string & content_type) {
    Answer answer;
    answer.data = text;
    answer.content_type = content_type;
    return answer;
}

Answer stream_answer(const std::string & content_type, std::function<bool(std::string & part)> next) {
    Answer answer;
    answer.content_type = content_type;
    answer.next = std::move(next);
    return answer;
}

Json parse_object(const std::string & body) {
    require_json_limits(body);
    Json document;
    try {
        document = Json::parse(body);
    } catch (const Json::exception & error) {
        throw HttpError(400, fmt::format("the body is not JSON: {}", error.what()));
    }
    if (!document.is_object())
        throw HttpError(400, fmt::format("the body must be a JSON object, not {}", document.type_name()));
    return document;
}

std::string string_of(const Json & object, const char * key, const std::string & fallback) {
    const Json * value = find(object, key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) wrong_type(key, "a string", *value);
    return value->get<std::string>();
}

bool bool_of(const Json & object, const char * key, bool fallback) {
    const Json * value = find(object, key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) wrong_type(key, "true or false", *value);
    return value->get<bool>();
}

double number_of(const Json & object, const char * key, double fallback) {
    const Json * value = find(object, key);
    if (value == nullptr) return fallback;
    if (!value->is_number()) wrong_type(key, "a number", *value);
    return value->get<double>();
}

int integer_of(const Json & object, const char * key, int fallback) {
    const double value = number_of(object, key, fallback);
    if (value != std::floor(value) || std::abs(value) > std::numeric_limits<int>::max())
        throw HttpError(400, fmt::format("\"{}\" must be a whole number", key));
    return static_cast<int>(value);
}

}  // namespace shimmy::serve
