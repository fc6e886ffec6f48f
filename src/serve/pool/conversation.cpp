#include "serve/pool/conversation.h"

#include "serve/http/log.h"

namespace shimmy::serve {

namespace {

// How soon a client that went away is noticed; 200 ms are promised, and ending takes one step of decoding on top.
constexpr std::chrono::milliseconds READ_INTERVAL{50};

wire::Ask ask_of(const Lease & lease, const std::string & route, const std::map<std::string, std::string> & params,
                 bool tell_timings) {
    wire::Ask ask;
    ask.route = route;
    ask.params = params;
    ask.accepted = lease.asked();
    ask.tell_timings = tell_timings;
    return ask;
}

Descriptor open(const Lease & lease, const wire::Ask & ask, const std::string & body) {
    try {
        return lease->open(ask, body);
    } catch (const std::exception & error) {
        throw HttpError(503, error.what());
    }
}

}  // namespace

Conversation::Conversation(Lease lease, const std::string & path, const std::string & route,
                           const std::map<std::string, std::string> & params, const std::string & body,
                           bool tell_timings, StopCheck should_stop)
    : lease_(std::move(lease)),
      path_(path),
      should_stop_(std::move(should_stop)),
      channel_(open(lease_, ask_of(lease_, route, params, tell_timings), body)),
      reader_(channel_) {}

Conversation::~Conversation() {
    if (!lease_.logs_requests()) return;
    const double total_ms = std::chrono::duration<double, std::milli>(Lease::Clock::now() - lease_.asked()).count();
    const Json & timings = figures_.timings;
    const std::string what =
        timings.is_object()
            ? fmt::format(
                  "queue {:.0f} ms, TTFT {:.0f} ms, prefill {} tokens in {:.0f} ms, decode {} tokens in {:.0f} ms",
                  figures_.queue_ms, figures_.ttft_ms, timings.value("prompt_n", 0), timings.value("prompt_ms", 0.0),
                  timings.value("predicted_n", 0), timings.value("predicted_ms", 0.0))
            : "no tokens computed";
    log("{} {}: {}, total {:.0f} ms", path_, lease_.name(), what, total_ms);
}

wire::Frame Conversation::read() {
    wire::Frame frame;
    while (true) {
        switch (reader_.read(frame, READ_INTERVAL)) {
            case wire::FrameReader::Got::frame:
                return frame;
            case wire::FrameReader::Got::closed:
                ended_ = true;
                throw HttpError(503, fmt::format("{}: its process {}; the next request loads it again", lease_.name(),
                                                 lease_->how_it_ended()));
            case wire::FrameReader::Got::nothing_yet:
                break;
        }
        switch (should_stop_()) {
            case Stop::no:
                break;
            case Stop::client_gone:
                throw ClientGone();
            case Stop::shutting_down:
                throw HttpError(503, "the server is shutting down");
        }
    }
}

const Conversation::Head & Conversation::head() {
    if (head_) return *head_;
    const wire::Frame frame = read();
    const Json document = Json::parse(frame.payload);
    if (frame.kind == wire::Kind::error) {
        ended_ = true;
        throw HttpError(document);
    }
    head_ = {document.value("status", 200), document.value("content_type", ""), document.value("stream", false)};
    return *head_;
}

std::optional<std::string> Conversation::next() {
    head();
    if (ended_) return std::nullopt;
    wire::Frame frame = read();
    if (frame.kind == wire::Kind::data) return std::move(frame.payload);
    ended_ = true;
    if (frame.kind == wire::Kind::error) throw HttpError(Json::parse(frame.payload));
    figures_ = wire::figures_from(Json::parse(frame.payload));
    return std::nullopt;
}

std::string Conversation::rest() {
    std::string all;
    while (std::optional<std::string> part = next())
        all += *part;
    return all;
}

}  // namespace shimmy::serve
