// docs/API.md is true: every example is run against a server, and says something.
#include "base/error.h"
#include "base/files.h"
#include "program.h"
#include "server_process.h"

#include <regex>

namespace shimmy::e2e {
namespace {

using std::chrono::seconds;

// The commands of the ```sh blocks.
std::vector<std::string> examples() {
    const std::string text = read_file(fs::path(SHIMMY_SOURCE_DIR) / "docs/API.md");
    std::vector<std::string> commands;
    constexpr std::string_view FENCE = "```sh\n";
    for (size_t start = text.find(FENCE); start != std::string::npos; start = text.find(FENCE, start)) {
        start += FENCE.size();
        const size_t end = text.find("```", start);
        std::string block = text.substr(start, end - start);
        for (size_t at = 0, next = 0; at < block.size(); at = next) {
            next = block.find("\ncurl ", at);
            next = next == std::string::npos ? block.size() : next + 1;
            commands.push_back(block.substr(at, next - at));
        }
        start = end;
    }
    return commands;
}

TEST(ApiDocs, EveryExampleWorks) {
    ServerProcess server({"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0"});
    const std::string environment = fmt::format(
        "SHIMMY=http://{} OLLAMA=http://{}\ncurl() {{ command curl -sS --fail-with-body --noproxy '*' \"$@\"; }}\n",
        server.address(), server.started()["ollama_address"].get<std::string>());
    const std::vector<std::string> commands = examples();
    EXPECT_GT(commands.size(), 20U);
    for (const std::string & command : commands) {
        const ProcessResult result = run_process({"bash", "-euc", environment + command}, seconds(60));
        EXPECT_TRUE(result.ok()) << command << result.out << result.err;
        EXPECT_FALSE(result.out.empty()) << command;
        EXPECT_EQ(result.out.find("\"error\":{"), std::string::npos) << command << result.out;
    }
}

// The members of an answer, and of what is in it, that a schema of docs/openapi.json does not name, and those that it
// requires in vain.
std::vector<std::string> undescribed(const Json & api, Json schema, const Json & answer, const std::string & where) {
    if (schema.contains("$ref")) {
        const std::string reference = schema["$ref"];
        schema = api.at(Json::json_pointer(reference.substr(1)));
    }
    std::vector<std::string> faults;
    const auto add = [&](const Json & of, const Json & value, const std::string & at) {
        const std::vector<std::string> more = undescribed(api, of, value, at);
        faults.insert(faults.end(), more.begin(), more.end());
    };
    if (answer.is_array()) {
        for (const Json & one : answer)
            add(schema.value("items", Json::object()), one, where + "[]");
    }
    if (!answer.is_object()) return faults;
    for (const auto & [name, value] : answer.items()) {
        if (schema.contains("properties") && schema["properties"].contains(name))
            add(schema["properties"][name], value, where + "." + name);
        else
            faults.push_back(where + "." + name);
    }
    for (const Json & name : schema.value("required", Json::array())) {
        if (!answer.contains(name.get<std::string>()))
            faults.push_back(where + "." + name.get<std::string>() + " (missing)");
    }
    return faults;
}

TEST(ApiDocs, EveryMemberOfV1MoeIsInTheOpenApiFile) {
    const Json api = Json::parse(read_file(fs::path(SHIMMY_SOURCE_DIR) / "docs/openapi.json"));
    ServerProcess server({"--model", tiny_moe().string()});
    EXPECT_EQ(server.post("/v1/completions", {{"prompt", "The old house"}, {"max_tokens", 2}}).status, 200);
    const Json answer = server.curl("/v1/moe").json();
    ASSERT_TRUE(answer["models"][0]["expert_cache"].is_object()) << answer;
    ASSERT_TRUE(answer["models"][0]["expert_disk"].is_object()) << answer;
    const Json & response = api["paths"]["/v1/moe"]["get"]["responses"]["200"];
    EXPECT_EQ(undescribed(api, response["content"]["application/json"]["schema"], answer, "answer"),
              std::vector<std::string>());
}

TEST(ApiDocs, EveryMemberOfTheModelsIsInTheOpenApiFile) {
    const Json api = Json::parse(read_file(fs::path(SHIMMY_SOURCE_DIR) / "docs/openapi.json"));
    ServerProcess server({"--model", tiny_moe().string()});
    const Json & response = api["paths"]["/api/models"]["get"]["responses"]["200"];
    EXPECT_EQ(undescribed(api, response["content"]["application/json"]["schema"], server.curl("/api/models").json(),
                          "answer"),
              std::vector<std::string>());
}

// docs/openapi.json describes what is there: every path is answered, by the method it says.
TEST(ApiDocs, EveryPathOfTheOpenApiFileIsThere) {
    const Json api = Json::parse(read_file(fs::path(SHIMMY_SOURCE_DIR) / "docs/openapi.json"));
    EXPECT_TRUE(api["openapi"].get<std::string>().starts_with("3."));
    ServerProcess server({"--model", tiny_moe().string()});
    size_t n = 0;
    for (const auto & [path, methods] : api["paths"].items()) {
        for (const auto & [method, operation] : methods.items()) {
            const std::string url = std::regex_replace(path, std::regex("\\{name\\}"), "tiny-moe-f16");
            std::vector<std::string> args{"-X", method == "get" ? "GET" : "POST"};
            if (operation.contains("requestBody")) {
                const Json & content = operation["requestBody"]["content"]["application/json"];
                args.insert(args.end(), {"-d", content["example"].dump()});
            }
            const HttpReply reply = server.curl(url, args);
            const std::string expected = operation["responses"].begin().key();
            EXPECT_EQ(std::to_string(reply.status), expected) << method << " " << path << ": " << reply.body;
            EXPECT_FALSE(operation["summary"].get<std::string>().empty());
            ++n;
        }
    }
    EXPECT_GE(n, 10U) << "of docs/openapi.json";
}

}  // namespace
}  // namespace shimmy::e2e
