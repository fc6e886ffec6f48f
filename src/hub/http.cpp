#include "hub/http.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/version.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <memory>
#include <string_view>

namespace shimmy::hub {

namespace {

constexpr long CONNECT_TIMEOUT_S = 30;
constexpr long LOW_SPEED_BYTES_PER_S = 100;  // less than this for LOW_SPEED_TIME_S ends a transfer
constexpr long LOW_SPEED_TIME_S = 60;
constexpr long MAX_REDIRECTS = 10;

struct Transfer {
    Response response;
    size_t max_body_bytes = 0;  // 0: no limit
    bool too_much = false;
};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0)
        text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
        text.remove_suffix(1);
    return text;
}

std::optional<std::string_view> header_value(std::string_view line, std::string_view name) {
    if (line.size() <= name.size() || line[name.size()] != ':') return std::nullopt;
    const auto same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    };
    if (!std::equal(name.begin(), name.end(), line.begin(), same)) return std::nullopt;
    return trimmed(line.substr(name.size() + 1));
}

size_t on_header(char * data, size_t size, size_t n, void * user_data) {
    Response & response = static_cast<Transfer *>(user_data)->response;
    const std::string_view line(data, size * n);
    if (line.starts_with("HTTP/")) {  // a redirect's headers are forgotten
        response.total_bytes = 0;
        response.error_code.clear();
    }
    if (const auto range = header_value(line, "Content-Range")) {
        const std::string_view total = range->substr(range->find('/') + 1);
        std::from_chars(total.data(), total.data() + total.size(), response.total_bytes);
    }
    if (const auto code = header_value(line, "X-Error-Code")) response.error_code = *code;
    return size * n;
}

size_t on_body(char * data, size_t size, size_t n, void * user_data) {
    Transfer & transfer = *static_cast<Transfer *>(user_data);
    if (interrupted()) return 0;
    std::string & body = transfer.response.body;
    if (transfer.max_body_bytes > 0 && body.size() + size * n > transfer.max_body_bytes) {
        transfer.too_much = true;  // a server that ignores the range would send the whole model
        return 0;
    }
    body.append(data, size * n);
    return size * n;
}

CURL * new_handle() {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL * handle = ready == CURLE_OK ? curl_easy_init() : nullptr;
    if (handle == nullptr) fail("libcurl could not be initialized");
    return handle;
}

}  // namespace

Response get(const Request & request) {
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(new_handle(), &curl_easy_cleanup);
    Transfer transfer;
    const std::string user_agent = fmt::format("shimmy/{}", shimmy_version());
    curl_easy_setopt(handle.get(), CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_USERAGENT, user_agent.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle.get(), CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(handle.get(), CURLOPT_MAXREDIRS, MAX_REDIRECTS);
    curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle.get(), CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES_PER_S);
    curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_TIME, LOW_SPEED_TIME_S);
    curl_easy_setopt(handle.get(), CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle.get(), CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &transfer);
    if (!request.token.empty()) {
        // libcurl drops it when a redirect leaves the host, as signed storage URLs require.
        curl_easy_setopt(handle.get(), CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
        curl_easy_setopt(handle.get(), CURLOPT_XOAUTH2_BEARER, request.token.c_str());
    }
    if (request.range) {
        const uint64_t last = request.range->first + request.range->n_bytes - 1;
        curl_easy_setopt(handle.get(), CURLOPT_RANGE, fmt::format("{}-{}", request.range->first, last).c_str());
        transfer.max_body_bytes = request.range->n_bytes;
    }
    const CURLcode code = curl_easy_perform(handle.get());
    check_interrupted();
    if (transfer.too_much) fail("{}: the server does not support byte ranges", request.url);
    if (code != CURLE_OK) fail("{}: {}", request.url, curl_easy_strerror(code));
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &transfer.response.status);
    return std::move(transfer.response);
}

}  // namespace shimmy::hub
