// A model spread over two other machines, played by two of llama.cpp's ggml-rpc-server on loopback.
#include "base/error.h"
#include "base/process/child_process.h"
#include "program.h"

#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shimmy::e2e {
namespace {

int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr *>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size), 0);
    ::close(fd);
    return ntohs(address.sin_port);
}

bool accepts(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool connected = ::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0;
    ::close(fd);
    return connected;
}

class RpcServer {
public:
    RpcServer()
        : port_(free_port()),
          process_({fs::path(SHIMMY_PROGRAM).parent_path() / "ggml-rpc-server", "--host", "127.0.0.1", "--port",
                    std::to_string(port_), "--device", "CPU", "--threads", "1"}) {
        for (int i = 0; i < 100 && !accepts(port_); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

private:
    int port_;
    ChildProcess process_;
};

TEST(Rpc, TwoServersHoldTheModelAndGiveTheSameText) {
    const RpcServer first;
    const RpcServer second;
    const std::vector<std::string> args{"generate",
                                        "--model",
                                        tiny_moe().string(),
                                        "--gpu-backend",
                                        "cpu",
                                        "--ctx",
                                        "256",
                                        "--temperature",
                                        "0",
                                        "-n",
                                        "24",
                                        "-p",
                                        "Explain gradient descent in simple terms."};
    const Json alone = shimmy_json(args);
    std::vector<std::string> spread = args;
    spread.insert(spread.end(), {"--rpc", first.address() + "," + second.address()});
    const Json together = shimmy_json(spread);
    EXPECT_EQ(together["text"], alone["text"]);
    int n_holding = 0;
    for (const Json & device : together["memory"]["devices"])
        n_holding += device["model_bytes"].get<uint64_t>() > 1000000 ? 1 : 0;
    EXPECT_EQ(n_holding, 2) << together["memory"];
}

TEST(Rpc, AServerThatIsNotThereIsNamed) {
    const std::vector<std::string> args{"generate", "--model", tiny_moe().string(), "-p", "a", "--rpc"};
    const auto with = [&](const std::string & servers) {
        std::vector<std::string> all = args;
        all.push_back(servers);
        return all;
    };
    expect_failure(with("nowhere"), 2, {"nowhere", "no address"});
    expect_failure(with("127.0.0.1:" + std::to_string(free_port())), 1, {"127.0.0.1:", "ggml-rpc-server"});
}

}  // namespace
}  // namespace shimmy::e2e
