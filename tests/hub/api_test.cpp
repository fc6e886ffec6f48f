// Requests and their answers: retries, redirects, ranges, errors, and whom the token is sent to.
#include "hub/api/api.h"

#include "scripted_hub.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <fstream>

namespace shimmy::hub {
namespace {

// Thrown by a note, so that a test sees a wait and does not wait.
struct Told {
    std::string line;
};

// What a backoff says about its waits until it gives up.
std::vector<std::string> waits(Backoff & backoff, std::vector<std::string> & lines, const Response & response) {
    lines.clear();
    while (true) {
        try {
            if (!backoff.again(response)) return lines;
        } catch (const Told &) {
        }
    }
}

TEST(HubBackoff, DoublesUpToEightSecondsFiveTimes) {
    std::vector<std::string> lines;
    const Note note = [&](const std::string & line) {
        lines.push_back(line);
        throw Told{line};
    };
    Response busy;
    busy.status = 503;
    Backoff backoff("x", note);
    EXPECT_EQ(waits(backoff, lines, busy),
              (std::vector<std::string>{
                  "x: HTTP 503: trying again in 0.5 s (1 of 5)", "x: HTTP 503: trying again in 1.0 s (2 of 5)",
                  "x: HTTP 503: trying again in 2.0 s (3 of 5)", "x: HTTP 503: trying again in 4.0 s (4 of 5)",
                  "x: HTTP 503: trying again in 8.0 s (5 of 5)"}));
    backoff.reset();
    EXPECT_EQ(waits(backoff, lines, busy).size(), 5U) << "something was achieved since";
    Backoff longer("x", note, 7);
    EXPECT_EQ(waits(longer, lines, busy).back(), "x: HTTP 503: trying again in 8.0 s (7 of 7)");
    Backoff none("x", note, 0);
    EXPECT_TRUE(waits(none, lines, busy).empty());
    Backoff broken("x", note, 1);
    EXPECT_THROW(broken.again(TransportError("cut")), Told);
    EXPECT_EQ(lines.back(), "x: cut: trying again in 0.5 s (1 of 1)");
    Backoff named("x", note, 1);
    EXPECT_THROW(named.again(TransportError("x: cut")), Told);
    EXPECT_EQ(lines.back(), "x: cut: trying again in 0.5 s (1 of 1)") << "its name stands once";
    EXPECT_FALSE(broken.again(TransportError("cut")));
}

TEST(HubBackoff, WaitsAsLongAsTheServerAsks) {
    std::string line;
    const auto wait_for = [&](const std::map<std::string, std::string> & headers) {
        line.clear();
        Response busy;
        busy.status = 429;
        busy.headers = headers;
        Backoff backoff("x", [&](const std::string & said) {
            line = said.substr(said.find(" in ") + 4);
            throw Told{said};
        });
        try {
            backoff.again(busy);
        } catch (const Told &) {
        }
        return line;
    };
    EXPECT_EQ(wait_for({{"retry-after", "30"}}), "30.0 s (1 of 5)");
    EXPECT_EQ(wait_for({{"ratelimit", "\"api\";r=0;t=55"}}), "55.0 s (1 of 5)");
    EXPECT_EQ(wait_for({{"ratelimit", "\"api\";r=0;t=55"}, {"retry-after", "60"}}), "60.0 s (1 of 5)");
    EXPECT_EQ(wait_for({{"retry-after", "0"}}), "0.5 s (1 of 5)");
    EXPECT_EQ(wait_for({{"retry-after", "-5"}}), "0.5 s (1 of 5)");
    EXPECT_EQ(wait_for({{"retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"}}), "0.5 s (1 of 5)");
    EXPECT_EQ(wait_for({{"ratelimit", "\"api\";r=0;t="}}), "0.5 s (1 of 5)");
    EXPECT_EQ(wait_for({{"retry-after", "900"}}), "900.0 s (1 of 5)");
    EXPECT_EQ(wait_for({{"retry-after", "901"}}), "") << "more than a quarter of an hour is given up";
}

TEST(HubBackoff, OnlyForWhatMayPass) {
    const auto may_pass = [](long status, const std::string & body = "") {
        Response response;
        response.status = status;
        response.body = body;
        Backoff backoff("x", [](const std::string & line) { throw Told{line}; });
        try {
            return backoff.again(response);
        } catch (const Told &) {
            return true;
        }
    };
    for (const long status : {408L, 429L, 500L, 502L, 503L, 504L})
        EXPECT_TRUE(may_pass(status)) << status;
    for (const long status : {200L, 301L, 400L, 401L, 403L, 404L, 409L, 412L, 501L, 505L})
        EXPECT_FALSE(may_pass(status)) << status;
    EXPECT_TRUE(may_pass(400, "<Code>RequestTimeout</Code>"));
}

TEST(HubApi, TriesAgainAndReturnsTheLastAnswer) {
    ScriptedHub hub;
    hub.in_turn("GET /x", {{503}, {200, R"({"a": 1})"}});
    std::vector<std::string> lines;
    const Api patient = hub.api(1, [&](const std::string & line) { lines.push_back(line); });
    EXPECT_EQ(patient.get("/x").status, 200);
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0], hub.url() + "/x: HTTP 503: trying again in 0.5 s (1 of 1)");
    hub.in_turn("GET /x", {{503}, {502}, {200}});
    EXPECT_EQ(patient.get("/x").status, 502);
    EXPECT_EQ(hub.api(0).get("/x").status, 200);
    Environment nobody;
    nobody.endpoint = "http://127.0.0.1:1";
    EXPECT_THROW(Api(nobody, {}, 0).get("/x"), TransportError);
}

