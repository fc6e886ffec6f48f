// Pictures without a server: generate --image, and /image in a chat. What serve answers to the same picture is the
// judge.
#include "base/files.h"
#include "base/text/base64.h"
#include "gguf/model_info.h"
#include "program.h"
#include "projector.h"
#include "server_process.h"
#include "temp_dir.h"

#include <cstdlib>

namespace shimmy::e2e {
namespace {

class Vision : public testing::Test {
protected:
    Vision() {
        setenv("XDG_STATE_HOME", dir_.path().c_str(), 1);
        write_projector(projector_, gguf::read_model_info(tiny_moe()).n_embd);
        write_file_atomic(black_, picture(0, 0, 0));
        write_file_atomic(white_, picture(255, 255, 255));
    }
    ~Vision() override { unsetenv("XDG_STATE_HOME"); }

    // With `--mmproj`, greedy, 12 tokens.
    std::vector<std::string> command(const std::string & name, std::vector<std::string> more) const {
        std::vector<std::string> args{
            name, tiny_moe().string(), "--mmproj", projector_.string(), "--device", "cpu", "--temperature", "0", "-n",
            "12"};
        args.insert(args.end(), more.begin(), more.end());
        return args;
    }
    Json shown(const std::vector<fs::path> & images) const {
        std::vector<std::string> more{"--prompt", "Explain"};
        for (const fs::path & image : images)
            more.insert(more.end(), {"--image", image.string()});
        return shimmy_json(command("generate", more));
    }
    // A chat whose input is this; its conversation.
    Json chat(const std::string & input) const {
        std::vector<std::string> args = command("chat", {});
        args.insert(args.begin(), {"sh", "-c", "printf '%s' \"$IN\" | exec \"$0\" \"$@\"", SHIMMY_PROGRAM});
        const fs::path file = dir_ / "talk.json";
        setenv("IN", (input + "/save " + file.string() + "\n").c_str(), 1);
        const ProcessResult result = run_process(args, RUN_TIMEOUT);
        EXPECT_EQ(result.exit_code, 0) << result.err;
        notes_ = result.err;
        return Json::parse(read_file(file));
    }

