// Heads of requests: what two parsers could read in two ways is refused.
#include "serve/http/head.h"

#include <gtest/gtest.h>

#include <string>

namespace shimmy::serve {
namespace {

using namespace std::string_literals;

constexpr const char * HOST = "Host: a\r\n";

TEST(Head, WhatIsARequest) {
    for (const std::string & head :
         {"GET / HTTP/1.1\r\n"s + HOST + "\r\n", "POST /v1/x?y=%20 HTTP/1.1\r\nhost:a\r\nContent-Length: 0\r\n\r\n"s,
          "GET / HTTP/1.0\r\n\r\n"s, "GET http://a/b HTTP/1.1\r\n"s + HOST + "\r\n",
          "OPTIONS * HTTP/1.1\r\n"s + HOST + "X-Tab: a\tb\r\nEmpty:\r\n\r\n",
          "POST / HTTP/1.1\r\n"s + HOST + "Transfer-Encoding: Chunked\r\n\r\n", "FOO / HTTP/1.1\r\n"s + HOST + "\r\n",
          "GET /\xc3\xa9 HTTP/1.1\r\n"s + HOST + "\r\n"})
        EXPECT_EQ(head_fault(head), std::nullopt) << head;
}

TEST(Head, WhatIsNone) {
    for (const std::string & head : {"nonsense\r\n\r\n"s,
                                     "\r\n\r\n"s,
                                     "GET  / HTTP/1.1\r\n"s + HOST + "\r\n",
                                     "GET / HTTP/1.1 \r\n"s + HOST + "\r\n",
                                     "GET / HTTP/2.0\r\n"s + HOST + "\r\n",
                                     "GET / http/1.1\r\n"s + HOST + "\r\n",
                                     "G(T / HTTP/1.1\r\n"s + HOST + "\r\n",
                                     "GET a HTTP/1.1\r\n"s + HOST + "\r\n",
                                     "GET ftp://a/b HTTP/1.1\r\n"s + HOST + "\r\n",
                                     "GET /a b HTTP/1.1\r\n"s + HOST + "\r\n",
                                     "GET /\x01 HTTP/1.1\r\n"s + HOST + "\r\n",
                                     "GET / HTTP/1.1\r\n\r\n"s,
                                     "GET / HTTP/1.1\r\n"s + HOST + HOST + "\r\n",
                                     "GET / HTTP/1.1\r\n"s + HOST + " folded\r\n\r\n",
                                     "GET / HTTP/1.1\r\n"s + HOST + "X : a\r\n\r\n",
                                     "GET / HTTP/1.1\r\n"s + HOST + "no colon\r\n\r\n",
                                     "GET / HTTP/1.1\n"s + HOST + "\r\n",
                                     "GET / HTTP/1.1\r\n"s + HOST + "X: a\nY: b\r\n\r\n",
                                     "GET / HTTP/1.1\r\n"s + HOST + "X: a\rY: b\r\n\r\n",
                                     "GET / HTTP/1.1\r\n"s + HOST + "X: \0\r\n\r\n"s,
                                     "GET / HTTP/1.1\r\n"s + HOST + ": a\r\n\r\n"})
        EXPECT_TRUE(head_fault(head)) << head;
}

TEST(Head, BodiesWhoseEndIsInDoubt) {
    const auto fault = [](const std::string & headers) {
        return head_fault("POST / HTTP/1.1\r\n" + std::string(HOST) + headers + "\r\n");
    };
    for (const char * headers :
         {"Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 32\r\n",
          "Content-Length: -1\r\n", "Content-Length: +5\r\n", "Content-Length: 5, 5\r\n", "Content-Length: 0x5\r\n",
          "Content-Length:\r\n", "Content-Length: 99999999999999999999\r\n",
          "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Transfer-Encoding: gzip, chunked\r\n",
          "Transfer-Encoding: identity\r\n", "Transfer-Encoding: xchunked\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding:\vchunked\r\n"})
        EXPECT_TRUE(fault(headers)) << headers;
    EXPECT_EQ(fault("Content-Length: 5\r\n"), std::nullopt);
    EXPECT_TRUE(head_fault("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

}  // namespace
}  // namespace shimmy::serve
