// Models that are too large for one file: their parts are llama.cpp's.
#include "publish_fixture.h"

#include "base/error.h"

#include "ggml.h"
#include "gguf.h"

#include <array>
#include <map>
#include <memory>
#include <regex>

namespace shimmy::e2e {
namespace {

struct TensorContent {
    ggml_type type;
    std::array<int64_t, GGML_MAX_DIMS> shape;
    std::string sha256;
    bool operator==(const TensorContent &) const = default;
};

struct GgufContent {
    std::map<std::string, TensorContent> tensors;
    std::map<std::string, std::string> values;  // scalars and strings as text, of arrays their length
};

std::string text_of(const gguf_context * gguf, int64_t key) {
    const gguf_type type = gguf_get_kv_type(gguf, key);
    if (type == GGUF_TYPE_ARRAY) return fmt::format("{} elements", gguf_get_arr_n(gguf, key));
    if (type == GGUF_TYPE_STRING) return gguf_get_val_str(gguf, key);
    const auto * bytes = static_cast<const char *>(gguf_get_val_data(gguf, key));
    const size_t n_bytes = type == GGUF_TYPE_UINT64 || type == GGUF_TYPE_INT64 || type == GGUF_TYPE_FLOAT64   ? 8
                           : type == GGUF_TYPE_UINT32 || type == GGUF_TYPE_INT32 || type == GGUF_TYPE_FLOAT32 ? 4
                                                                                                              : 1;
    return sha256_hex({bytes, n_bytes});
}

// As ggml reads it.
GgufContent content_of(const fs::path & file) {
    ggml_context * tensors = nullptr;
    const std::unique_ptr<gguf_context, decltype(&gguf_free)> gguf(
        gguf_init_from_file(file.c_str(), {/*no_alloc=*/false, &tensors}), &gguf_free);
    const std::unique_ptr<ggml_context, decltype(&ggml_free)> owner(tensors, &ggml_free);
    GgufContent content;
    if (!gguf) return content;
    for (int64_t key = 0; key < gguf_get_n_kv(gguf.get()); ++key) {
        const std::string name = gguf_get_key(gguf.get(), key);
        if (!name.starts_with("split.")) content.values[name] = text_of(gguf.get(), key);
    }
    for (int64_t i = 0; i < gguf_get_n_tensors(gguf.get()); ++i) {
        const char * name = gguf_get_tensor_name(gguf.get(), i);
        const ggml_tensor * tensor = ggml_get_tensor(tensors, name);
        content.tensors[name] = {tensor->type,
                                 {tensor->ne[0], tensor->ne[1], tensor->ne[2], tensor->ne[3]},
                                 sha256_hex({static_cast<const char *>(tensor->data), ggml_nbytes(tensor)})};
    }
    return content;
}

std::string llama_program(const std::string & name) {
    return (fs::path(SHIMMY_PROGRAM).parent_path() / name).string();
}

class SplitTest : public PublishTest {
protected:
    ProcessResult publish_split(const std::string & more = "--yes") const {
        return shimmy({"publish", campaign_.file().string(), "--repo", "user/split", "--quant", "Q4_K_M",
                       "--max-file-size", "3MB", more});
    }
    // On another machine.
    std::vector<fs::path> pulled() const {
        hub_.use("", machine_.path());
        const Json model = shimmy_json({"pull", "user/split"});
        std::vector<fs::path> files;
        for (const Json & file : model["files"])
            files.emplace_back(file.get<std::string>());
        return files;
    }

