// What a slot has computed, kept in a file and read again: as llama-server does it.
#include "base/files.h"
#include "server_process.h"
#include "temp_dir.h"

namespace shimmy::e2e {
namespace {

class ServeSlots : public testing::Test {
protected:
    // Tokens of the prompt that were computed, not found in the slot.
    int computed(int slot) const {
        const Json answer =
            server_.post("/completion", {{"prompt", TEXT}, {"n_predict", 1}, {"temperature", 0}, {"id_slot", slot}})
                .json();
        return answer["timings"]["prompt_n"];
    }
    HttpReply act(const std::string & slot, const std::string & action, const Json & body) const {
        return server_.post("/slots/" + slot + "?action=" + action, body);
    }

    static constexpr const char * TEXT = "The train travels 100 miles per hour for three hours through the mountains.";
    const TempDir dir_;
    const ServerProcess server_{{"--model", tiny_moe().string(), "--parallel", "2", "--ctx", "256", "--", "--cache-ram",
                                 "0", "--slot-save-path", dir_.path().string()}};
};

TEST_F(ServeSlots, ComeBackFromTheirFile) {
    const int all = computed(0);
    EXPECT_GT(all, 10);
    const Json saved = act("0", "save", {{"filename", "story.bin"}}).json();
    EXPECT_GE(saved["n_saved"], all) << saved.dump();
    EXPECT_EQ(saved["n_written"], fs::file_size(dir_ / "story.bin"));
    const Json restored = act("1", "restore", {{"filename", "story.bin"}}).json();
    EXPECT_EQ(restored["n_restored"], saved["n_saved"]) << restored.dump();
    EXPECT_EQ(computed(1), 1) << "the last token of a prompt is always computed";
    EXPECT_EQ(act("1", "erase", Json::object()).status, 200);
    EXPECT_EQ(computed(1), all);
}

TEST_F(ServeSlots, WhatMeansNothingIsRefused) {
    for (const char * name : {"../out.bin", "/tmp/out.bin", "a/b", ""})
        EXPECT_EQ(act("0", "save", {{"filename", name}}).status, 400) << name;
    EXPECT_EQ(act("0", "save", {{"filename", 3}}).status, 400);
    EXPECT_EQ(act("0", "burn", {{"filename", "a.bin"}}).status, 400);
    for (const char * slot : {"2", "9", "-1", "0x", "1a", "99999999999"})
        EXPECT_EQ(act(slot, "save", {{"filename", "a.bin"}}).status, 400) << slot;
    EXPECT_EQ(act("0", "restore", {{"filename", "none.bin"}}).status, 400);
    write_file_atomic(dir_ / "damaged.bin", std::string(1000, 'x'));
    EXPECT_EQ(act("0", "restore", {{"filename", "damaged.bin"}}).status, 400);
    EXPECT_EQ(server_.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 2}}).status, 200);
}

TEST(ServeWithoutSlotFiles, SaysHowToHaveThem) {
    const ServerProcess server({"--model", tiny_moe().string()});
    const HttpReply reply = server.post("/slots/0?action=save", {{"filename", "a.bin"}});
    EXPECT_EQ(reply.status, 501) << reply.body;
    EXPECT_NE(reply.body.find("--slot-save-path"), std::string::npos) << reply.body;
}

}  // namespace
}  // namespace shimmy::e2e
