#include "hub_server.h"

#include "base/error.h"
#include "base/json.h"

#include "httplib.h"

#include <fstream>
#include <thread>

namespace shimmy::e2e {

struct HubServer::Hosts {
    httplib::Server hub;
    httplib::Server storage;
    int hub_port = 0;
    int storage_port = 0;
    std::thread hub_thread;
    std::thread storage_thread;
};

namespace {

std::string part_of(const std::filesystem::path & file, size_t offset, size_t n_bytes) {
    std::ifstream stream(file, std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    std::string bytes(n_bytes, '\0');
    stream.read(bytes.data(), static_cast<std::streamsize>(n_bytes));
    return bytes;
}

}  // namespace

HubServer::HubServer(std::string repo, std::map<std::string, std::filesystem::path> files, std::string token)
    : hosts_(std::make_unique<Hosts>()) {
    const auto allowed = [token](const httplib::Request & request) {
        return token.empty() || request.get_header_value("Authorization") == "Bearer " + token;
    };
    const auto refuse = [](httplib::Response & response) {
        response.status = 401;
        response.set_header("X-Error-Code", "RepoNotFound");
    };
    hosts_->storage.Get("/store/(.*)", [this, files](const httplib::Request & request, httplib::Response & response) {
        if (request.has_header("Authorization")) storage_saw_token_ = true;
        const std::filesystem::path file = files.at(request.matches[1]);
        if (ignore_ranges_) const_cast<httplib::Request &>(request).ranges.clear();
        response.set_content_provider(std::filesystem::file_size(file), "application/octet-stream",
                                      [this, file](size_t offset, size_t n_bytes, httplib::DataSink & sink) {
                                          const std::string bytes =
                                              part_of(file, offset, std::min<size_t>(n_bytes, 65536));
                                          sent_bytes_ += bytes.size();
                                          return sink.write(bytes.data(), bytes.size());
                                      });
    });
    hosts_->hub.Get("/api/models/" + repo + "/tree/main", [files, allowed, refuse](const httplib::Request & request,
                                                                                   httplib::Response & response) {
        if (!allowed(request)) return refuse(response);
        Json entries = Json::array({{{"type", "directory"}, {"path", "folder"}},
                                    {{"type", "file"}, {"path", "README.md"}, {"size", 10}},
                                    {{"type", "file"}, {"path", "mmproj-F16.gguf"}, {"size", 10}}});
        for (const auto & [path, file] : files) {
            entries.push_back({{"type", "file"}, {"path", path}, {"size", std::filesystem::file_size(file)}});
        }
        response.set_content(entries.dump(), "application/json");
    });
    hosts_->hub.Get("/" + repo + "/resolve/main/(.*)",
                    [this, allowed, refuse](const httplib::Request & request, httplib::Response & response) {
                        if (!allowed(request)) return refuse(response);
                        // Another host name and port, as the Hub's storage has.
                        response.set_redirect(fmt::format("http://localhost:{}/store/{}", hosts_->storage_port,
                                                          std::string(request.matches[1])));
                    });
    hosts_->hub_port = hosts_->hub.bind_to_any_port("127.0.0.1");
    hosts_->storage_port = hosts_->storage.bind_to_any_port("127.0.0.1");
    if (hosts_->hub_port <= 0 || hosts_->storage_port <= 0) fail("no free port on loopback");
    hosts_->hub_thread = std::thread([this] { hosts_->hub.listen_after_bind(); });
    hosts_->storage_thread = std::thread([this] { hosts_->storage.listen_after_bind(); });
    hosts_->hub.wait_until_ready();
    hosts_->storage.wait_until_ready();
}

HubServer::~HubServer() {
    hosts_->hub.stop();
    hosts_->storage.stop();
    hosts_->hub_thread.join();
    hosts_->storage_thread.join();
}

std::string HubServer::endpoint() const {
    return fmt::format("http://127.0.0.1:{}", hosts_->hub_port);
}

}  // namespace shimmy::e2e
