// Files out of the storage: the cache that all clients share, and downloads that go on where they were.
#include "hub/download/download.h"
#include "hub/download/cache.h"
#include "hub/download/pull.h"
#include "scripted_hub.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::hub {
namespace {

using Names = std::vector<std::string>;
const std::string COMMIT(40, 'c');

// --- the cache

TEST(HubCache, LiesWhereAllClientsLook) {
    const TempDir dir;
    const RepositoryCache cache(dir.path(), "u/m");
    EXPECT_EQ(cache.blob_path("abc"), dir / "models--u--m/blobs/abc");
    EXPECT_EQ(cache.incomplete_path("abc"), dir / "models--u--m/blobs/abc.incomplete");
    EXPECT_EQ(cache.lock_path("abc"), dir / ".locks/models--u--m/abc.lock");
    EXPECT_EQ(cache.snapshot_path(COMMIT, "d/f"), dir / "models--u--m/snapshots" / COMMIT / "d/f");
    for (const std::string name : {"../x", "d/../../x", "/etc/passwd", ""}) {
        EXPECT_THROW(cache.blob_path(name), Error) << name;
        EXPECT_THROW(cache.snapshot_path(COMMIT, name), Error) << name;
        EXPECT_THROW(cache.snapshot_path(name, "f"), Error) << name;
        EXPECT_THROW(cache.commit_of(name), Error) << name;
        EXPECT_THROW(cache.set_commit(name, COMMIT), Error) << name;
        EXPECT_THROW(cache.files_of(name), Error) << name;
    }
}

TEST(HubCache, CommitsOfBranches) {
    const TempDir dir;
    const RepositoryCache cache(dir.path(), "u/m");
    EXPECT_FALSE(cache.commit_of("main"));
    EXPECT_EQ(cache.commit_of(COMMIT), COMMIT) << "a commit stands at itself";
    EXPECT_FALSE(cache.commit_of(COMMIT.substr(1)));
    EXPECT_FALSE(cache.commit_of(COMMIT + "0"));
    EXPECT_FALSE(cache.commit_of(std::string(40, 'g')));
    cache.set_commit("try/it", COMMIT);
    EXPECT_EQ(cache.commit_of("try/it"), COMMIT);
    EXPECT_EQ(read_file(dir / "models--u--m/refs/try/it"), COMMIT);
    cache.set_commit("try/it", std::string(40, 'd'));
    EXPECT_EQ(cache.commit_of("try/it"), std::string(40, 'd'));
    cache.set_commit(COMMIT, COMMIT);
    EXPECT_FALSE(fs::exists(dir / "models--u--m/refs" / COMMIT));
    write_file_atomic(dir / "models--u--m/refs/main", " \n" + COMMIT + "\n");
    EXPECT_EQ(cache.commit_of("main"), COMMIT);
    write_file_atomic(dir / "models--u--m/refs/main", "\n");
    EXPECT_FALSE(cache.commit_of("main"));
}

TEST(HubCache, SnapshotsAreLinks) {
    const TempDir dir;
    const RepositoryCache cache(dir.path(), "u/m");
    EXPECT_TRUE(cache.files_of(COMMIT).empty());
    fs::create_directories(cache.blob_path("abc").parent_path());
    write_file_atomic(cache.blob_path("abc"), "content");
    cache.link(COMMIT, "d/f", "abc");
    EXPECT_EQ(fs::read_symlink(cache.snapshot_path(COMMIT, "d/f")), "../../../blobs/abc");
    EXPECT_EQ(read_file(cache.snapshot_path(COMMIT, "d/f")), "content");
    cache.link(COMMIT, "d/f", "abc");
    cache.link(COMMIT, "b", "gone");
    cache.link(COMMIT, "a", "abc");
    EXPECT_EQ(cache.files_of(COMMIT), (Names{"a", "d/f"})) << "b's content is not there";
    write_file_atomic(cache.blob_path("def"), "other");
    cache.link(COMMIT, "a", "def");
    EXPECT_EQ(read_file(cache.snapshot_path(COMMIT, "a")), "other");
}

// --- downloads

class HubDownload : public ::testing::Test {
protected:
    HubDownload() : cache_(dir_ / "hub", "u/m") {
        for (int i = 0; i < 3000; ++i)
            content_ += static_cast<char>('a' + i * 7 % 26);
        file_ = {"m.gguf", content_.size(), "", sha256_hex(content_)};
    }
    uint64_t download(int max_waits = 0) {
        return hub::download(hub_.api(max_waits), "u/m", COMMIT, file_, cache_, [this](uint64_t done, uint64_t total) {
            EXPECT_GE(done, last_done_);
            EXPECT_EQ(total, content_.size());
            last_done_ = done;
        });
    }
    Answer part(size_t first, int status = 206) const { return {status, content_.substr(first)}; }
    void leave_incomplete(const std::string & bytes) {
        fs::create_directories(cache_.incomplete_path(file_.etag()).parent_path());
        write_file_atomic(cache_.incomplete_path(file_.etag()), bytes);
    }
    std::string last_range() const { return hub_.requests().back().header("Range"); }

