// A model spread over two other machines, played by two of llama.cpp's ggml-rpc-server on loopback.
#include "base/error.h"
#include "base/process/child_process.h"
#include "program.h"

#include <map>
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

// Experts stay on this machine, everything else is on the two others. The prompt is long enough that llama.cpp would
// stream its experts to a GPU of this machine.
std::vector<std::string> with_experts_here(const std::vector<std::string> & more) {
    std::vector<std::string> args{"generate",
                                  "--model",
                                  tiny_moe().string(),
                                  "--gpu-backend",
                                  "cpu",
                                  "--ctx",
                                  "256",
                                  "--temperature",
                                  "0",
                                  "--max-tokens",
                                  "16",
                                  "--raw"};
    std::string prompt;
    for (int i = 0; i < 12; ++i)
        prompt += "The old house stood on a hill. ";
    args.insert(args.end(), {"--prompt", prompt});
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

// Tokens that the plugin's experts got, prompt and answer: rounding may move one to another expert, but to no other
// layer.
std::map<int, uint64_t> tokens_by_layer(const Json & run) {
    std::map<int, uint64_t> tokens;
    for (const Json & use : run["expert_use"])
        tokens[use["layer"]] += use["hits"].get<uint64_t>();
    return tokens;
}

TEST(Rpc, ExpertsBesideServersArePluginsInEveryBatch) {
    const RpcServer first;
    const RpcServer second;
    const std::string servers = first.address() + "," + second.address();
    const Json alone = shimmy_json(with_experts_here({"--moe-gpu-min-batch", "32"}));
    const Json stock = shimmy_json(with_experts_here({"--rpc", servers, "--cpu-moe", "--moe-backend", "off"}));
    const Json beside = shimmy_json(with_experts_here({"--rpc", servers, "--cpu-moe", "--moe-gpu-min-batch", "32"}));
    EXPECT_GE(beside["n_prompt_tokens"].get<int>(), 64);
    EXPECT_EQ(beside["text"], stock["text"]);
    EXPECT_EQ(beside["text"], alone["text"]);
    ASSERT_FALSE(alone["expert_use"].is_null());
    EXPECT_EQ(tokens_by_layer(beside), tokens_by_layer(alone)) << "no product was computed by anyone else";
    uint64_t held = 0;
    for (const Json & buffer : beside["memory"]["buffers"])
        if (buffer["buffer_type"] == "MoE") held += buffer["model_bytes"].get<uint64_t>();
    EXPECT_GE(held, beside["memory"]["expert_ram_bytes"].get<uint64_t>()) << beside["memory"];
    EXPECT_EQ(beside["expert_cache"]["state"],
              "off: no GPU of this machine with memory of its own computes the layers around the experts");
}

TEST(Rpc, ACacheOnServersIsKeptIfAskedFor) {
    const RpcServer first;
    const RpcServer second;
    const std::string servers = first.address() + "," + second.address();
    const Json off = shimmy_json(with_experts_here({"--rpc", servers, "--cpu-moe", "--moe-cache", "off"}));
    const Json on = shimmy_json(with_experts_here({"--rpc", servers, "--cpu-moe", "--moe-cache", "8MiB"}));
    EXPECT_EQ(on["text"], off["text"]);
    const Json & cache = on["expert_cache"];
    EXPECT_GT(cache["hits"].get<uint64_t>(), 0U) << cache;
    EXPECT_NE(cache["state"].get<std::string>().find("experts in VRAM"), std::string::npos) << cache;
    const uint64_t bytes = cache["bytes"].get<uint64_t>();
    EXPECT_GE(bytes, cache["slots"].get<uint64_t>() * 384 * 1024);
    EXPECT_EQ(on["memory"]["vram"]["expert_cache_bytes"], bytes);
    EXPECT_EQ(on["memory"]["vram_bytes"], off["memory"]["vram_bytes"].get<uint64_t>() + bytes);
    int n_holding = 0;
    for (const Json & device : on["memory"]["devices"])
        n_holding += device["expert_cache_bytes"].get<uint64_t>() > 0 ? 1 : 0;
    EXPECT_EQ(n_holding, 2) << "each holds experts of its layers: " << on["memory"];
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
