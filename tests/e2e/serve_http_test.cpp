// shimmy serve reads HTTP strictly. The same requests are judged by llhttp in tests/slow/serve_test.cpp.
#include "base/error.h"
#include "http/raw_requests.h"
#include "server_process.h"

namespace shimmy::e2e {
namespace {

TEST(ServeHttp, WhatIsARequestIsAnsweredAndNothingElse) {
    ServerProcess server({"--model", tiny_moe().string()});
    const std::vector<RawRequest> requests = raw_requests(SHIMMY_SOURCE_DIR);
    EXPECT_GT(requests.size(), 120U);
    for (const RawRequest & request : requests) {
        const std::vector<int> answers = answers_to(request.bytes, server.address());
        const auto n_good = std::count_if(answers.begin(), answers.end(), [](int status) { return status != 400; });
        if (request.accepted) {
            EXPECT_EQ(answers.size(), request.n_messages) << request.name;
            EXPECT_EQ(n_good, request.n_messages) << request.name;
        } else {
            // One fault ends the connection, whatever stands behind it.
            EXPECT_LE(answers.size(), static_cast<size_t>(n_good) + 1) << request.name;
            EXPECT_EQ(n_good, request.name == "a request, then a fault" ? 1 : 0) << request.name;
        }
    }
    EXPECT_EQ(server.curl("/health").status, 200);
}

TEST(ServeHttp, AWholeAddressIsItsPath) {
    ServerProcess server({"--model", tiny_moe().string()});
    const auto status = [&](const std::string & target) {
        const auto answers = answers_to("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n", server.address());
        return answers.size() == 1 ? answers.front() : 0;
    };
    EXPECT_EQ(status("http://example.com/health"), 200);
    EXPECT_EQ(status("https://example.com:80/v1/models?x=://y"), 200);
    EXPECT_EQ(status("http://example.com"), 200) << "the page";
    EXPECT_EQ(status("http://example.com?x=/nothing"), 200) << "the page";
    EXPECT_EQ(status("http://example.com/nothing"), 404);
    EXPECT_EQ(status("/health?x=http://example.com/nothing"), 200);
}

}  // namespace
}  // namespace shimmy::e2e