TEST(HubApi, TheTokenGoesToTheEndpointAlone) {
    ScriptedHub hub;
    ScriptedHub storage;
    storage.on("GET /y", {200});
    hub.on("GET /x", {302, "", {{"location", storage.url() + "/y"}}});
    hub.on("GET /same", {307, "", {{"location", "/z"}}});
    hub.on("GET /z", {200});
    hub.on("POST /p", {200});
    const Api api = hub.api();
    EXPECT_EQ(api.get("/x").url, storage.url() + "/y");
    EXPECT_EQ(storage.requests()[0].header("Authorization"), "");
    EXPECT_EQ(api.get("/same").url, hub.url() + "/z");
    EXPECT_EQ(api.get(storage.url() + "/y").status, 200);
    EXPECT_EQ(storage.requests()[1].header("Authorization"), "");
    for (const auto & request : hub.requests())
        EXPECT_EQ(request.header("Authorization"), "Bearer hf_secret") << request.path;
    EXPECT_EQ(api.request("GET", hub.url() + ".example.org/x").token, "") << "a host that only begins like it";
    EXPECT_EQ(api.request("PUT", hub.url() + "/x").token, "hf_secret");
    EXPECT_EQ(api.request("PUT", "/x").url, hub.url() + "/x");
    EXPECT_EQ(api.request("PUT", "/x").method, "PUT");
    EXPECT_EQ(Api(hub.environment("")).request("GET", "/x").token, "");
}

TEST(HubApi, RedirectsKeepTheMethodOrAreTheAnswer) {
    ScriptedHub hub;
    ScriptedHub storage;
    for (const auto & [path, status] :
         {std::pair{"/301", 301}, {"/302", 302}, {"/303", 303}, {"/307", 307}, {"/308", 308}}) {
        hub.on(std::string("POST ") + path, {status, "", {{"location", "/there"}}});
        hub.on(std::string("GET ") + path, {status, "", {{"location", "/there"}}});
    }
    hub.on("POST /there", {200});
    hub.on("GET /there", {200});
    hub.on("GET /out", {302, "", {{"location", storage.url() + "/y"}}});
    storage.on("GET /y", {200});
    hub.on("GET /loop", {302, "", {{"location", "/loop"}}});
    const Api api = hub.api();
    EXPECT_EQ(api.post_json("/301", {}).status, 301);
    EXPECT_EQ(api.post_json("/302", {}).status, 302);
    EXPECT_EQ(api.post_json("/303", {}).status, 303);
    EXPECT_EQ(api.post_json("/307", {}).status, 200);
    EXPECT_EQ(api.post_json("/308", {}).status, 200);
    for (const char * path : {"/301", "/302", "/303", "/307", "/308"})
        EXPECT_EQ(api.get(path).status, 200) << path;
    Request within = api.request("GET", "/out");
    within.redirects = Redirects::within_host;
    EXPECT_EQ(send(within).status, 302);
    within = api.request("GET", "/302");
    within.redirects = Redirects::within_host;
    EXPECT_EQ(send(within).status, 200);
    EXPECT_EQ(error_of([&] { api.get("/loop"); }), hub.url() + "/loop: redirects without end");
    EXPECT_EQ(hub.n_calls("GET /loop"), 11U) << "ten are followed";
}

