#include "hub/http/retry.h"

#include "base/process/interrupt.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <thread>

namespace shimmy::hub {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds FIRST_WAIT{500};
constexpr milliseconds LONGEST_OWN_WAIT{8000};
constexpr milliseconds LONGEST_ASKED_WAIT{15 * 60 * 1000};  // the Hub's windows are five minutes long
constexpr milliseconds SLICE{50};

bool may_pass(const Response & response) {
    switch (response.status) {
        case 408:
        case 429:
        case 500:
        case 502:
        case 503:
        case 504:
            return true;
        case 400:
            return response.body.find("RequestTimeout") != std::string::npos;
        default:
            return false;
    }
}

milliseconds seconds_after(const std::string & text, size_t at) {
    int seconds = 0;
    if (at < text.size()) std::from_chars(text.data() + at, text.data() + text.size(), seconds);
    return std::chrono::seconds(std::max(0, seconds));
}

// What the server asks for: `Retry-After: 30`, `RateLimit: "api";r=0;t=55`. A Retry-After that is a date counts as
// none.
milliseconds asked_wait(const Response & response) {
    const std::string rate_limit = response.header("ratelimit");
    const size_t t = rate_limit.find(";t=");
    const milliseconds until_reset = t == std::string::npos ? milliseconds(0) : seconds_after(rate_limit, t + 3);
    return std::max(seconds_after(response.header("retry-after"), 0), until_reset);
}

void sleep_interruptibly(milliseconds duration) {
    const auto end = std::chrono::steady_clock::now() + duration;
    while (std::chrono::steady_clock::now() < end) {
        check_interrupted();
        std::this_thread::sleep_for(SLICE);
    }
    check_interrupted();
}

}  // namespace

bool Backoff::again(const Response & response) {
    return may_pass(response) && wait(asked_wait(response), fmt::format("HTTP {}", response.status));
}

bool Backoff::again(const TransportError & error) {
    if (dynamic_cast<const Unreachable *>(&error) != nullptr) return false;
    const std::string reason = error.what();
    const std::string name = what_ + ": ";
    return wait(milliseconds(0), reason.starts_with(name) ? reason.substr(name.size()) : reason);
}

bool Backoff::wait(milliseconds asked, const std::string & reason) {
    if (n_waits_ == max_waits_ || asked > LONGEST_ASKED_WAIT) return false;
    const milliseconds own = std::min(LONGEST_OWN_WAIT, FIRST_WAIT * (1 << n_waits_));
    const milliseconds duration = std::max(own, asked);
    ++n_waits_;
    if (note_) {
        note_(fmt::format("{}: {}: trying again in {:.1f} s ({} of {})", what_, reason,
                          static_cast<double>(duration.count()) / 1000.0, n_waits_, max_waits_));
    }
    sleep_interruptibly(duration);
    return true;
}

Response send_retrying(const Request & request, const std::string & what, const Note & note, int max_waits) {
    Backoff backoff(what, note, max_waits);
    while (true) {
        try {
            Response response = send(request);
            if (!backoff.again(response)) return response;
        } catch (const Unreachable & error) {
            throw Unreachable(fmt::format("{}: is there a network? (HF_ENDPOINT names another Hub)", error.what()));
        } catch (const TransportError & error) {
            if (!backoff.again(error)) throw;
        }
    }
}

}  // namespace shimmy::hub
