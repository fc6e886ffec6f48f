// A stand-in for the Hugging Face Hub: real HTTP on loopback, with byte ranges, redirects to a storage host, tokens,
// and a count of what was sent.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace shimmy::e2e {

class HubServer {
public:
    // `files`: path in the repository -> local file. A `token` makes the repository private.
    HubServer(std::string repo, std::map<std::string, std::filesystem::path> files, std::string token = "");
    ~HubServer();
    HubServer(const HubServer &) = delete;
    HubServer & operator=(const HubServer &) = delete;

    std::string endpoint() const;
    uint64_t sent_bytes() const { return sent_bytes_; }  // of files, by the storage host
    bool storage_saw_token() const { return storage_saw_token_; }
    void ignore_ranges() { ignore_ranges_ = true; }

private:
    struct Hosts;
    std::unique_ptr<Hosts> hosts_;
    std::atomic<uint64_t> sent_bytes_{0};
    std::atomic<bool> storage_saw_token_{false};
    std::atomic<bool> ignore_ranges_{false};
};

}  // namespace shimmy::e2e