TEST(HubApi, PostsSayWhatTheyAre) {
    ScriptedHub hub;
    hub.on("POST /a", {200});
    const Api api = hub.api();
    api.post_json("/a", {{"x", 1}});
    api.post("/a", "y", LFS_JSON_TYPE);
    const auto requests = hub.requests();
    EXPECT_EQ(requests[0].header("Content-Type"), "application/json");
    EXPECT_EQ(requests[0].body, R"({"x":1})");
    EXPECT_EQ(requests[1].header("Content-Type"), LFS_JSON_TYPE);
    EXPECT_EQ(requests[1].header("Accept"), LFS_JSON_TYPE);
    EXPECT_NE(requests[0].header("Accept"), LFS_JSON_TYPE);
    EXPECT_TRUE(requests[0].header("User-Agent").starts_with("shimmy/"));
}

TEST(HubApi, ErrorsSayWhatToDo) {
    ScriptedHub hub;
    const Api api = hub.api();
    const Api stranger(hub.environment(""), {}, 0);
    const auto said = [](const Api & by, const Answer & answer) {
        Response response;
        response.status = answer.status;
        response.body = answer.body;
        response.headers = answer.headers;
        return error_of([&] { by.fail_answer(response, "u/m"); });
    };
    EXPECT_EQ(said(api, {401, ""}), "u/m: no access (HTTP 401): the token in HF_TOKEN may not do this");
    EXPECT_EQ(said(stranger, {403, ""}),
              "u/m: no access (HTTP 403): set HF_TOKEN if the repository is private or gated, and check the name");
    EXPECT_EQ(said(api, {404, "", {{"x-error-code", "GatedRepo"}}}),
              "u/m: no access (HTTP 404): the token in HF_TOKEN may not do this");
    EXPECT_EQ(said(api, {404, R"({"error": "gone"})"}), "u/m: not found on " + hub.url() + " (gone)");
    EXPECT_EQ(said(api, {429, ""}), "u/m: " + hub.url() + " limits how often it may be asked: try again later");
    EXPECT_EQ(said(api, {500, R"({"message": "m"})"}), "u/m: " + hub.url() + " answered HTTP 500 (m)");
    EXPECT_EQ(said(api, {500, R"({"error": 3, "message": "m"})"}), "u/m: " + hub.url() + " answered HTTP 500 (m)");
    EXPECT_EQ(said(api, {500, "[]"}), "u/m: " + hub.url() + " answered HTTP 500");
    EXPECT_EQ(said(api, {500, R"({"error": "x"})", {{"x-error-message", "header hf_secret and hf_secret"}}}),
              "u/m: " + hub.url() + " answered HTTP 500 (header *** and ***)");
}

TEST(HubApi, DocumentsAreJsonOfAGoodAnswer) {
    ScriptedHub hub;
    const Api api = hub.api();
    const auto document = [&](int status, const std::string & body) {
        Response response;
        response.status = status;
        response.body = body;
        return api.document(response, "u/m");
    };
    EXPECT_EQ(document(200, "[1]"), Json::array({1}));
    EXPECT_EQ(document(299, "3"), Json(3));
    EXPECT_EQ(error_of([&] { document(200, "<html>"); }), "u/m: " + hub.url() + " sent something that is not JSON");
    EXPECT_NE(error_of([&] { document(300, "[1]"); }), "");
    EXPECT_NE(error_of([&] { document(199, "[1]"); }), "");
    EXPECT_TRUE(error_of([] {
                    checking_answers([]() -> int { return Json::array().at("x"); });
                }).starts_with("unexpected response from the Hub"));
    EXPECT_EQ(checking_answers([] { return 3; }), 3);
}