    const TempDir dir_;
    const fs::path projector_ = dir_ / "mmproj.gguf";
    const fs::path black_ = dir_ / "black.bmp";
    const fs::path white_ = dir_ / "a white one.bmp";
    mutable std::string notes_;  // of the last chat
};

// The same messages as requests of serve.
std::string served(const ServerProcess & server, const Json & messages) {
    const HttpReply reply =
        server.post("/v1/chat/completions", {{"messages", messages}, {"temperature", 0}, {"max_tokens", 12}});
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.json()["choices"][0]["message"]["content"];
}

Json user(const std::vector<fs::path> & images, const std::string & text) {
    Json parts = Json::array();
    for (const fs::path & image : images)
        parts.push_back(
            {{"type", "image_url"}, {"image_url", {{"url", "data:image/bmp;base64," + base64(read_file(image))}}}});
    parts.push_back({{"type", "text"}, {"text", text}});
    return {{"role", "user"}, {"content", parts}};
}

TEST_F(Vision, GenerateShowsPicturesAsServeDoes) {
    const ServerProcess server({"--model", tiny_moe().string(), "--mmproj", projector_.string()});
    const Json without = shown({});
    const Json one = shown({black_});
    const Json two = shown({black_, white_});
    EXPECT_EQ(one["text"], served(server, Json::array({user({black_}, "Explain")})));
    EXPECT_EQ(two["text"], served(server, Json::array({user({black_, white_}, "Explain")})));
    EXPECT_NE(one["text"], without["text"]);
    EXPECT_EQ(two["n_prompt_tokens"].get<int>() - one["n_prompt_tokens"].get<int>(), N_PATCHES);
    EXPECT_EQ(two["images"], Json({black_.string(), white_.string()}));
    EXPECT_FALSE(without.contains("images"));
    EXPECT_GT(one["memory"]["model_bytes"], shimmy_json({"generate", tiny_moe().string(), "--prompt", "Explain", "-n",
                                                         "1", "--device", "cpu"})["memory"]["model_bytes"]);
}

TEST_F(Vision, ADraftModelDoesNotSeeThem) {
    const Json plain = shown({black_});
    const Json drafted = shimmy_json(
        command("generate", {"--prompt", "Explain", "--image", black_.string(), "--model-draft", tiny_moe().string()}));
    EXPECT_EQ(drafted["text"], plain["text"]);
    EXPECT_TRUE(drafted["speculation"].is_null());
}

// What a chat holds of a picture it does not compute again, and that changes nothing.
TEST_F(Vision, AChatKeepsItsPictures) {
    const ServerProcess server({"--model", tiny_moe().string(), "--mmproj", projector_.string()});
    const Json talk =
        chat("/image " + black_.string() + "\nExplain\nGo on\n/image '" + white_.string() + "'\nAnd this?\n");
    const Json & messages = talk["messages"];
    ASSERT_EQ(messages.size(), 6U) << notes_;
    EXPECT_NE(notes_.find("with the next question: " + black_.string()), std::string::npos) << notes_;
    EXPECT_EQ(messages[0]["images"], Json({black_.string()}));
    EXPECT_FALSE(messages[2].contains("images")) << "one question's alone";
    Json asked = Json::array({user({black_}, "Explain")});
    EXPECT_EQ(messages[1]["content"], served(server, asked));
    asked.push_back(messages[1]);
    asked.push_back(user({}, "Go on"));
    EXPECT_EQ(messages[3]["content"], served(server, asked));
    asked.push_back(messages[3]);
    asked.push_back(user({white_}, "And this?"));
    EXPECT_EQ(messages[5]["content"], served(server, asked));

    fs::copy_file(dir_ / "talk.json", dir_ / "before.json");
    const Json again =
        chat("/load " + (dir_ / "before.json").string() + "\n/undo\n/image " + white_.string() + "\nAnd this?\n");
    EXPECT_EQ(again, talk) << notes_;
    EXPECT_EQ(chat("/image " + black_.string() + "\n/image -\nExplain\n")["messages"][1]["content"], shown({})["text"]);
    EXPECT_NE(notes_.find("no picture goes with the next question"), std::string::npos) << notes_;
}

TEST_F(Vision, WrongUseIsOneLine) {
    const std::string model = tiny_moe().string();
    const auto with = [&](const std::vector<std::string> & more) {
        return command("generate", [&] {
            std::vector<std::string> all{"--prompt", "Explain", "--image"};
            all.insert(all.end(), more.begin(), more.end());
            return all;
        }());
    };
    expect_failure({"generate", model, "Explain", "--image", black_.string()}, 2, {"--mmproj"});
    expect_failure(with({(dir_ / "none.bmp").string()}), 1, {"none.bmp"});
    expect_failure(with({dir_.path().string()}), 1, {"is a folder"});
    expect_failure(with({projector_.string()}), 1, {"mmproj.gguf", "PNG, JPEG, GIF and BMP"});
    const fs::path huge = dir_ / "huge.bmp";
    write_file_atomic(huge, picture(0, 0, 0, 60'000, 60'000));
    expect_failure(with({huge.string()}), 1, {"60000 x 60000", "50 million pixels"});
    expect_failure(with({black_.string(), "--depth", "10"}), 2, {"--image", "--depth"});
    const fs::path other = dir_ / "other.gguf";
    write_projector(other, 2 * gguf::read_model_info(tiny_moe()).n_embd);
    expect_failure({"generate", model, "Explain", "--image", black_.string(), "--mmproj", other.string()}, 1,
                   {"other.gguf"});
    expect_failure({"generate", model, "Explain", "--image", black_.string(), "--mmproj", model}, 1, {model});
    chat("/image " + (dir_ / "none.bmp").string() + "\nExplain\n");
    EXPECT_NE(notes_.find("none.bmp"), std::string::npos) << notes_;
}

}  // namespace
}  // namespace shimmy::e2e
