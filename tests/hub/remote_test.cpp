// A model on the Hub of which only the header is fetched.
#include "hub/download/remote_gguf.h"

#include "gguf/gguf_file.h"
#include "scripted_hub.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace shimmy::hub {
namespace {

const fs::path TINY_MOE = fs::path(SHIMMY_SOURCE_DIR) / "models/tiny-moe/tiny-moe-f16.gguf";

// Sends the ranges of a file that are asked for, at most so many bytes of it.
class FileServer {
public:
    explicit FileServer(std::string content)
        : content_(std::move(content)),
          server_([this](const auto & request, httplib::Response & response) { answer(request, response); }) {}

    Api api() const {
        Environment environment;
        environment.endpoint = server_.url();
        return Api(environment, {}, 0);
    }
    std::vector<std::string> ranges() const {
        std::vector<std::string> ranges;
        for (const auto & request : server_.requests())
            ranges.push_back(request.path + " " + request.header("Range"));
        return ranges;
    }
    int status = 206;
    std::string total;  // in place of the file's size

private:
    void answer(const LocalServer::Request & request, httplib::Response & response) {
        const std::string range = request.header("Range");
        const size_t first = std::stoul(range.substr(range.find('=') + 1));
        const size_t last = std::min(content_.size() - 1, std::stoul(range.substr(range.find('-') + 1)));
        response.status = status;
        response.set_header("content-range", fmt::format("bytes {}-{}/{}", first, last,
                                                         total.empty() ? std::to_string(content_.size()) : total));
        response.set_content(content_.substr(first, last - first + 1), "application/octet-stream");
    }
    std::string content_;
    LocalServer server_;
};

TEST(RemoteGguf, IsTheHeaderOverAHole) {
    const std::string content = read_file(TINY_MOE);
    const FileServer server(content);
    fs::path dir;
    {
        const RemoteGguf remote(server.api(), "u/m", "d/tiny-moe-f16.gguf");
        dir = remote.path().parent_path();
        EXPECT_EQ(remote.path().filename(), "tiny-moe-f16.gguf");
        EXPECT_EQ(fs::file_size(remote.path()), content.size());
        EXPECT_EQ(remote.fetched_bytes(), size_t{2} << 20);
        EXPECT_EQ(server.ranges(), (std::vector<std::string>{"/u/m/resolve/main/d/tiny-moe-f16.gguf bytes=0-2097151"}));
        const gguf::GgufFile ours(remote.path());
        const gguf::GgufFile theirs(TINY_MOE);
        EXPECT_EQ(ours.tensors().size(), theirs.tensors().size());
        EXPECT_EQ(read_file(remote.path()).substr(0, 2 << 20), content.substr(0, 2 << 20));
        EXPECT_EQ(read_file(remote.path()).substr(3 << 20, 100), std::string(100, '\0'));
    }
    EXPECT_FALSE(fs::exists(dir)) << "it goes with the object";
}

// A string of five million letters before the tensors: the header is longer than what is fetched first.
TEST(RemoteGguf, ALongHeaderIsFetchedInSteps) {
    const auto number = [](uint64_t value, size_t n_bytes) {
        std::string bytes;
        for (size_t i = 0; i < n_bytes; ++i)
            bytes += static_cast<char>(value >> (8 * i) & 0xFF);
        return bytes;
    };
    const auto text = [&](const std::string & value) { return number(value.size(), 8) + value; };
    std::string content = "GGUF" + number(3, 4) + number(0, 8) + number(1, 8);
    content += text("x") + number(8, 4) + text(std::string(5000000, 'a'));
    const FileServer server(content + std::string(4000000, 'z'));
    const RemoteGguf remote(server.api(), "u/m", "m.gguf");
    const auto ranges = server.ranges();
    ASSERT_GE(ranges.size(), 2U);
    EXPECT_EQ(ranges[0], "/u/m/resolve/main/m.gguf bytes=0-2097151");
    EXPECT_TRUE(ranges[1].starts_with("/u/m/resolve/main/m.gguf bytes=2097152-")) << "nothing is fetched twice";
    EXPECT_EQ(fs::file_size(remote.path()), content.size() + 4000000);
    EXPECT_LT(remote.fetched_bytes(), fs::file_size(remote.path()));
    EXPECT_EQ(read_file(remote.path()).substr(0, content.size()), content);
}

TEST(RemoteGguf, WhatIsNoHeaderIsSaid) {
    FileServer server(read_file(TINY_MOE).substr(0, 100000));
    const auto error = [&] { return error_of([&] { RemoteGguf(server.api(), "u/m", "m.gguf"); }); };
    EXPECT_NE(error(), "") << "cut off";
    server.status = 404;
    EXPECT_NE(error().find("not found"), std::string::npos);
    server.status = 206;
    server.total = "0";
    EXPECT_NE(error().find("sent an empty range"), std::string::npos);
}

TEST(RemoteGguf, ModelsOfARepository) {
    ScriptedHub hub;
    const std::string call = "GET /api/models/u/m/tree/main?recursive=true&expand=false";
    hub.on(call, json_answer({{{"type", "file"}, {"path", "a-Q2_K.gguf"}}, {{"type", "file"}, {"path", "README.md"}}}));
    EXPECT_EQ(list_models(hub.api(), "u/m"), std::vector<std::string>{"a-Q2_K.gguf"});
    hub.on(call, json_answer(Json::array()));
    EXPECT_EQ(error_of([&] { list_models(hub.api(), "u/m"); }), "u/m: holds no GGUF model");
}

}  // namespace
}  // namespace shimmy::hub
