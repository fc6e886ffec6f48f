#include "base/http/http.h"

#include "base/process/interrupt.h"
#include "base/text/text.h"
#include "base/version.h"

#include <curl/curl.h>

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <memory>

namespace shimmy::http {

namespace {

constexpr long CONNECT_TIMEOUT_S = 30;
constexpr int MAX_REDIRECTS = 10;
constexpr long UPLOAD_BUFFER_BYTES = 512L * 1024;
constexpr size_t MAX_ERROR_BODY_BYTES = 1 << 20;
constexpr size_t MAX_ANSWER_BYTES = 64 << 20;  // of what is kept in memory: a page of 1000 files has under 1 MiB
constexpr size_t MAX_HEADER_BYTES = 1 << 20;

class OpenFile {
public:
    explicit OpenFile(const fs::path & path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        if (fd_ < 0) fail("{}: {}", path.string(), std::strerror(errno));
    }
    ~OpenFile() { ::close(fd_); }
    OpenFile(const OpenFile &) = delete;
    OpenFile & operator=(const OpenFile &) = delete;
    int fd() const { return fd_; }

private:
    int fd_;
};

// One exchange with one host; libcurl's callbacks get it.
struct Transfer {
    const Request & request;
    CURL * handle;
    Response response = {};
    uint64_t n_body_bytes = 0;
    uint64_t n_header_bytes = 0;
    bool too_much = false;
    std::unique_ptr<OpenFile> file = {};  // of request.file
    uint64_t sent = 0;                    // of the body
    std::exception_ptr error = {};        // of a callback
};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0)
        text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
        text.remove_suffix(1);
    return text;
}

size_t on_header(char * data, size_t size, size_t n, void * user_data) {
    Transfer & transfer = *static_cast<Transfer *>(user_data);
    Response & response = transfer.response;
    const std::string_view line(data, size * n);
    transfer.n_header_bytes += line.size();
    if (transfer.n_header_bytes > MAX_HEADER_BYTES) {
        transfer.too_much = true;
        return 0;
    }
    if (line.starts_with("HTTP/")) response.headers.clear();  // of a 100 Continue
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos)
        response.headers[lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
    return size * n;
}

size_t on_body(char * data, size_t size, size_t n, void * user_data) {
    Transfer & transfer = *static_cast<Transfer *>(user_data);
    const Request & request = transfer.request;
    if (interrupted()) return 0;
    long status = 0;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    const bool success = status >= 200 && status < 300;
    transfer.n_body_bytes += size * n;
    const uint64_t limit = !success                                      ? MAX_ERROR_BODY_BYTES
                           : request.range && request.range->n_bytes > 0 ? request.range->n_bytes
                           : request.on_body                             ? 0
                                                                         : MAX_ANSWER_BYTES;
    if (limit > 0 && transfer.n_body_bytes > limit) {
        transfer.too_much = success;  // a server that ignores the range would send the whole model
        return 0;
    }
    try {
        if (success && request.on_body) {
            request.on_body({data, size * n});
        } else {
            transfer.response.body.append(data, size * n);
        }
    } catch (...) {
        transfer.error = std::current_exception();
        return 0;
    }
    return size * n;
}

size_t on_read(char * data, size_t size, size_t n, void * user_data) {
    Transfer & transfer = *static_cast<Transfer *>(user_data);
    const FileSlice & slice = *transfer.request.file;
    const uint64_t wanted = std::min<uint64_t>(size * n, slice.n_bytes - transfer.sent);
    if (wanted == 0) return 0;
    const ssize_t got = ::pread(transfer.file->fd(), data, wanted, static_cast<off_t>(slice.first + transfer.sent));
    if (got <= 0) {
        const std::string reason = got < 0 ? std::strerror(errno) : "became shorter while it was sent";
        transfer.error = std::make_exception_ptr(Error(fmt::format("{}: {}", slice.file.string(), reason)));
        return CURL_READFUNC_ABORT;
    }
    if (slice.hash != nullptr) {
        if (transfer.sent == 0) slice.hash->restart();
        slice.hash->update({data, static_cast<size_t>(got)});
    }
    transfer.sent += static_cast<uint64_t>(got);
    return static_cast<size_t>(got);
}

