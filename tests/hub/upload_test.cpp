// Files into the storage: in parts, again after failures, and what is remembered of them.
#include "hub/upload/lfs_upload.h"
#include "hub/upload/multipart_state.h"
#include "scripted_hub.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace shimmy::hub {
namespace {

using Names = std::vector<std::string>;

const std::string SHA = sha256_hex("0123456789");  // of what is uploaded, in parts of four

class HubUpload : public ::testing::Test {
protected:
    HubUpload() {
        write_file_atomic(dir_ / "f", "0123456789");
        object_ = {dir_ / "f", SHA, 10};
        options_.state_dir = dir_ / "state";
        options_.n_parallel = 1;
        for (int part = 1; part <= 3; ++part)
            hub_.on(put(part), {200, "", {{"etag", fmt::format("e{}", part)}}});
        hub_.on(COMPLETE, {200});
        hub_.on("POST /verify", {200});
        hub_.on(BATCH, batch(upload_parts("one")));
    }

    // Part addresses of an upload, with a signature that changes.
    Json upload_parts(const std::string & id, const std::string & signature = "s") const {
        Json header{{"chunk_size", "4"}};
        for (int part = 1; part <= 3; ++part)
            header[fmt::format("{:05}", part)] =
                fmt::format("{}/part/{}?uploadId={}&sig={}", hub_.url(), part, id, signature);
        return {{"href", hub_.url() + "/complete"}, {"header", header}};
    }
    Answer batch(const Json & upload, bool verify = true) const {
        Json actions = Json::object();
        if (!upload.is_null()) actions["upload"] = upload;
        if (verify) actions["verify"] = {{"href", hub_.url() + "/verify"}};
        return json_answer({{"objects", {{{"oid", SHA}, {"size", 10}, {"actions", actions}}}}});
    }
    static std::string put(int part, const std::string & id = "one", const std::string & signature = "s") {
        return fmt::format("PUT /part/{}?uploadId={}&sig={}", part, id, signature);
    }
    UploadResult upload() {
        const LfsTarget target{"u/m", "main"};
        return upload_object(hub_.api(0, [this](const std::string & line) { said_.push_back(line); }), target, object_,
                             options_, [this](uint64_t done, uint64_t total) {
                                 EXPECT_LE(done, total);
                                 EXPECT_EQ(total, 10U);
                             });
    }
    Names puts() const {
        Names puts;
        for (const auto & request : hub_.requests()) {
            if (request.method == "PUT") puts.push_back(request.path + " " + request.body);
        }
        return puts;
    }
    bool state_is_kept() const { return fs::exists(dir_ / "state" / (SHA + ".json")); }

