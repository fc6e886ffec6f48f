// The page of shimmy serve in a browser.
#include "e2e/projector.h"
#include "e2e/server_process.h"
#include "gguf/model_info.h"
#include "node_packages.h"
#include "temp_dir.h"

#include <map>
#include <utility>

namespace shimmy::e2e {
namespace {

std::string url(const ServerProcess & server) {
    return "http://" + server.address();
}

// What tests/slow/page/NAME.mjs saw.
Json check(const std::string & name, const std::vector<std::string> & arguments) {
    std::vector<std::string> command{"node", std::string(SHIMMY_SOURCE_DIR) + "/tests/slow/page/" + name + ".mjs",
                                     node_packages() + "/node_modules/playwright-core"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return Json::parse(output_of(command), nullptr, /*allow_exceptions=*/false);
}

TEST(SlowServePage, FramesTheExpertsInVram) {
    SKIP_WITHOUT_GPU();
    ServerProcess server({"--model", tiny_moe().string(), "--device", "gpu", "--cpu-moe", "--moe-cache", "8MiB"});
    const Json views = check("experts_check", {url(server)});
    ASSERT_EQ(views.size(), 2U) << views;
    for (const Json & view : views) {
        EXPECT_EQ(view["framed"], view["told"]) << view;
        EXPECT_LE(view["told"].size(), 21U) << "of 384 KiB each";
        EXPECT_NE(view["text"].get<std::string>().find(fmt::format("; {} in VRAM (framed), ", view["told"].size())),
                  std::string::npos)
            << view["text"];
        EXPECT_NE(view["memory"].get<std::string>().find("Experts in VRAM"), std::string::npos) << view["memory"];
    }
}

TEST(SlowServePage, WorksInABrowser) {
    ServerProcess server({"--model", tiny_moe().string(), "--model", tiny_moe("Q8_0").string()});
    const Json seen =
        check("chat_check", {url(server), std::to_string(server.started()["pid"].get<int>()), "tiny-moe-q8-0"});
    ASSERT_TRUE(seen.is_array());
    EXPECT_EQ(seen.size(), 4U);
    for (const Json & view : seen) {
        EXPECT_EQ(view["errors"], Json::array()) << view;
        EXPECT_EQ(view["foreignRequests"], 0) << view;
        EXPECT_EQ(view["overflow"], false) << view;
        EXPECT_LT(view["partial"].get<std::string>().size(), view["answer"].get<std::string>().size()) << "streamed";
        EXPECT_NE(view["took"].get<std::string>().find("tokens/s"), std::string::npos) << view;
        EXPECT_NE(view["speed"].get<std::string>().find("tokens/s"), std::string::npos) << view;
        EXPECT_NE(view["ttft"].get<std::string>().find(" ms"), std::string::npos) << view;
        EXPECT_NE(view["memory"].get<std::string>().find("Context"), std::string::npos) << view;
        EXPECT_GT(view["heatColors"], 2) << view;
        EXPECT_EQ(view["stopped"], "stopped") << view;
        EXPECT_EQ(view["stopError"], "") << view;
        EXPECT_EQ(view["switchedTo"], "tiny-moe-q8-0") << view;
        for (const char * control : {"log", "prompt", "send", "attach", "clear", "temperature", "max_tokens", "key"})
            EXPECT_NE(view["reached"].dump().find(fmt::format("\"{}\"", control)), std::string::npos)
                << control << view["reached"];
    }
    EXPECT_NE(seen.back()["died"].get<std::string>().find("cannot be reached"), std::string::npos) << seen.back();
    EXPECT_NE(seen.back()["afterDeath"].get<std::string>().find("cannot be reached"), std::string::npos);
    EXPECT_EQ(seen.back()["keptPrompt"], "Hello");
}

// One conversation: an answer that was regenerated, then a question after it that was edited; then both are deleted.
void expect_versions(const Json & seen) {
    const auto shown = [](const std::vector<std::pair<Json, std::string>> & messages) {
        Json all = Json::array();
        for (const auto & [text, version] : messages)
            all.push_back({{"text", text}, {"version", version}});
        return all;
    };
    const Json question = "Explain gradient descent in simple terms.";
    const Json whole = seen["whole"]["text"];
    const Json cut = seen["cut"]["text"];
    const Json volcano = "What is a volcano?";
    EXPECT_EQ(seen["regenerated"][1]["text"], cut);
    EXPECT_EQ(seen["regenerated"][1]["version"], "2 / 2");
    const Json & earlier = seen["earlier"]["messages"];
    ASSERT_EQ(earlier.size(), 4U);
    EXPECT_EQ(earlier, shown({{question, ""}, {whole, "1 / 2"}, {volcano, ""}, {earlier[3]["text"], ""}}))
        << "with what follows it";
    EXPECT_EQ(seen["earlier"]["focus"], "next") << "the other arrow has no further version";
    EXPECT_EQ(seen["later"], shown({{question, ""}, {cut, "2 / 2"}}));
    ASSERT_EQ(seen["edited"].size(), 4U);
    EXPECT_EQ(seen["edited"][1]["text"], cut) << "what stands before stays";
    EXPECT_EQ(seen["edited"][2]["version"], "2 / 2");
    EXPECT_EQ(seen["edited"][3]["cut"], "Cut off after 8 tokens");
    const Json & unedited = seen["unedited"];
    EXPECT_EQ(unedited, shown({{question, ""}, {cut, "2 / 2"}, {volcano, "1 / 2"}, {unedited[3]["text"], ""}}));
    EXPECT_EQ(seen["uneditedAfterReload"], unedited);
    EXPECT_EQ(seen["editLeft"], question);
    EXPECT_EQ(seen["failed"], (Json{{"error", "not now"}, {"messages", unedited}}));
    EXPECT_EQ(seen["versionDeleted"], shown({{question, ""}, {whole, ""}, {volcano, ""}, {earlier[3]["text"], ""}}));
    EXPECT_EQ(seen["deleted"], Json::array({question, volcano, earlier[3]["text"]})) << "what follows stays";
}

// A limit cuts an answer off; the rest that "Continue" brings is what would have come without a limit.
TEST(SlowServePage, LeadsAConversation) {
    ServerProcess server({"--model", tiny_moe().string()});
    ServerProcess thinking({"--model", tiny_moe().string(), "--chat-template-file",
                            SHIMMY_LLAMA_DIR "/models/templates/deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja"});
    const Json seen = check("conversation_check", {url(server), url(thinking)});
    ASSERT_TRUE(seen.is_object());
    EXPECT_EQ(seen["errors"], Json::array());
    EXPECT_EQ(seen["limit"], "none");
    EXPECT_EQ(seen["whole"]["buttons"], Json::array({"copy", "regenerate", "delete"}));
    EXPECT_EQ(seen["whole"]["cut"], "");
    EXPECT_EQ(seen["cut"]["cut"], "Cut off after 8 tokens");
    EXPECT_EQ(seen["cut"]["buttons"], Json::array({"copy", "regenerate", "continue", "delete"}));
    EXPECT_EQ(seen["continued"]["text"], seen["whole"]["text"]);
    EXPECT_EQ(seen["continued"]["cut"], "");
    const std::string context = seen["context"]["text"];
    EXPECT_NE(context.find(" of 512 tokens"), std::string::npos) << context;
    EXPECT_GT(std::stoi(context), 129) << "the answer, and the question before it";
    EXPECT_EQ(seen["context"]["meter"], std::stoi(context) / 512.0);
    EXPECT_EQ(seen["copied"].get<std::string>() + "\n", seen["whole"]["text"]) << "Markdown ends a paragraph";
    expect_versions(seen);
    EXPECT_EQ(seen["sent"], Json::array({"user", "assistant", "user"})) << "two questions in a row are one";
    EXPECT_EQ(seen["thinking"]["thoughtIsOpen"], true);
    EXPECT_EQ(seen["thinking"]["text"], "");
    EXPECT_EQ(seen["thought"]["thoughtIsOpen"], false);
    EXPECT_GT(seen["thought"]["thinking"].get<std::string>().size(),
              seen["thinking"]["thinking"].get<std::string>().size());
}

TEST(SlowServePage, KeepsConversationsAndSettings) {
    ServerProcess server({"--model", tiny_moe().string()});
    const Json seen = check("history_check", {url(server)});
    ASSERT_TRUE(seen.is_object());
    EXPECT_EQ(seen["errors"], Json::array());
    EXPECT_EQ(seen["before"], "There are no conversations yet.");
    const Json settings{{"temperature", 0},      {"top_p", 0.9},    {"top_k", 20}, {"min_p", 0.05},
                        {"repeat_penalty", 1.1}, {"max_tokens", 8}, {"seed", 7}};
    for (const auto & [name, value] : settings.items()) {
        EXPECT_EQ(seen["sent"][name], value) << name;
        EXPECT_EQ(seen["settingsAfterReload"][name], value.dump()) << name;
    }
    EXPECT_EQ(seen["sent"]["messages"][0], (Json{{"role", "system"}, {"content", "Be brief.\nBe kind."}}));
    EXPECT_EQ(seen["settingsAfterReload"]["system"], "Be brief.\nBe kind.");
    EXPECT_EQ(seen["sameAfterReload"], true);
    EXPECT_EQ(seen["newPage"], Json::array());
    const std::string volcano = "What is a volcano?";
    const std::string river = "What is a river?";
    EXPECT_EQ(seen["titles"], Json::array({river, volcano})) << "the last one first";
    EXPECT_EQ(seen["found"], Json::array({volcano}));
    EXPECT_EQ(seen["notFound"], "No message contains this.");
    EXPECT_EQ(seen["one"]["name"], "conversation.json");
    EXPECT_EQ(seen["one"]["document"]["conversations"][0]["messages"][0]["content"], volcano);
    EXPECT_EQ(seen["all"], seen["titles"]);
    EXPECT_EQ(seen["opened"], volcano);
    EXPECT_EQ(seen["afterDelete"], (Json{{"titles", {river}}, {"shown", Json::array()}}));
    EXPECT_EQ(seen["afterDeleteAndReload"], Json::array({river}));
    EXPECT_EQ(seen["earlierAndDamaged"], Json::array({river, "What is an island?"}));
    EXPECT_EQ(seen["keysLeft"], Json::array({"shimmy.conversation.x"})) << "what was read has moved";
    EXPECT_EQ(seen["earlier"], Json::array({{{"text", "What is an island?"}, {"took", ""}},
                                            {{"text", "Land.\n"}, {"took", "2 tokens, first after 5 ms"}}}));
    EXPECT_EQ(seen["bare"]["titles"], Json::array({"What is a lake?"}));
    EXPECT_NE(seen["bare"]["note"].get<std::string>().find("keeps nothing"), std::string::npos);
}

TEST(SlowServePage, TakesInWhatItExported) {
    ServerProcess server({"--model", tiny_moe().string()});
    const Json seen = check("import_check", {url(server)});
    ASSERT_TRUE(seen.is_object());
    EXPECT_EQ(seen["errors"], Json::array());
    const Json hill = Json::array({"What is a hill?"});
    EXPECT_EQ(seen["imported"]["note"], "conversations.json: 1 conversation imported.");
    EXPECT_EQ(seen["imported"]["titles"], hill);
    EXPECT_EQ(seen["importedAgain"]["note"], "again.json: 0 conversations imported, 1 already here.");
    EXPECT_EQ(seen["importedAgain"]["titles"], hill);
    const std::map<std::string, std::string> problems{
        {"text.json", "it is not JSON; choose a file that \"Export\" wrote"},
        {"other.json", "it holds no conversations; choose a file that \"Export\" wrote"},
        {"empty.json", "conversation 1 is damaged: it has no messages"},
        {"role.json", "conversation 2 is damaged: message 1 has no role \"user\" or \"assistant\""},
        {"loop.json", "conversation 1 is damaged: message 1 follows a message that is not there"},
        {"twice.json", "conversation 1 is damaged: message 2 has no number of its own"},
        {"image.json", "conversation 1 is damaged: message 1 has files that are neither texts nor images"}};
    EXPECT_EQ(seen["wrong"].size(), problems.size());
    for (const auto & [name, problem] : problems)
        EXPECT_EQ(seen["wrong"][name], name + " was not imported: " + problem);
    EXPECT_EQ(seen["afterWrong"], hill) << "all or nothing";
    EXPECT_EQ(seen["importedBeside"], Json::array({hill[0], hill[0]})) << "the one that is here stays";
    EXPECT_EQ(seen["branches"], Json::array({"1 / 2: One.", "2 / 2: Two."}));
}

TEST(SlowServePage, ShowsMathematicsAndCodeAndRunsNothing) {
    ServerProcess server({"--model", tiny_moe().string()});
    const Json seen = check("answers_check", {url(server)});
    ASSERT_EQ(seen.size(), 4U);
    for (const Json & view : seen) {
        EXPECT_EQ(view["errors"], Json::array()) << view;
        EXPECT_EQ(view["foreign"], Json::array()) << view;
        EXPECT_EQ(view["formulas"], 8) << view;
        EXPECT_EQ(view["blocks"], 5) << view;
        EXPECT_EQ(view["inLists"], 2) << view;
        EXPECT_EQ(view["inQuotes"], 1) << view;
        EXPECT_EQ(view["inTables"], 1) << view;
        EXPECT_EQ(view["real"], true) << "\\mathbb{R}";
        EXPECT_EQ(view["first"], "The roots of ax2+bx+c with a\u22600, which cost $5 to $10 or US$20, are");
        EXPECT_EQ(view["plain"], Json::array({"$\\frac{$", "$x$"}));
        EXPECT_EQ(view["languages"], Json::array({"python", "cpp", "dockerfile", ""}));
        EXPECT_EQ(view["keyword"], "def");
        EXPECT_EQ(view["colored"], true);
        EXPECT_EQ(view["unnamed"], 0) << "no language is guessed";
        EXPECT_TRUE(view["copied"].get<std::string>().starts_with("# Adds up.\ndef total(")) << view["copied"];
        EXPECT_EQ(view["overflow"], false) << view;
        // What a hostile answer becomes.
        EXPECT_EQ(view["hacked"], 0) << view;
        EXPECT_EQ(view["handlers"], Json::array()) << view;
        for (const char * tag : {"script", "img", "svg", "iframe", "style", "form", "input", "object", "embed", "link"})
            EXPECT_EQ(view["tags"].dump().find(fmt::format("\"{}\"", tag)), std::string::npos) << tag << view["tags"];
        for (const Json & link : view["links"])
            EXPECT_TRUE(link.get<std::string>().starts_with("https://evil.example/")) << link;
        EXPECT_EQ(view["urls"], 0) << view;
        EXPECT_LT(view["largest"], 1000) << "CSS pixels of a rule";
        EXPECT_EQ(view["question"], 0) << "a question is no Markdown";
        EXPECT_LT(view["deepMs"], 30000) << "formulas, marks and quotes by the thousand";
        EXPECT_EQ(view["injected"], 0) << "the policy runs no script but the page's own";
        EXPECT_EQ(view["refused"], 2);
    }
}

TEST(SlowServePage, TakesTextFilesAndImages) {
    const TempDir dir;
    write_projector(dir.path() / "mmproj.gguf", gguf::read_model_info(tiny_moe()).n_embd);
    ServerProcess server({"--model", tiny_moe().string()});
    ServerProcess seeing({"--model", tiny_moe().string(), "--mmproj", (dir.path() / "mmproj.gguf").string()});
    const Json seen = check("attachments_check", {url(server), url(seeing)});
    ASSERT_TRUE(seen.is_object());
    EXPECT_EQ(seen["errors"], Json::array());
    EXPECT_EQ(seen["chips"], Json::array({"one.txt (10 B)", "two.md (13 B)", "gone.txt (4 B)"}));
    for (const char * how : {"dragged", "isMarked", "dropped", "pasted"})
        EXPECT_EQ(seen[how], true) << how;
    EXPECT_EQ(seen["sent"][0]["content"],
              "one.txt:\n```\nalpha\nbeta\n```\n\ntwo.md:\n````\n```\ncode\n```\n````\n\n"
              "three.txt:\n```\ndropped\n```\n\nfour.txt:\n```\npasted\n```\n\nWhat do these say?");
    EXPECT_EQ(seen["shown"][0], "one.txt (10 B)alpha\nbeta");
    EXPECT_EQ(seen["chipsAfter"], Json::array());
    const std::string no_images =
        "tiny-moe-f16 takes no images: that needs a model that reads them, and its projector (shimmy serve --mmproj FILE).";
    EXPECT_EQ(seen["refused"], (Json{{"image", no_images},
                                     {"large", "large.txt is larger than 512.0 KiB, the limit for a text file"},
                                     {"binary", "a.pdf is neither a text in UTF-8 nor an image"},
                                     {"nul", "nul.txt is neither a text in UTF-8 nor an image"}}));
    EXPECT_EQ(seen["largest"], Json::array({"largest.txt (512.0 KiB)"}));
    EXPECT_EQ(seen["givenBack"], Json::array({"alone.txt (5 B)"}));
    EXPECT_EQ(seen["alone"], "alone.txt:\n```\nalone\n```");
    for (const char * name : {"vision1200", "vision420"}) {
        const Json & view = seen[name];
        EXPECT_EQ(view["parts"], Json::array({"image_url", "image_url", "image_url", "image_url", "image_url",
                                              "note.txt:\n```\na note\n```\n\nWhat is in them?"}));
        EXPECT_EQ(view["sizes"], Json::array({"image/png 40x30", "image/jpeg 60x20", "image/jpeg 20x60",
                                              "image/png 50x10", "image/jpeg 2000x1500"}))
            << "as they were, but for one that is turned, one of a format that is not decoded here, and a large one";
        EXPECT_EQ(view["asTheyWere"], Json::array({true, true}));
        EXPECT_TRUE(view["answer"].get<std::string>().starts_with("8 tokens, ")) << view["answer"];
        EXPECT_EQ(view["wrong"], "no.png is not an image that this browser can read");
        EXPECT_EQ(view["afterReload"], Json::array({"a.png", "b.jpg", "turned.jpg", "c.webp", "large.jpg"}));
        EXPECT_EQ(view["overflow"], false);
        EXPECT_EQ(view["edited"], "note.txt:\n```\na note\n```\n\nAnd without?");
        EXPECT_EQ(view["imagesOfTheFirst"], 5);
    }
    EXPECT_EQ(seen["textModel"], no_images) << "a conversation with images";
}

TEST(SlowServePage, TheMapOfManyExpertsCanBeRead) {
    ServerProcess server({"--model", tiny_moe().string()});
    const Json seen = check("map_check", {url(server)});
    ASSERT_EQ(seen.size(), 4U);
    for (const Json & view : seen) {
        EXPECT_EQ(view["errors"], Json::array()) << view;
        EXPECT_GE(view["cellWidth"], 3) << view;
        EXPECT_GE(view["cellHeight"], 3) << view;
        EXPECT_EQ(view["scrolls"], true) << view;
        EXPECT_EQ(view["overflow"], false) << view;
        EXPECT_GT(view["colors"], 100) << "one that is chosen far more often leaves the others apart";
        EXPECT_EQ(view["experts"][0], "expert 0") << view;
        EXPECT_EQ(view["layers"][0], "layer 0") << view;
        EXPECT_EQ(view["inVram"], "Layer 7, expert 1: 1 token since the start, 0.0% of the layer's choices, in VRAM");
        EXPECT_EQ(view["most"],  // 1000000 of 0 + 1 + … + 510 + 1000000
                  "Layer 12, expert 511: 1000000 tokens since the start, 88.5% of the layer's choices");
    }
}

}  // namespace
}  // namespace shimmy::e2e