// libcurl starts a body again if a connection that it kept turns out to be closed.
int on_seek(void * user_data, curl_off_t offset, int origin) {
    if (origin != SEEK_SET || offset != 0) return CURL_SEEKFUNC_CANTSEEK;
    static_cast<Transfer *>(user_data)->sent = 0;
    return CURL_SEEKFUNC_OK;
}

int on_progress(void * user_data, curl_off_t, curl_off_t, curl_off_t, curl_off_t n_sent) {
    Transfer & transfer = *static_cast<Transfer *>(user_data);
    const Request & request = transfer.request;
    if (interrupted()) return 1;
    try {
        if (request.on_sent) request.on_sent(static_cast<uint64_t>(n_sent));
        transfer.response.stopped = request.stop && request.stop();
        if (transfer.response.stopped) return 1;
    } catch (...) {
        transfer.error = std::current_exception();
        return 1;
    }
    return 0;
}

// One per thread, so that connections are used again.
CURL * thread_handle() {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    static thread_local const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(
        ready == CURLE_OK ? curl_easy_init() : nullptr, &curl_easy_cleanup);
    if (!handle) fail("libcurl could not be initialized");
    curl_easy_reset(handle.get());
    return handle.get();
}

using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

HeaderList header_list(const Request & request) {
    HeaderList list(nullptr, &curl_slist_free_all);
    std::vector<std::string> lines = request.headers;
    lines.emplace_back("Expect:");  // no wait for a 100 Continue
    for (const std::string & line : lines)
        list.reset(curl_slist_append(list.release(), line.c_str()));
    return list;
}

void set_body(Transfer & transfer) {
    const Request & request = transfer.request;
    if (request.method == "HEAD") {
        curl_easy_setopt(transfer.handle, CURLOPT_NOBODY, 1L);
    } else if (request.file) {
        transfer.file = std::make_unique<OpenFile>(request.file->file);
        curl_easy_setopt(transfer.handle, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(transfer.handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.file->n_bytes));
        curl_easy_setopt(transfer.handle, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(transfer.handle, CURLOPT_READDATA, &transfer);
        curl_easy_setopt(transfer.handle, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(transfer.handle, CURLOPT_SEEKDATA, &transfer);
        curl_easy_setopt(transfer.handle, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES);
        curl_easy_setopt(transfer.handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    } else if (request.method != "GET") {
        curl_easy_setopt(transfer.handle, CURLOPT_POST, 1L);
        curl_easy_setopt(transfer.handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(transfer.handle, CURLOPT_POSTFIELDS, request.body.c_str());
        curl_easy_setopt(transfer.handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
}

std::atomic<bool> has_been_answered{false};  // by any server, once in this process

[[noreturn]] void fail_transfer(CURLcode code, const std::string & url) {
    const std::string message = fmt::format("{}: {}", display_url(url), curl_easy_strerror(code));
    switch (code) {
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
            throw Error(message);
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_CONNECT:
            if (!has_been_answered) throw Unreachable(message);
            throw TransportError(message);
        default:
            throw TransportError(message);
    }
}

// Other things time out, too: connecting, and silence. libcurl's clocks differ by a millisecond or so.
bool took_all_of(std::chrono::milliseconds at_most, CURL * handle) {
    constexpr std::chrono::milliseconds TOLERANCE{20};
    curl_off_t total_us = 0;
    curl_easy_getinfo(handle, CURLINFO_TOTAL_TIME_T, &total_us);
    return at_most.count() > 0 && std::chrono::microseconds(total_us) + TOLERANCE >= at_most;
}

// Without following redirects; `next` becomes where one leads.
Response exchange(const Request & request, const std::string & url, const std::string & token, std::string & next) {
    CURL * handle = thread_handle();
    Transfer transfer{request, handle};
    const std::string user_agent = fmt::format("shimmy/{}", shimmy_version());
    const HeaderList headers = header_list(request);
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_USERAGENT, user_agent.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.patience.count()));
    if (request.at_most.count() > 0)
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.at_most.count()));
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
    if (request.direct) curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, request.only_once ? 1L : 0L);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &transfer);
    if (!token.empty()) {
        curl_easy_setopt(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
        curl_easy_setopt(handle, CURLOPT_XOAUTH2_BEARER, token.c_str());
    }
    if (request.range) {
        const ByteRange & range = *request.range;
        const std::string last = range.n_bytes == 0 ? "" : fmt::format("{}", range.first + range.n_bytes - 1);
        curl_easy_setopt(handle, CURLOPT_RANGE, fmt::format("{}-{}", range.first, last).c_str());
    }
    set_body(transfer);
    const CURLcode code = curl_easy_perform(handle);
    if (transfer.response.stopped) return std::move(transfer.response);
    check_interrupted();
    transfer.response.timed_out = code == CURLE_OPERATION_TIMEDOUT && took_all_of(request.at_most, handle);
    if (transfer.response.timed_out) return std::move(transfer.response);
    if (transfer.error) std::rethrow_exception(transfer.error);
    if (transfer.too_much && request.range) fail("{}: the server does not support byte ranges", display_url(url));
    if (transfer.too_much) fail("{}: the answer is larger than any that it could be", display_url(url));
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &transfer.response.status);
    const bool cut_error_body = code == CURLE_WRITE_ERROR && !transfer.response.ok();
    if (code != CURLE_OK && !cut_error_body) fail_transfer(code, url);
    has_been_answered = true;
    const char * location = nullptr;
    curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &location);
    next = location == nullptr ? "" : location;
    transfer.response.url = url;
    return std::move(transfer.response);
}

