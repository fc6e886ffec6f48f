#include "serve/worker/channel.h"

namespace shimmy::serve::worker {

using wire::Kind;
using wire::send_frame;

Channel::Channel(Descriptor socket, wire::Ask ask, std::string body)
    : socket_(std::move(socket)), ask_(std::move(ask)), body_(std::move(body)) {}

void Channel::send_head(int status, const std::string & content_type, bool stream) {
    const Json head{{"status", status}, {"content_type", content_type}, {"stream", stream}};
    send_frame(socket_, Kind::head, head.dump());
}

void Channel::send_data(std::string_view data) {
    send_frame(socket_, Kind::data, data);
}

void Channel::send_error(const json & error) {
    send_frame(socket_, Kind::error, error.dump_safe());
}

void Channel::send_error(int code, const std::string & message) {
    send_error(json{{"code", code}, {"message", message}});
}

void Channel::send_end(const wire::Figures & figures) {
    send_frame(socket_, Kind::end, wire::to_json(figures).dump());
}

void Channel::answer(std::string_view data, const wire::Figures & figures, const std::string & content_type) {
    send_head(200, content_type, /*stream=*/false);
    send_data(data);
    send_end(figures);
}

}  // namespace shimmy::serve::worker