TEST(HubHttp, RangesAndWhatComesInTheirPlace) {
    ScriptedHub hub;
    hub.on("GET /r", {206, "0123", {{"content-range", "bytes 5-8/1000"}, {"x-odd", "a  b"}}});
    hub.on("GET /whole", {200, std::string(20, 'x')});
    Request request = hub.api().request("GET", "/r");
    request.range = ByteRange{5, 4};
    std::string got;
    request.on_body = [&](std::string_view bytes) { got += bytes; };
    const Response response = send(request);
    EXPECT_EQ(got, "0123");
    EXPECT_EQ(response.body, "") << "it went to on_body";
    EXPECT_EQ(response.total_bytes(), 1000U);
    EXPECT_EQ(response.header("x-odd"), "a  b");
    EXPECT_EQ(response.header("absent"), "");
    EXPECT_EQ(hub.requests().back().header("Range"), "bytes=5-8");
    request.range = ByteRange{5, 0};
    send(request);
    EXPECT_EQ(hub.requests().back().header("Range"), "bytes=5-");
    request = hub.api().request("GET", "/whole?key=secret");
    hub.on("GET /whole?key=secret", {200, std::string(20, 'x')});
    request.range = ByteRange{0, 20};
    EXPECT_EQ(send(request).body.size(), 20U);
    EXPECT_EQ(Response().total_bytes(), 0U);
    request.range = ByteRange{0, 19};
    EXPECT_EQ(error_of([&] { send(request); }), hub.url() + "/whole: the server does not support byte ranges");
}

TEST(HubHttp, AnErrorsBodyIsKeptAndCut) {
    ScriptedHub hub;
    hub.on("GET /e", {500, std::string(3 << 20, 'x')});
    Request request = hub.api().request("GET", "/e");
    bool called = false;
    request.on_body = [&](std::string_view) { called = true; };
    const Response response = send(request);
    EXPECT_EQ(response.status, 500);
    EXPECT_FALSE(called) << "on_body gets what was asked for";
    EXPECT_GT(response.body.size(), 1000U);
    EXPECT_LE(response.body.size(), size_t{1} << 20);
    hub.on("GET /e", {200, "abc"});
    request.on_body = [](std::string_view) { throw Error("full disk"); };
    EXPECT_EQ(error_of([&] { send(request); }), "full disk");
}

TEST(HubHttp, PartsOfFilesAreSentAndHashed) {
    ScriptedHub hub;
    hub.on("PUT /p", {200, "", {{"etag", "\"e\""}}});
    const TempDir dir;
    write_file_atomic(dir / "f", "0123456789");
    Request request = hub.api().request("PUT", "/p");
    Digest hash(Digest::Kind::sha256);
    hash.update("what another try left");
    request.file = FileSlice{dir / "f", 3, 4, &hash};
    uint64_t sent = 0;
    request.on_sent = [&](uint64_t n_bytes) { sent = n_bytes; };
    EXPECT_EQ(send(request).header("etag"), "\"e\"");
    EXPECT_EQ(hub.requests()[0].body, "3456");
    EXPECT_EQ(hub.requests()[0].header("Content-Length"), "4");
    EXPECT_EQ(hash.hex(), sha256_hex("3456"));
    EXPECT_EQ(sent, 4U);
    request.file = FileSlice{dir / "f", 8, 4, nullptr};
    EXPECT_NE(error_of([&] { send(request); }).find("became shorter while it was sent"), std::string::npos);
    request.file = FileSlice{dir / "absent", 0, 4, nullptr};
    EXPECT_NE(error_of([&] { send(request); }).find("absent"), std::string::npos);
    request.file = FileSlice{dir / "f", 0, 10, nullptr};
    request.on_sent = [](uint64_t) { throw Error("stop"); };
    EXPECT_EQ(error_of([&] { send(request); }), "stop");
}

TEST(HubHttp, UrlsInMessagesAndPaths) {
    EXPECT_EQ(display_url("http://x/y?signature=z"), "http://x/y");
    EXPECT_EQ(display_url("http://x/y"), "http://x/y");
    EXPECT_EQ(encoded_path("a b/ü~-._#"), "a%20b/%C3%BC~-._%23");
    EXPECT_EQ(encoded_name("refs/pr/1"), "refs%2Fpr%2F1");
    Request request;
    request.url = "ftp://127.0.0.1/x";
    EXPECT_NE(error_of([&] { send(request); }), "");
    try {
        send(request);
    } catch (const TransportError &) {
        ADD_FAILURE() << "another try does not mend it";
    } catch (const Error &) {
    }
}

}  // namespace
}  // namespace shimmy::hub