struct Origin {
    std::string scheme, host, port;
    bool operator==(const Origin &) const = default;
};

Origin origin_of(const std::string & url) {
    const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
    if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
        fail("{}: not a URL", display_url(url));
    const auto part = [&](CURLUPart which) {
        char * text = nullptr;
        const bool there = curl_url_get(parsed.get(), which, &text, CURLU_DEFAULT_PORT) == CURLUE_OK;
        const std::unique_ptr<char, decltype(&curl_free)> owner(text, &curl_free);
        return there ? lower(text) : std::string();
    };
    return {part(CURLUPART_SCHEME), part(CURLUPART_HOST), part(CURLUPART_PORT)};
}

// 303 and, by custom, 301 and 302 turn a POST into a GET, which would not do what was asked.
bool keeps_method(const std::string & method, long status) {
    return method == "GET" || method == "HEAD" || status == 307 || status == 308;
}

std::string encoded(const std::string & text, const char * plain) {
    std::string out;
    for (const char c : text) {
        const bool keep = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr(plain, c) != nullptr;
        out += keep ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

std::string Response::header(const std::string & lower_case_name) const {
    const auto found = headers.find(lower_case_name);
    return found == headers.end() ? "" : found->second;
}

uint64_t Response::total_bytes() const {
    const std::string range = header("content-range");  // "bytes 0-99/1000"
    uint64_t total = 0;
    const size_t slash = range.find('/');
    if (slash != std::string::npos) std::from_chars(range.data() + slash + 1, range.data() + range.size(), total);
    return total;
}

Response send(const Request & request) {
    std::string url = request.url;
    std::string token = request.token;
    for (int i = 0; i <= MAX_REDIRECTS; ++i) {
        std::string next;
        Response response = exchange(request, url, token, next);
        if (next.empty() || !keeps_method(request.method, response.status)) return response;
        const Origin from = origin_of(url);
        const Origin to = origin_of(next);
        if (request.redirects == Redirects::within_host && from != to) return response;
        if (from != to) token.clear();
        url = next;
    }
    fail("{}: redirects without end", display_url(request.url));
}

std::string display_url(const std::string & url) {
    return url.substr(0, url.find('?'));
}

std::string encoded_path(const std::string & path) {
    return encoded(path, "-._~/");
}

std::string encoded_name(const std::string & name) {
    return encoded(name, "-._~");
}

}  // namespace shimmy::http
