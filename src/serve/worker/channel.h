// One request of the server as a model's process answers it.
#pragma once

#include "serve/wire/documents.h"
#include "serve/wire/frames.h"

#include "server-common.h"

#include <string>

namespace shimmy::serve::worker {

class Channel {
public:
    Channel(Descriptor socket, wire::Ask ask, std::string body);

    const Descriptor & socket() const { return socket_; }
    const wire::Ask & ask() const { return ask_; }
    const std::string & body() const { return body_; }
    void drop_body() { body_ = {}; }

    // What is sent to a server that is gone is lost, without a word.
    void send_head(int status, const std::string & content_type, bool stream);
    void send_data(std::string_view data);
    // llama.cpp's {"code", "message", "type", …}.
    void send_error(const json & error);
    void send_error(int code, const std::string & message);
    void send_end(const wire::Figures & figures = {});
    // A whole answer.
    void answer(std::string_view data, const wire::Figures & figures = {},
                const std::string & content_type = "application/json; charset=utf-8");

private:
    Descriptor socket_;
    wire::Ask ask_;
    std::string body_;
};

}  // namespace shimmy::serve::worker
