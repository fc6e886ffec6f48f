// Requests as bytes (tests/http/requests.json), and what a server answers to them.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace shimmy {

struct RawRequest {
    std::string name;
    std::string bytes;
    size_t n_messages = 1;  // that it holds
    bool accepted = false;  // every message is a request; else none, or not all
    std::string differs;    // why llhttp says something else; empty: it says the same
};

// JSON holds bytes as the characters of the same numbers, and repetitions as ["a", 1000].
inline std::vector<RawRequest> raw_requests(const std::filesystem::path & source_dir) {
    const auto bytes_of = [](const std::string & text) {
        std::string bytes;
        for (size_t i = 0; i < text.size(); ++i) {
            const auto c = static_cast<unsigned char>(text[i]);
            bytes += c < 0x80 ? text[i] : static_cast<char>(((c & 0x03) << 6) | (text[++i] & 0x3F));
        }
        return bytes;
    };
    std::vector<RawRequest> requests;
    for (const Json & one : Json::parse(read_file(source_dir / "tests/http/requests.json"))) {
        RawRequest request{one["name"], "", one.value("messages", size_t{1}), one["accepted"],
                           one.value("differs", "")};
        for (const Json & part : one["request"]) {
            const std::string bytes = bytes_of(part.is_string() ? part : part[0]);
            for (size_t i = 0; i < (part.is_string() ? 1 : part[1].get<size_t>()); ++i)
                request.bytes += bytes;
        }
        requests.push_back(request);
    }
    return requests;
}

// Statuses of all answers until the server closes, but for "100 Continue". `address`: "127.0.0.1:PORT".
inline std::vector<int> answers_to(const std::string & bytes, const std::string & address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval timeout{60, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    std::string received;
    if (::connect(fd, reinterpret_cast<const sockaddr *>(&to), sizeof(to)) == 0) {
        for (size_t sent = 0; sent < bytes.size();) {
            const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (n <= 0) break;  // it refused the rest
            sent += static_cast<size_t>(n);
        }
        ::shutdown(fd, SHUT_WR);
        char buffer[4096];
        for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof(buffer), 0)) > 0;)
            received.append(buffer, static_cast<size_t>(n));
    }
    ::close(fd);
    std::vector<int> statuses;
    constexpr std::string_view VERSION = "HTTP/1.1 ";
    for (size_t at = 0; (at = received.find(VERSION, at)) != std::string::npos; at += VERSION.size()) {
        const int status = std::atoi(received.c_str() + at + VERSION.size());  // 0 where a message speaks of it
        if (status > 100) statuses.push_back(status);
    }
    return statuses;
}

}  // namespace shimmy