    TempDir dir_;
    ScriptedHub hub_;
    LfsObject object_;
    UploadOptions options_;
    Names said_;
    const std::string BATCH = "POST /u/m.git/info/lfs/objects/batch";
    const std::string COMPLETE = "POST /complete";
};

TEST_F(HubUpload, InParts) {
    const UploadResult result = upload();
    EXPECT_EQ(result.sent_bytes, 10U);
    EXPECT_FALSE(result.was_there);
    EXPECT_EQ(puts(), (Names{"/part/1?uploadId=one&sig=s 0123", "/part/2?uploadId=one&sig=s 4567",
                             "/part/3?uploadId=one&sig=s 89"}));
    EXPECT_EQ(hub_.calls(), (Names{BATCH, put(1), put(2), put(3), COMPLETE, "POST /verify"}));
    const auto requests = hub_.requests();
    EXPECT_EQ(Json::parse(requests[0].body), (Json{{"operation", "upload"},
                                                   {"transfers", {"basic", "multipart"}},
                                                   {"hash_algo", "sha256"},
                                                   {"ref", {{"name", "main"}}},
                                                   {"objects", {{{"oid", SHA}, {"size", 10}}}}}));
    EXPECT_EQ(Json::parse(requests[4].body), (Json{{"oid", SHA},
                                                   {"parts",
                                                    {{{"partNumber", 1}, {"etag", "e1"}},
                                                     {{"partNumber", 2}, {"etag", "e2"}},
                                                     {{"partNumber", 3}, {"etag", "e3"}}}}}));
    EXPECT_EQ(requests[4].header("Content-Type"), LFS_JSON_TYPE);
    EXPECT_EQ(requests[4].header("Accept"), LFS_JSON_TYPE);
    EXPECT_EQ(requests[4].header("Authorization"), "") << "signed addresses get no token";
    EXPECT_EQ(requests[1].header("Authorization"), "");
    EXPECT_EQ(Json::parse(requests[5].body), (Json{{"oid", SHA}, {"size", 10}}));
    EXPECT_FALSE(state_is_kept());
}

TEST_F(HubUpload, SeveralPartsAtOnce) {
    options_.n_parallel = 3;
    EXPECT_EQ(upload().sent_bytes, 10U);
    Names sent = puts();
    std::sort(sent.begin(), sent.end());
    EXPECT_EQ(sent.size(), 3U);
    EXPECT_EQ(std::set<std::string>(sent.begin(), sent.end()).size(), 3U) << "each once";
    const std::string body = hub_.requests()[4].body;
    for (int part = 1; part <= 3; ++part)
        EXPECT_NE(body.find(fmt::format(R"({{"partNumber":{0},"etag":"e{0}"}})", part)), std::string::npos) << body;
}

// Under ThreadSanitizer, a test of the sender's lock.
TEST_F(HubUpload, ManyPartsAtOnceAreSentOnceEach) {
    constexpr int N_PARTS = 150;
    std::string content;
    Json header{{"chunk_size", "4"}};
    for (int part = 1; part <= N_PARTS; ++part) {
        content += fmt::format("{:04}", part);
        header[std::to_string(part)] = hub_.url() + put(part).substr(4);
        hub_.on(put(part), {200, "", {{"etag", fmt::format("e{}", part)}}});
    }
    write_file_atomic(dir_ / "f", content);
    object_ = {dir_ / "f", sha256_hex(content), content.size()};
    options_.n_parallel = 8;
    hub_.on(BATCH,
            json_answer({{"objects",
                          {{{"oid", object_.sha256},
                            {"actions", {{"upload", {{"href", hub_.url() + "/complete"}, {"header", header}}}}}}}}}));
    const UploadResult result = upload_object(hub_.api(), {"u/m", "main"}, object_, options_, {});
    EXPECT_EQ(result.sent_bytes, content.size());
    Names sent = puts();
    EXPECT_EQ(sent.size(), static_cast<size_t>(N_PARTS));
    EXPECT_EQ(std::set<std::string>(sent.begin(), sent.end()).size(), static_cast<size_t>(N_PARTS));
    const Json completion = Json::parse(hub_.requests().back().body)["parts"];
    ASSERT_EQ(completion.size(), static_cast<size_t>(N_PARTS));
    for (int part = 1; part <= N_PARTS; ++part)
        EXPECT_EQ(completion[static_cast<size_t>(part - 1)]["etag"], fmt::format("e{}", part));
}

TEST_F(HubUpload, WhatIsThereIsNotSent) {
    hub_.on(BATCH, batch(nullptr));
    EXPECT_TRUE(upload().was_there);
    EXPECT_EQ(hub_.calls(), (Names{BATCH}));
}

TEST_F(HubUpload, InOnePiece) {
    hub_.on(BATCH, batch({{"href", hub_.url() + "/basic"}}, false));
    hub_.on("PUT /basic", {200});
    EXPECT_EQ(upload().sent_bytes, 10U);
    EXPECT_EQ(puts(), (Names{"/basic 0123456789"}));
    EXPECT_EQ(hub_.n_calls("POST /verify"), 0U) << "it was not asked for";
}

TEST_F(HubUpload, ExpiredAddressesOfOnePieceAreAskedForThreeTimes) {
    hub_.on(BATCH, batch({{"href", hub_.url() + "/basic"}}));
    hub_.in_turn("PUT /basic", {{403, ""}, {403, ""}, {200}});
    EXPECT_EQ(upload().sent_bytes, 10U);
    EXPECT_EQ(hub_.n_calls(BATCH), 3U);
    hub_.on("PUT /basic", {403, ""});
    EXPECT_NE(error_of([&] { upload(); }).find("the storage answered HTTP 403"), std::string::npos);
    EXPECT_EQ(hub_.n_calls(BATCH), 3U + 4U);
    hub_.on("PUT /basic", {400, R"({"error": "BadDigest"})"});
    EXPECT_NE(error_of([&] { upload(); }).find("HTTP 400 BadDigest"), std::string::npos);
    hub_.on("PUT /basic", {403, ""});
    hub_.in_turn(BATCH, {batch({{"href", hub_.url() + "/basic"}}), batch(nullptr)});
    EXPECT_EQ(upload().sent_bytes, 10U) << "it got there";
}

TEST_F(HubUpload, AnotherFileIsNotSent) {
    object_.sha256 = sha256_hex("other");
    hub_.on(BATCH,
            json_answer({{"objects", {{{"oid", object_.sha256}, {"actions", {{"upload", upload_parts("one")}}}}}}}));
    const std::string beginnings =
        fmt::format("(its sha256 is {}…, not {}…)", SHA.substr(0, 12), sha256_hex("other").substr(0, 12));
    EXPECT_NE(error_of([&] { upload(); }).find("is not what was to be uploaded " + beginnings), std::string::npos);
    EXPECT_EQ(hub_.n_calls(COMPLETE), 0U);
}

TEST_F(HubUpload, PartsThatWereSentAreNotSentAgain) {
    hub_.on(put(3), {400, ""});
    EXPECT_NE(error_of([&] { upload(); }), "");
    EXPECT_TRUE(state_is_kept());
    const size_t n_before = puts().size();
    // The same upload with new signatures.
    hub_.on(BATCH, batch(upload_parts("one", "new")));
    hub_.on(put(3, "one", "new"), {200, "", {{"etag", "e3"}}});
    EXPECT_EQ(upload().sent_bytes, 2U);
    EXPECT_EQ(puts().size() - n_before, 1U);
    EXPECT_EQ(puts().back(), "/part/3?uploadId=one&sig=new 89");
    EXPECT_FALSE(state_is_kept());
}

// The storage said 400: these parts make no object, so that the next command starts anew.
TEST_F(HubUpload, ARefusedCompletionForgetsTheParts) {
    hub_.on(COMPLETE, {400, R"({"error": "InvalidPart"})"});
    EXPECT_NE(error_of([&] { upload(); }).find("HTTP 400 InvalidPart"), std::string::npos);
    EXPECT_FALSE(state_is_kept());
    hub_.on(COMPLETE, {200});
    EXPECT_EQ(upload().sent_bytes, 10U);
    EXPECT_EQ(puts().size(), 6U);
}

TEST_F(HubUpload, ABusyCompletionKeepsTheParts) {
    hub_.on(COMPLETE, {501, ""});
    EXPECT_NE(error_of([&] { upload(); }).find("HTTP 501"), std::string::npos);
    EXPECT_TRUE(state_is_kept());
    hub_.on(COMPLETE, {200});
    EXPECT_EQ(upload().sent_bytes, 0U);
    EXPECT_EQ(puts().size(), 3U);
}

TEST_F(HubUpload, ACompletionThatIsForgottenBeginsAnew) {
    hub_.in_turn(COMPLETE, {{404, ""}, {200}});
    hub_.in_turn(BATCH, {batch(upload_parts("one")), batch(upload_parts("two"))});
    for (int part = 1; part <= 3; ++part)
        hub_.on(put(part, "two"), {200, "", {{"etag", fmt::format("n{}", part)}}});
    EXPECT_EQ(upload().sent_bytes, 20U);
    ASSERT_FALSE(said_.empty());
    EXPECT_EQ(said_.back(), "f: the Hub has begun a new upload: its 3 parts are sent again");
    EXPECT_NE(hub_.requests()[hub_.requests().size() - 2].body.find("\"etag\":\"n3\""), std::string::npos);
    EXPECT_FALSE(state_is_kept());
}

TEST_F(HubUpload, ACompletionWhoseAnswerWasLostIsDone) {
    hub_.on(COMPLETE, {403, ""});
    hub_.in_turn(BATCH, {batch(upload_parts("one")), batch(nullptr)});
    EXPECT_EQ(upload().sent_bytes, 10U);
    EXPECT_FALSE(state_is_kept());
}

TEST_F(HubUpload, ExpiredPartsAreRenewed) {
    hub_.on(put(2), {403, ""});
    hub_.in_turn(BATCH, {batch(upload_parts("one")), batch(upload_parts("one", "new"))});
    for (int part = 1; part <= 3; ++part)
        hub_.on(put(part, "one", "new"), {200, "", {{"etag", fmt::format("e{}", part)}}});
    EXPECT_EQ(upload().sent_bytes, 10U);
    EXPECT_EQ(puts(), (Names{"/part/1?uploadId=one&sig=s 0123", "/part/2?uploadId=one&sig=s 4567",
                             "/part/2?uploadId=one&sig=new 4567", "/part/3?uploadId=one&sig=new 89"}));
    EXPECT_TRUE(said_.empty()) << "it is the same upload";
}

TEST_F(HubUpload, AddressesThatNeverWorkAreGivenUp) {
    for (int part = 1; part <= 3; ++part)
        hub_.on(put(part), {403, ""});
    EXPECT_NE(error_of([&] { upload(); }).find("refuses every address"), std::string::npos);
    EXPECT_EQ(puts().size(), 4U) << "three renewals";
}

TEST_F(HubUpload, NewUploadsWithoutEndAreGivenUp) {
    std::vector<Answer> batches;
    for (const std::string id : {"one", "two", "three", "four", "five"}) {
        batches.push_back(batch(upload_parts(id)));
        hub_.on(put(1, id), {200, "", {{"etag", "e1"}}});
        hub_.on(put(2, id), {403, ""});
    }
    hub_.in_turn(BATCH, batches);
    EXPECT_NE(error_of([&] { upload(); }).find("addresses expire before its 3 parts are sent (1 were)"),
              std::string::npos);
    EXPECT_EQ(hub_.n_calls(put(1, "three")), 1U) << "two new ones are tried";
    EXPECT_EQ(hub_.n_calls(put(1, "four")), 0U);
}

TEST_F(HubUpload, APartThatFailsIsTheReason) {
    hub_.on(put(2), {400, R"({"error": "InvalidDigest"})"});
    EXPECT_NE(
        error_of([&] { upload(); }).find("part 2 of " + (dir_ / "f").string() + ": the storage answered HTTP 400"),
        std::string::npos);
    hub_.on(put(2), {200, ""});
    EXPECT_NE(error_of([&] { upload(); }).find("part 2 of"), std::string::npos) << "without an ETag";
    EXPECT_NE(error_of([&] { upload(); }).find("no ETag"), std::string::npos);
}

TEST_F(HubUpload, AHubThatDoesNotWantPartsAnyMore) {
    hub_.on(put(2), {403, ""});
    hub_.in_turn(BATCH, {batch(upload_parts("one")), batch({{"href", hub_.url() + "/basic"}})});
    EXPECT_NE(error_of([&] { upload(); }).find("does not want it in parts any more"), std::string::npos);
}

TEST_F(HubUpload, AnObjectThatIsNotThereAfterwards) {
    hub_.on("POST /verify", {404, ""});
    EXPECT_NE(error_of([&] { upload(); }).find("after its upload: not found"), std::string::npos);
}

TEST_F(HubUpload, BatchAnswersThatDoNotFit) {
    const Api api = hub_.api();
    const LfsTarget target{"u/m", ""};
    const auto said = [&](const Json & answer) {
        hub_.on(BATCH, json_answer(answer));
        return error_of([&] { request_upload(api, target, SHA, 10); });
    };
    const auto object = [&](const Json & upload) {
        return Json{{"objects", {{{"oid", SHA}, {"actions", {{"upload", upload}}}}}}};
    };
    const auto header = [&](const Json & parts) { return object({{"href", "h"}, {"header", parts}}); };
    EXPECT_NE(said(Json::array()).find("did not answer the batch call"), std::string::npos);
    EXPECT_NE(said({{"objects", Json::array()}}).find("did not answer"), std::string::npos);
    EXPECT_NE(said({{"objects", {{{"oid", "other"}}}}}).find("did not answer"), std::string::npos);
    EXPECT_NE(said({{"objects", {{{"oid", SHA}, {"error", {{"code", 422}, {"message", "too large"}}}}}}})
                  .find("the Hub refuses it: too large (422)"),
              std::string::npos);
    EXPECT_NE(said(object({{"header", Json::object()}})).find("sent no address"), std::string::npos);
    for (const Json & size : {Json("0"), Json(""), Json("4x"), Json(-4), Json(1.5)})
        EXPECT_NE(said(header({{"chunk_size", size}, {"1", "a"}})).find("sent the part size"), std::string::npos)
            << size;
    EXPECT_NE(said(header({{"chunk_size", 4}, {"1", "a"}, {"2", "b"}})).find("2 addresses for 3 parts"),
              std::string::npos);
    EXPECT_NE(said(header({{"chunk_size", 4}, {"0", "a"}, {"1", "b"}, {"2", "c"}})), "");
    EXPECT_NE(said(header({{"chunk_size", 4}, {"1", "a"}, {"2", "b"}, {"4", "c"}})), "");
    EXPECT_NE(said(header({{"chunk_size", 4}, {"1", "a"}, {"2", "b"}, {"3", 3}})), "");
    EXPECT_EQ(said(header({{"chunk_size", 4}, {"00003", "c"}, {"1", "a"}, {"2", "b"}, {"other", "x"}})), "");
    hub_.on(BATCH, json_answer(header({{"chunk_size", 4}, {"00003", "c"}, {"1", "a"}, {"2", "b"}})));
    const UploadActions actions = request_upload(api, target, SHA, 10);
    EXPECT_EQ(actions.part_hrefs, (Names{"a", "b", "c"}));
    EXPECT_EQ(actions.chunk_bytes, 4U);
    EXPECT_EQ(actions.href, "h");
    EXPECT_EQ(actions.verify_href, "");
    EXPECT_FALSE(actions.stored);
    EXPECT_FALSE(Json::parse(hub_.requests().back().body).contains("ref")) << "of a pull request";
    EXPECT_EQ(said(header({{"chunk_size", 5}, {"1", "a"}, {"2", "b"}})), "") << "ten bytes are two whole parts";
}

TEST(HubUploads, TheSameUploadHasTheSameId) {
    const auto actions = [](const std::string & url, uint64_t chunk_bytes = 4, size_t n = 2) {
        UploadActions made;
        made.chunk_bytes = chunk_bytes;
        made.part_hrefs.assign(n, url);
        return made;
    };
    EXPECT_TRUE(is_same_upload(actions("http://x/p?uploadId=1&s=a"), actions("http://x/p?s=b&uploadId=1")));
    EXPECT_FALSE(is_same_upload(actions("http://x/p?uploadId=1"), actions("http://x/p?uploadId=2")));
    EXPECT_FALSE(is_same_upload(actions("http://x/p?uploadId=1"), actions("http://x/q?uploadId=1")));
    EXPECT_FALSE(is_same_upload(actions("http://x/p?uploadId=1"), actions("http://x/p?uploadId=1", 5)));
    EXPECT_FALSE(is_same_upload(actions("http://x/p?uploadId=1"), actions("http://x/p?uploadId=1", 4, 3)));
    EXPECT_FALSE(is_same_upload(actions("http://x/p"), actions("http://x/p"))) << "that cannot be told";
    EXPECT_FALSE(is_same_upload(UploadActions(), UploadActions()));
}

// --- what is remembered of an upload

class HubState : public ::testing::Test {
protected:
    HubState() {
        actions_.href = "complete";
        actions_.chunk_bytes = 4;
        actions_.part_hrefs = {"a", "b", "c"};
        actions_.verify_href = "verify";
    }
    MultipartState open(const std::string & key = "k", uint64_t size_bytes = 10) const {
        return MultipartState(dir_ / "state", key, "sha", size_bytes);
    }
    fs::path parts_file() const { return dir_ / "state/sha.parts"; }
    TempDir dir_;
    UploadActions actions_;
};

TEST_F(HubState, IsThereForTheNextProcess) {
    {
        MultipartState state = open();
        EXPECT_FALSE(state.is_started());
        state.start(actions_);
        EXPECT_TRUE(state.is_started());
        state.set(2, {"etag with spaces", "s2"});
        state.set(0, {"e0", "s0"});
        state.set(1, {"e1", "s1"});
        state.set(1, {});
        EXPECT_EQ(state.n_done(), 2U);
    }
    MultipartState state = open();
    EXPECT_TRUE(state.is_started());
    EXPECT_EQ(state.actions().href, "complete");
    EXPECT_EQ(state.actions().verify_href, "verify");
    EXPECT_EQ(state.actions().chunk_bytes, 4U);
    EXPECT_EQ(state.actions().part_hrefs, actions_.part_hrefs);
    EXPECT_EQ(state.parts()[2].etag, "etag with spaces");
    EXPECT_EQ(state.parts()[2].sha256, "s2");
    EXPECT_TRUE(state.has(0));
    EXPECT_FALSE(state.has(1)) << "the last line counts";
    EXPECT_EQ(state.n_done(), 2U);
    const auto permissions = fs::status(dir_ / "state/sha.json").permissions();
    EXPECT_EQ(permissions, fs::perms::owner_read | fs::perms::owner_write) << "signed addresses are in it";
    EXPECT_FALSE(open("another repository").is_started());
    EXPECT_FALSE(open("k", 11).is_started());
    UploadActions renewed = actions_;
    renewed.part_hrefs = {"x", "y", "z"};
    state.renew(renewed);
    EXPECT_EQ(open().actions().part_hrefs[0], "x");
    EXPECT_EQ(open().n_done(), 2U) << "the parts stay";
    state.start(actions_);
    EXPECT_EQ(open().n_done(), 0U) << "a new upload has none";
    state.set(0, {"e0", "s0"});
    state.remove();
    EXPECT_FALSE(state.is_started());
    EXPECT_EQ(state.n_done(), 0U);
    EXPECT_FALSE(open().is_started());
    EXPECT_TRUE(fs::is_empty(dir_ / "state"));
}

TEST_F(HubState, SurvivesWhatAKillLeaves) {
    {
        MultipartState state = open();
        state.start(actions_);
        state.set(0, {"e0", "s0"});
    }
    write_file_atomic(parts_file(), read_file(parts_file()) + "1 s1");  // cut off
    {
        MultipartState state = open();
        EXPECT_EQ(state.n_done(), 1U);
        state.set(2, {"e2", "s2"});
    }
    EXPECT_EQ(open().n_done(), 2U) << "the next line does not go on with the one that was cut off";
    write_file_atomic(parts_file(), "x s e\n3 s3 e3\n1 s1\n2 s2 e2\n");
    EXPECT_EQ(open().n_done(), 1U) << "no number, no such part, no ETag";
    EXPECT_TRUE(open().has(2));
    fs::remove(parts_file());
    EXPECT_EQ(open().n_done(), 0U);
    EXPECT_TRUE(open().is_started());
    const std::string head = read_file(dir_ / "state/sha.json");
    write_file_atomic(dir_ / "state/sha.json", head.substr(0, head.size() / 2));
    EXPECT_FALSE(open().is_started());
}

}  // namespace
}  // namespace shimmy::hub
