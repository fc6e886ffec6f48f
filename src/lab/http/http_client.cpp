#include "lab/http/http_client.h"

#include "base/error.h"

#include <curl/curl.h>

#include <mutex>

namespace shimmy::lab {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t MAX_ANSWER_BYTES = 64 << 20;
constexpr long SILENCE_S = 600;  // without a byte: a model of this size answers, or hangs

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// An answer while it arrives.
struct Transfer {
    HttpAnswer & answer;
    bool stream = false;
    Clock::time_point start;
    const std::function<bool()> & stop;
    std::string body;  // of an answer that is not streamed, and of an error
    CURL * curl = nullptr;
    size_t n_bytes = 0;
};

size_t on_bytes(char * bytes, size_t /*one*/, size_t n, void * user_data) {
    Transfer & transfer = *static_cast<Transfer *>(user_data);
    transfer.n_bytes += n;
    if (transfer.n_bytes > MAX_ANSWER_BYTES) return 0;
    long status = 0;
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
    if (transfer.stream && status == 200) {
        transfer.answer.events.feed({bytes, n}, ms_since(transfer.start));
    } else {
        transfer.body.append(bytes, n);
    }
    return n;
}

size_t append(char * bytes, size_t /*one*/, size_t n, void * body) {
    static_cast<std::string *>(body)->append(bytes, n);
    return n;
}

int on_progress(void * user_data, curl_off_t /*down_total*/, curl_off_t /*down*/, curl_off_t /*up_total*/,
                curl_off_t /*up*/) {
    Transfer & transfer = *static_cast<Transfer *>(user_data);
    transfer.answer.stopped = transfer.stop && transfer.stop();
    return transfer.answer.stopped ? 1 : 0;
}

std::string error_of(const std::string & body, long status) {
    const Json json = parse_json(body);
    const Json::json_pointer message("/error/message");
    const bool told = json.is_object() && json.contains(message) && json.at(message).is_string();
    return fmt::format("HTTP {}{}", status, told ? ": " + json.at(message).get<std::string>() : "");
}

void take_whole(Transfer & transfer) {
    HttpAnswer & answer = transfer.answer;
    answer.document = parse_json(transfer.body);
    const Json::json_pointer choice("/choices/0");
    if (!answer.document.is_object() || !answer.document.contains(choice)) {
        answer.error = "the answer has no choice";
    } else if (!answer.document.at(choice).is_object() ||
               !answer.document.at(choice).value("finish_reason", Json()).is_string()) {
        answer.error = "the answer broke off: no finish_reason";
    }
    answer.ttft_ms = answer.total_ms;
}

void take_stream(HttpAnswer & answer) {
    answer.events.finish();
    if (answer.events.text_ms().empty() && answer.events.finish_reason().empty())
        answer.error = answer.events.defects().empty() ? "the stream held no text" : answer.events.defects().front();
    if (answer.error.empty() && !answer.events.failure().empty())
        answer.error = "the answer broke off: " + answer.events.failure();
    answer.ttft_ms = answer.events.text_ms().empty() ? answer.total_ms : answer.events.text_ms().front();
}

}  // namespace

struct HttpClient::Handle {
    CURL * curl = nullptr;
    curl_slist * headers = nullptr;
};

HttpClient::HttpClient(std::string base_url) : base_url_(std::move(base_url)), handle_(std::make_unique<Handle>()) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    handle_->curl = curl_easy_init();
    if (handle_->curl == nullptr) fail("libcurl could not be set up");
    handle_->headers = curl_slist_append(nullptr, "Content-Type: application/json");
}

HttpClient::~HttpClient() {
    curl_slist_free_all(handle_->headers);
    curl_easy_cleanup(handle_->curl);
}

HttpAnswer HttpClient::post(const std::string & path, const Json & body, const std::function<bool()> & stop) {
    HttpAnswer answer;
    CURL * curl = handle_->curl;
    const std::string url = base_url_ + path;
    const std::string request = json_text(body, -1);
    Transfer transfer{answer, body.value("stream", false), Clock::now(), stop, "", curl};
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");  // loopback: whatever the environment says
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, handle_->headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.size()));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    const CURLcode rc = curl_easy_perform(curl);
    answer.total_ms = ms_since(transfer.start);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (answer.stopped) return answer;
    if (rc != CURLE_OK) {
        answer.error = curl_easy_strerror(rc);
    } else if (status != 200) {
        answer.error = error_of(transfer.body, status);
    } else {
        transfer.stream ? take_stream(answer) : take_whole(transfer);
    }
    return answer;
}

Json HttpClient::get(const std::string & path) {
    CURL * curl = handle_->curl;
    const std::string url = base_url_ + path;
    std::string body;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    const CURLcode rc = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_reset(curl);
    if (rc != CURLE_OK) fail("{}: {}", url, curl_easy_strerror(rc));
    if (status != 200) fail("{}: {}", url, error_of(body, status));
    return parse_json(body);
}

}  // namespace shimmy::lab