    TempDir machine_;
};

TEST_F(SplitTest, ASplitModelIsOneModel) {
    expect_published(publish_split());
    const std::vector<fs::path> files = pulled();
    ASSERT_GT(files.size(), 2U);
    const std::string first = files.front().string();
    EXPECT_NE(first.find("tiny-moe-Q4_K_M-00001-of-0000"), std::string::npos) << first;
    for (const fs::path & file : files)
        EXPECT_LE(fs::file_size(file), 3000000U);
    const auto text = [](const std::string & model) {
        return shimmy_json(
            {"generate", "--model", model, "--prompt", "Hello", "--max-tokens", "16", "--device", "cpu"})["text"];
    };
    EXPECT_EQ(text("hf:user/split"), text(campaign_.model("Q4_K_M").string()));
    const std::string card = read_file(campaign_.out() / "publish/split/README.md");
    EXPECT_NE(card.find("tiny-moe-Q4_K_M-00001-of-0000"), std::string::npos);
    EXPECT_NE(card.find(sha256_file_hex(first)), std::string::npos);
    // Again: the parts are there, nothing is split or sent.
    hub_.use(WRITE_TOKEN, home_.path());
    const ProcessResult again = publish_split();
    EXPECT_NE(again.out.find("nothing to change"), std::string::npos) << again.out << again.err;
    EXPECT_EQ(again.err.find("splitting"), std::string::npos) << again.err;
}

TEST_F(SplitTest, LlamaCppMergesThePartsToTheModel) {
    expect_published(publish_split());
    const fs::path merged = machine_ / "merged.gguf";
    const ProcessResult result =
        run_process({llama_program("llama-gguf-split"), "--merge", pulled().front().string(), merged.string()});
    ASSERT_TRUE(result.ok()) << result.err << result.out;
    const GgufContent ours = content_of(merged);
    const GgufContent measured = content_of(campaign_.model("Q4_K_M"));
    EXPECT_GT(ours.tensors.size(), 20U);
    EXPECT_EQ(ours.tensors, measured.tensors);
    EXPECT_EQ(ours.values, measured.values);
}

TEST_F(SplitTest, LlamaCppLoadsTheParts) {
    expect_published(publish_split());
    const auto perplexity = [&](const fs::path & model) {
        static const std::regex figure(R"(\[1\]([0-9.]+),\[2\]([0-9.]+))");
        const ProcessResult result =
            run_process({llama_program("perplexity"), "-m", model.string(), "-f",
                         std::string(SHIMMY_SOURCE_DIR) + "/README.md", "-c", "128", "--chunks", "2", "-ngl", "0"});
        EXPECT_TRUE(result.ok()) << result.err;
        const std::string out = result.out + result.err;
        std::smatch match;
        return std::regex_search(out, match, figure) ? match.str() : "no figure in " + out;
    };
    const std::string of_parts = perplexity(pulled().front());
    EXPECT_EQ(of_parts, perplexity(campaign_.model("Q4_K_M")));
    EXPECT_TRUE(of_parts.starts_with("[1]")) << of_parts;
}

TEST_F(SplitTest, AFullDiskSendsNothing) {
    // A limit on file size fails writes as a full disk does.
    const std::string command =
        fmt::format("ulimit -f 2048; exec {} publish {} --repo user/split --max-file-size 3MB --yes", SHIMMY_PROGRAM,
                    campaign_.file().string());
    const ProcessResult result = run_process({"bash", "-c", command}, RUN_TIMEOUT);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("is the disk full?"), std::string::npos) << result.err;
    EXPECT_EQ(n_changing_requests(), 0U);
    expect_published(publish_split());
}

TEST_F(SplitTest, ADryRunSaysWhatWouldBeSplit) {
    const Json document = shimmy_json(
        {"publish", campaign_.file().string(), "--repo", "user/split", "--max-file-size", "3MB", "--dry-run"});
    const Json & split = document["repositories"][0]["to_be_split"];
    ASSERT_EQ(split.size(), 2U);
    size_t n_parts = 0;
    for (const Json & model : split) {
        for (const Json & bytes : model["part_size_bytes"])
            EXPECT_LE(bytes, 3000000);
        if (model["file"] == campaign_.model("Q4_K_M").string()) n_parts = model["part_size_bytes"].size();
    }
    EXPECT_GT(n_parts, 1U);
    EXPECT_FALSE(fs::exists(campaign_.out() / "publish/split/tiny-moe-Q4_K_M.gguf.parts.json"));
    const std::string said = fmt::format("tiny-moe-Q4_K_M.gguf in {} parts", n_parts);
    EXPECT_NE(publish_split("--dry-run").out.find(said), std::string::npos);
}

}  // namespace
}  // namespace shimmy::e2e