    TempDir dir_;
    ScriptedHub hub_;
    RepositoryCache cache_;
    std::string content_;
    RemoteFile file_;
    uint64_t last_done_ = 0;
    const std::string call_ = "GET /u/m/resolve/" + COMMIT + "/m.gguf";
};

TEST_F(HubDownload, IsCheckedAndLinked) {
    hub_.on(call_, part(0));
    EXPECT_EQ(missing_bytes_of(cache_, file_), 3000U);
    EXPECT_EQ(download(), 3000U);
    EXPECT_EQ(last_range(), "bytes=0-2999");
    EXPECT_EQ(last_done_, 3000U);
    EXPECT_EQ(read_file(cache_.snapshot_path(COMMIT, "m.gguf")), content_);
    EXPECT_FALSE(fs::exists(cache_.incomplete_path(file_.etag())));
    EXPECT_EQ(missing_bytes_of(cache_, file_), 0U);
    EXPECT_EQ(download(), 0U);
    EXPECT_EQ(hub_.requests().size(), 1U);
}

TEST_F(HubDownload, GoesOnWhereItWas) {
    leave_incomplete(content_.substr(0, 1000));
    EXPECT_EQ(missing_bytes_of(cache_, file_), 2000U);
    hub_.on(call_, part(1000));
    EXPECT_EQ(download(), 2000U);
    EXPECT_EQ(last_range(), "bytes=1000-2999");
    EXPECT_EQ(read_file(cache_.snapshot_path(COMMIT, "m.gguf")), content_);
}

TEST_F(HubDownload, WhatIsWholeIsOnlyChecked) {
    leave_incomplete(content_);
    EXPECT_EQ(download(), 0U);
    EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(HubDownload, AWrongRestIsFetchedAnew) {
    leave_incomplete(std::string(1000, 'x'));
    hub_.in_turn(call_, {part(1000), part(0)});
    EXPECT_EQ(download(), 5000U) << "2000 in vain";
    EXPECT_EQ(last_range(), "bytes=0-2999");
    EXPECT_EQ(read_file(cache_.snapshot_path(COMMIT, "m.gguf")), content_);
}

TEST_F(HubDownload, TooMuchIsFetchedAnew) {
    leave_incomplete(std::string(3001, 'x'));
    EXPECT_EQ(missing_bytes_of(cache_, file_), 3000U);
    hub_.on(call_, part(0));
    EXPECT_EQ(download(), 3000U);
}

TEST_F(HubDownload, WrongBytesAreNotKept) {
    hub_.on(call_, {206, std::string(3000, 'x')});
    EXPECT_NE(error_of([&] { download(); }).find("its hash differs"), std::string::npos);
    EXPECT_EQ(hub_.requests().size(), 1U);
    EXPECT_FALSE(fs::exists(cache_.incomplete_path(file_.etag())));
    EXPECT_FALSE(fs::exists(cache_.blob_path(file_.etag())));
}

TEST_F(HubDownload, AServerWithoutRangesCannotGoOn) {
    leave_incomplete(content_.substr(0, 1000));
    hub_.on(call_, part(1000, 200));
    EXPECT_NE(error_of([&] { download(); }).find("does not support byte ranges"), std::string::npos);
    fs::remove(cache_.incomplete_path(file_.etag()));
    hub_.on(call_, part(0, 200));
    EXPECT_EQ(download(), 3000U) << "from the start it may";
    hub_.on(call_, {404, ""});
    fs::remove(cache_.blob_path(file_.etag()));
    EXPECT_NE(error_of([&] { download(); }).find("not found"), std::string::npos);
}

TEST_F(HubDownload, SmallFilesAreCheckedAsGitDoes) {
    file_ = {"m.gguf", content_.size(), git_blob_oid(content_), ""};
    hub_.on(call_, part(0));
    EXPECT_EQ(download(), 3000U);
    EXPECT_TRUE(fs::exists(cache_.blob_path(git_blob_oid(content_))));
    file_.git_oid = git_blob_oid("other");
    EXPECT_NE(error_of([&] { download(); }).find("its hash differs"), std::string::npos);
}

// --- models

class HubPull : public ::testing::Test {
protected:
    HubPull() {
        environment_ = hub_.environment();
        environment_.cache_dir = dir_ / "hub";
        fs::create_directories(environment_.cache_dir);
        hub_.on("GET /api/models/u/m/revision/main", json_answer({{"sha", COMMIT}}));
    }
    void list(const std::map<std::string, std::string> & files) {
        Json tree = Json::array();
        for (const auto & [path, content] : files) {
            tree.push_back({{"type", "file"},
                            {"path", path},
                            {"size", 3},
                            {"oid", "o"},
                            {"lfs", {{"oid", sha256_hex(content)}, {"size", content.size()}}}});
            hub_.on("GET /u/m/resolve/" + COMMIT + "/" + path, {206, content});
        }
        hub_.on("GET /api/models/u/m/tree/" + COMMIT + "?recursive=true&expand=false", json_answer(tree));
    }
    PulledModel pull(const std::string & name) {
        return pull_model(environment_, parse_model_name(name), {}, [this](uint64_t done, uint64_t total) {
            EXPECT_GE(done, done_) << "of all parts together";
            done_ = done;
            total_ = total;
        });
    }
    TempDir dir_;
    ScriptedHub hub_;
    Environment environment_;
    uint64_t done_ = 0;
    uint64_t total_ = 0;
};

TEST_F(HubPull, EveryPartOfASplitModel) {
    list(
        {{"m-Q2_K-00001-of-00002.gguf", "first"}, {"m-Q2_K-00002-of-00002.gguf", "second!"}, {"m-Q8_0.gguf", "other"}});
    EXPECT_FALSE(find_in_cache(environment_, parse_model_name("u/m:Q2_K")));
    const PulledModel model = pull("u/m:Q2_K");
    EXPECT_EQ(model.commit, COMMIT);
    EXPECT_EQ(model.size_bytes, 12U);
    EXPECT_EQ(model.fetched_bytes, 12U);
    EXPECT_EQ(done_, 12U);
    EXPECT_EQ(total_, 12U);
    ASSERT_EQ(model.files.size(), 2U);
    EXPECT_EQ(read_file(model.files[0]) + read_file(model.files[1]), "firstsecond!");
    const auto cached = find_in_cache(environment_, parse_model_name("u/m:Q2_K"));
    ASSERT_TRUE(cached);
    EXPECT_EQ(cached->files, model.files);
    EXPECT_EQ(cached->size_bytes, 12U);
    EXPECT_EQ(cached->fetched_bytes, 0U);
    EXPECT_FALSE(find_in_cache(environment_, parse_model_name("u/m:Q8_0")));
    environment_.offline = true;
    EXPECT_EQ(pull("u/m:Q2_K").files, model.files);
    EXPECT_NE(error_of([&] { pull("u/m:Q8_0"); }).find("HF_HUB_OFFLINE is set"), std::string::npos);
    fs::remove(model.files[1]);
    EXPECT_FALSE(find_in_cache(environment_, parse_model_name("u/m:Q2_K"))) << "half a model";
}

TEST_F(HubPull, WhatIsNotThereIsSaid) {
    list({{"m-Q2_K-00001-of-00002.gguf", "first"}});
    EXPECT_NE(error_of([&] { pull("u/m:Q2_K"); }).find("m-Q2_K-00002-of-00002.gguf is missing"), std::string::npos);
    list({{"README.md", "x"}});
    EXPECT_EQ(error_of([&] { pull("u/m"); }), "u/m: holds no GGUF model");
    EXPECT_EQ(error_of([&] { pull("u/other"); }), "u/other: not found on " + hub_.url() + ": check the name");
    EXPECT_EQ(error_of([&] { pull("u/m@x"); }), "u/m@x: not found on " + hub_.url() + ": check the name");
    environment_.token.clear();
    EXPECT_NE(error_of([&] { pull("u/m@x"); }).find(", and set HF_TOKEN if it is private"), std::string::npos);
}

TEST_F(HubPull, WithoutANetworkWhatWasDownloadedIsUsed) {
    list({{"m-Q2_K.gguf", "content"}});
    const PulledModel model = pull("u/m");
    environment_.endpoint = "http://127.0.0.1:1";
    std::string said;
    const PulledModel again =
        pull_model(environment_, parse_model_name("u/m"), [&](const std::string & line) { said += line; }, {});
    EXPECT_EQ(again.files, model.files);
    EXPECT_NE(said.find("what was downloaded before is used"), std::string::npos) << said;
    EXPECT_EQ(said.find("trying again"), std::string::npos) << "at once";
}

// --- servers that are broken, or mean harm

TEST_F(HubDownload, AnAnswerWithoutABodyIsAFailedTry) {
    hub_.on(call_, {206, ""});
    EXPECT_NE(error_of([&] { download(); }).find("u/m/m.gguf: the server sent no bytes"), std::string::npos);
    EXPECT_EQ(hub_.requests().size(), 6U) << "five waits";
}

TEST_F(HubDownload, ALinkInPlaceOfAnUnfinishedFileIsNotFollowed) {
    hub_.on(call_, part(0));
    write_file_atomic(dir_ / "precious", "precious");
    fs::create_directories(cache_.incomplete_path(file_.etag()).parent_path());
    fs::create_symlink(dir_ / "precious", cache_.incomplete_path(file_.etag()));
    EXPECT_NE(error_of([&] { download(); }).find("is a symbolic link"), std::string::npos);
    EXPECT_EQ(read_file(dir_ / "precious"), "precious");
}

TEST_F(HubDownload, OtherBytesOfTheRightSizeAreNoticedOnce) {
    hub_.on(call_, part(0));
    download();
    const fs::path blob = cache_.blob_path(file_.etag());
    last_done_ = 0;
    EXPECT_EQ(download(), 0U) << "whole, and known to be";
    std::string damaged = content_;
    damaged[1500] = '!';
    write_file_atomic(blob, damaged);
    EXPECT_EQ(download(), 3000U) << "fetched again";
    EXPECT_EQ(read_file(blob), content_);
    // A blob of another client, which left no record: hashed, and taken.
    fs::remove(cache_.checked_path(file_.etag()));
    EXPECT_EQ(download(), 0U);
    EXPECT_TRUE(fs::exists(cache_.checked_path(file_.etag())));
}

TEST_F(HubDownload, AServerThatHasLessThanItSaysIsNamed) {
    hub_.in_turn(call_, {{206, "version https://git-lfs"}, {416, ""}});
    const std::string error = error_of([&] { download(); });
    EXPECT_EQ(error.rfind("u/m/m.gguf: ", 0), 0U) << error;
    EXPECT_NE(error.find("fewer bytes than the 3000"), std::string::npos) << error;
    EXPECT_EQ(fs::file_size(cache_.incomplete_path(file_.etag())), 0U) << "begun anew the next time";
}

TEST_F(HubDownload, WithoutAHashNothingIsFetched) {
    file_.sha256 = "not a hash";
    EXPECT_NE(error_of([&] { download(); }).find("no hash"), std::string::npos);
    EXPECT_TRUE(hub_.requests().empty());
}

TEST(HubLists, EndWhateverAServerSays) {
    ScriptedHub hub;
    const std::string first = "/api/models/u/m/tree/main?recursive=true&expand=false";
    hub.on("GET " + first, {200, "[]", {{"Link", "<" + hub.url() + first + "&cursor=1>; rel=\"next\""}}});
    hub.on("GET " + first + "&cursor=1", {200, "[]", {{"Link", "<" + hub.url() + first + "&cursor=1>; rel=\"next\""}}});
    EXPECT_NE(error_of([&] { list_files(hub.api(), "u/m", "main"); }).find("again and again"), std::string::npos);
    EXPECT_EQ(hub.requests().size(), 2U);
    const std::string many(90'000, 'a');  // about what a head may hold
    for (const std::string & link : {"<" + many, "<" + many + ">; rel=\"prev\"", many + ">; rel=\"next\""}) {
        hub.on("GET " + first, {200, R"([{"type": "file", "path": "a"}])", {{"Link", link}}});
        EXPECT_EQ(list_files(hub.api(), "u/m", "main").size(), 1U) << "no page follows";
    }
}

TEST(HubAnswers, OfAnySizeAreNotKept) {
    ScriptedHub hub;
    hub.on("GET /big", {200, std::string((64 << 20) + 1, ' ')});
    hub.on("GET /deep", {200, std::string(100'000, '[')});
    EXPECT_NE(error_of([&] { hub.api().get("/big"); }).find("larger than any"), std::string::npos);
    EXPECT_NE(error_of([&] { hub.api().document(hub.api().get("/deep"), "u/m"); }).find("not JSON"), std::string::npos);
}

}  // namespace
}  // namespace shimmy::hub
