// Which connections make room for others, and bodies that come too slowly.
#include "serve/http/connection.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace shimmy::serve {
namespace {

// From an address of loopback, all of which are this machine.
class Client {
public:
    Client(int port, const char * from) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        ::inet_pton(AF_INET, from, &address.sin_addr);
        EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr *>(&address), sizeof(address)), 0);
        ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
        address.sin_port = htons(static_cast<uint16_t>(port));
        EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr *>(&address), sizeof(address)), 0);
        const timeval timeout{60, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    }
    ~Client() { ::close(fd_); }
    Client(const Client &) = delete;
    Client & operator=(const Client &) = delete;

    void send(const std::string & text) const { (void)::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
    // The status of the answer; 0: the connection ended without one.
    int status() const {
        std::string received;
        char byte = 0;
        while (received.find("\r\n\r\n") == std::string::npos && ::recv(fd_, &byte, 1, 0) == 1)
            received += byte;
        return received.size() < 12 ? 0 : std::stoi(received.substr(9, 3));
    }

private:
    int fd_;
};

class Connections : public ::testing::Test {
protected:
    Connections() {
        server_.Get("/", [](const httplib::Request &, httplib::Response & response) { response.status = 200; });
        server_.Get("/busy", [this](const httplib::Request &, httplib::Response & response) {
            ++n_busy_;
            while (!free_)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            response.status = 200;
        });
        server_.new_task_queue = [] { return new httplib::ThreadPool(16); };
        port_ = server_.bind_to_any_port("127.0.0.1");
        listener_ = std::thread([this] { server_.listen_after_bind(); });
        server_.wait_until_ready();
    }
    ~Connections() override {
        free_ = true;
        server_.stop();
        server_.cut_off();
        listener_.join();
    }

    std::unique_ptr<Client> connect(const char * from, size_t n_open) {
        auto client = std::make_unique<Client>(port_, from);
        while (server_.n_open() < n_open)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return client;
    }
    int ask(const Client & client) {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        return client.status();
    }
    std::unique_ptr<Client> keep_busy(const char * from, size_t n_open) {
        auto client = connect(from, n_open);
        const int n = n_busy_;
        client->send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
        while (n_busy_ == n)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return client;
    }

    StrictServer server_{ConnectionLimits{4, 3}};
    std::atomic<int> n_busy_ = 0;
    std::atomic<bool> free_ = false;
    int port_ = 0;
    std::thread listener_;
};

TEST_F(Connections, TheAddressWithTheMostGivesUpTheOneThatWaitedLongest) {
    const auto other = connect("127.0.0.2", 1);
    const auto first = connect("127.0.0.1", 2);
    const auto second = connect("127.0.0.1", 3);
    const auto third = connect("127.0.0.1", 4);
    EXPECT_EQ(ask(*first), 200) << "now it has waited shortest";
    const Client late(port_, "127.0.0.3");
    EXPECT_EQ(ask(late), 200);
    EXPECT_EQ(second->status(), 0) << "it made room";
    for (const Client * kept : {other.get(), first.get(), third.get()})
        EXPECT_EQ(ask(*kept), 200);
}

TEST_F(Connections, AnAddressThatHasItsMostTakesFromItself) {
    const auto other = connect("127.0.0.2", 1);
    const auto first = connect("127.0.0.1", 2);
    const auto second = connect("127.0.0.1", 3);
    const auto third = connect("127.0.0.1", 4);
    const Client fourth(port_, "127.0.0.1");
    EXPECT_EQ(ask(fourth), 200);
    EXPECT_EQ(first->status(), 0);
    EXPECT_EQ(ask(*other), 200);
}

TEST_F(Connections, WhatIsBeingAnsweredIsNotCut) {
    std::vector<std::unique_ptr<Client>> busy;
    for (size_t i = 1; i <= 3; ++i)
        busy.push_back(keep_busy("127.0.0.1", i));
    const Client refused(port_, "127.0.0.1");
    EXPECT_EQ(refused.status(), 503) << "all of this address are busy";
    busy.push_back(keep_busy("127.0.0.2", 4));
    const Client late(port_, "127.0.0.3");
    EXPECT_EQ(late.status(), 503) << "all are busy";
    free_ = true;
    for (const auto & client : busy)
        EXPECT_EQ(client->status(), 200);
}

TEST_F(Connections, AsManyAsThereMayBeAreLeftAlone) {
    std::vector<std::unique_ptr<Client>> clients;
    for (size_t i = 1; i <= 3; ++i)
        clients.push_back(connect("127.0.0.1", i));
    clients.push_back(connect("127.0.0.2", 4));
    for (const auto & client : clients)
        EXPECT_EQ(ask(*client), 200);
}

}  // namespace
}  // namespace shimmy::serve
