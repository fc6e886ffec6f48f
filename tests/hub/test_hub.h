// The Hub test server (server/main.mjs) as a child of the test: real HTTP on loopback, faults on demand, a log of what
// came.
#pragma once

#include "base/json.h"
#include "base/process/child_process.h"

#include "temp_dir.h"

#include <memory>
#include <string>
#include <vector>

namespace shimmy::e2e {

inline constexpr const char * WRITE_TOKEN = "hf_test_write";  // of "user"
inline constexpr const char * READ_TOKEN = "hf_test_read";
inline constexpr const char * OTHER_TOKEN = "hf_test_other";  // of "other", may write

class TestHub {
public:
    // `settings`: see server/main.mjs.
    explicit TestHub(const Json & settings = Json::object());

    const std::string & endpoint() const { return endpoint_; }
    const std::string & storage() const { return storage_; }

    void set(const Json & settings) { control("settings", settings); }
    void fault(const Json & rule) { control("fault", rule); }                         // see server/faults.mjs
    void mend() { control("mend", Json::object()); }                                  // no more faults
    void release(const std::string & path) { control("release", {{"path", path}}); }  // what a fault of this path holds
    void expire_urls() { control("expire", Json::object()); }
    Json log() const;
    Json state() const;

    // Requests of the log with this method whose URL matches.
    std::vector<Json> requests(const std::string & method, const std::string & url_pattern) const;
    // Bytes of bodies that came to the storage host.
    uint64_t stored_bytes() const;

    // Makes the programs that the test starts talk to this server. `home` becomes HF_HOME.
    void use(const std::string & token, const std::filesystem::path & home) const;

private:
    Json get(const std::string & path) const;
    void control(const std::string & call, const Json & body) const;

    TempDir dir_;
    std::unique_ptr<ChildProcess> process_;
    std::string endpoint_;
    std::string storage_;
};

// Runs official_client.mjs; its output without the last line break.
std::string official_client(const TestHub & hub, const std::string & token, const std::vector<std::string> & args);

}  // namespace shimmy::e2e
