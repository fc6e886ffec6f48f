// Who may ask: hosts, origins and keys are parsed, not compared by how they begin.
#include "serve/http/access.h"
#include "serve/listen/address.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace shimmy::serve {
namespace {

int status(const Access & access, const Asker & asker, bool is_open = false) {
    const auto refusal = access.check(asker, is_open);
    return refusal ? refusal->status : 200;
}

TEST(Address, LoopbackIsWhatTheAddressSaysNotWhatItBeginsWith) {
    for (const char * host : {"127.0.0.1", "127.9.8.7", "::1", "localhost", "::ffff:127.0.0.1"})
        EXPECT_TRUE(is_loopback_host(host)) << host;
    for (const char * host : {"127.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "::", "192.168.0.1", "",
                              "localhost.evil.example", "::ffff:8.8.8.8"})
        EXPECT_FALSE(is_loopback_host(host)) << host;
}

TEST(Address, IsParsed) {
    EXPECT_EQ(parse_address("[::1]:80").text(), "[::1]:80");
    EXPECT_EQ(parse_address(":80").host, "127.0.0.1");
    EXPECT_FALSE(parse_address("127.evil.example:1").is_loopback());
    for (const char * text : {"127.0.0.1", "a:b", "a:-1", "a:65536", "a:", ""})
        EXPECT_THROW(parse_address(text), UsageError) << text;
}

TEST(Access, HostsThatAPublicNameServerCouldPointHereAreRefusedWithoutAKey) {
    const Access access("", {});
    for (const char * host : {"127.0.0.1:1", "localhost", "[::1]:11435", "192.168.1.2:80", "shimmy:11435", "a",
                              "machine.local", "x.localhost:3000", ""})
        EXPECT_EQ(status(access, {host, "", "", ""}), 200) << host;
    for (const char * host : {"evil.example", "evil.example:11435", "127.0.0.1.evil.example", "localhost.evil.example",
                              "evil.example.", "[evil", "a:b:c"})
        EXPECT_EQ(status(access, {host, "", "", ""}), 403) << host;
    EXPECT_EQ(status(Access("", {"https://ai.example.com"}), {"ai.example.com", "", "", ""}), 200);
    EXPECT_EQ(status(Access("", {"*"}), {"evil.example", "", "", ""}), 200);
}

TEST(Access, OriginsOfOthersAreRefusedWithoutAKey) {
    const Access access("", {parse_origin("app://obsidian.md"), parse_origin("https://AI.example.com")});
    for (const char * origin :
         {"", "http://localhost:3000", "https://127.0.0.1", "http://[::1]:80", "http://tauri.localhost",
          "http://me:11435", "app://obsidian.md", "https://ai.example.com"})
        EXPECT_EQ(status(access, {"me:11435", origin, "", ""}), 200) << origin;
    for (const char * origin :
         {"null", "http://localhost.example.com", "http://localhost@evil.example", "file://", "http://me",
          "https://ai.example.com.evil.example", "app://other", "evil", "http://ai.example.com"})
        EXPECT_EQ(status(access, {"me:11435", origin, "", ""}), 403) << origin;
    EXPECT_EQ(access.allowed_origin("app://obsidian.md"), "app://obsidian.md");
    EXPECT_EQ(access.allowed_origin("https://evil.example"), "");
}

TEST(Access, OriginsOnTheCommandLineAreOrigins) {
    for (const char * text : {"example.com", "https://a/b", "https://a b", ""})
        EXPECT_THROW(parse_origin(text), UsageError) << text;
    EXPECT_EQ(parse_origin("HTTPS://A.example"), "https://a.example");
}

TEST(Access, EitherHeaderBringsTheKey) {
    const Access access("secret", {});
    EXPECT_EQ(status(access, {"evil.example", "https://evil.example", "Bearer secret", ""}), 200);
    EXPECT_EQ(status(access, {"", "", "bearer secret", "wrong"}), 200);
    EXPECT_EQ(status(access, {"", "", "Bearer wrong", "secret"}), 200);
    for (const Asker & asker : {Asker{}, Asker{"", "", "Bearer secre", ""}, Asker{"", "", "secret", ""},
                                Asker{"", "", "Bearer ", ""}, Asker{"", "", "", "secret "}})
        EXPECT_EQ(status(access, asker), 401) << asker.authorization << asker.api_key;
    EXPECT_EQ(status(access, {}, /*is_open=*/true), 200);
}

}  // namespace
}  // namespace shimmy::serve
