// shimmy imatrix and what quantize does with it, on the embedded model.
#include "base/files.h"
#include "engine/rewritten_model.h"
#include "program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::e2e {
namespace {

Json imatrix(const fs::path & text, const fs::path & out, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"imatrix", "--model", tiny_moe().string(), "--text", text.string(), "--out",
                               out.string(), "--device", "cpu"});
    return shimmy_json(more);
}

TEST(Imatrix, AVariedTextReachesEveryExpertAndChangesTheFile) {
    const TempDir dir;
    const Json document = imatrix(EVAL, dir / "m.gguf", {"--chunks", "6"});
    EXPECT_EQ(document["n_chunks"], 6);
    EXPECT_EQ(document["n_experts"], 3 * 16);
    EXPECT_EQ(document["unreached_experts"], Json::array());
    const auto quantize = [&](std::vector<std::string> more) {
        more.insert(more.begin(),
                    {"quantize", tiny_moe().string(), "--types", "Q2_K", "--out-dir", (dir / "out").string()});
        (void)shimmy_json(more);
        return sha256_file_hex(dir / "out" / "tiny-moe-Q2_K.gguf");
    };
    const std::string plain = quantize({});
    EXPECT_NE(quantize({"--imatrix", (dir / "m.gguf").string()}), plain);
    // A type that cannot do without.
    expect_failure({"quantize", tiny_moe().string(), "--types", "IQ2_XXS", "--out-dir", (dir / "out").string()}, 1,
                   {"importance matrix", "shimmy imatrix"});
}

// Of several types the last may be the one that needs more: nothing is made before.
TEST(Imatrix, ThatDoesNotFitIsNamedBeforeTheFirstFileIsMade) {
    const TempDir dir;
    (void)imatrix(EVAL, dir / "m.gguf", {"--chunks", "2"});
    const std::string down = "blk.2.ffn_down_exps.weight";
    const auto without = [&](const std::string & suffix) {
        engine::RewrittenModel matrix((dir / "m.gguf").string());
        std::erase_if(matrix.tensors, [&](const auto & tensor) { return tensor.name.starts_with(down + suffix); });
        return matrix.write(dir / "without.gguf");
    };
    const auto expect = [&](const std::string & matrix, const std::vector<std::string> & parts) {
        for (const char * types : {"IQ2_XS", "Q8_0,IQ2_XS"})
            expect_failure({"quantize", tiny_moe().string(), "--types", types, "--imatrix", matrix, "--out-dir",
                            (dir / "out").string()},
                           1, parts);
        EXPECT_EQ(n_files(dir / "out"), 0U);
    };
    expect(without(""), {"without.gguf: does not hold " + down, "IQ2_XS of " + down});
    expect(without(".counts"), {"without.gguf: not an importance matrix"});
    engine::RewrittenModel half((dir / "m.gguf").string());
    engine::RewrittenModel::Tensor & sums = half.tensor(down + ".in_sum2");
    sums.shape.front() /= 2;
    sums.data.resize(sums.data.size() / 2);
    expect(half.write(dir / "half.gguf"),
           {"half.gguf: holds 2048 values of " + down + ", which has 4096 in the model: it was made from another one"});
    engine::RewrittenModel ruined((dir / "m.gguf").string());
    std::string & data = ruined.tensor(down + ".in_sum2").data;
    data.assign(data.size(), '\xff');
    expect(ruined.write(dir / "ruined.gguf"), {"ruined.gguf: not an importance matrix", down + " is not a number"});
}

TEST(Imatrix, OfWhatIsNoTextOrNoModelIsNotMade) {
    const TempDir dir;
    const auto expect = [&](const std::string & model, const std::string & text,
                            const std::vector<std::string> & parts) {
        const ProcessResult result = shimmy({"imatrix", "--model", model, "--text", text, "--device", "cpu", "--chunks",
                                             "2", "--out", (dir / "m.gguf").string(), "--json"});
        EXPECT_EQ(result.exit_code, 1) << result.err;
        for (const std::string & part : parts)
            EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
        EXPECT_FALSE(fs::exists(dir / "m.gguf"));
    };
    write_file_atomic(dir / "empty.txt", "");
    write_file_atomic(dir / "bytes.txt", std::string(5000, '\xf1'));
    expect(tiny_moe().string(), (dir / "empty.txt").string(), {"empty.txt: holds no text"});
    expect(tiny_moe().string(), (dir / "bytes.txt").string(), {"bytes.txt: is no text in UTF-8"});
    engine::RewrittenModel ruined(tiny_moe());
    std::string & norm = ruined.tensor("blk.1.attn_norm.weight").data;
    norm.assign(norm.size(), '\xff');
    expect(ruined.write(dir / "ruined.gguf"), EVAL, {"ruined.gguf: no importance matrix: ", "number"});
}

TEST(Imatrix, EveryExpertThatTheTextNeverReachesIsNamed) {
    const TempDir dir;
    std::string text;
    for (int i = 0; i < 60; ++i)
        text += "def f(x):\n    return x\n\n";
    write_file_atomic(dir / "code.txt", text);
    const std::vector<std::string> arguments{"imatrix",
                                             "--model",
                                             tiny_moe().string(),
                                             "--text",
                                             (dir / "code.txt").string(),
                                             "--out",
                                             (dir / "m.gguf").string(),
                                             "--device",
                                             "cpu",
                                             "--ctx",
                                             "32",
                                             "--chunks",
                                             "2",
                                             "--json"};
    const ProcessResult result = shimmy(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const Json unreached = Json::parse(result.out)["unreached_experts"];
    ASSERT_FALSE(unreached.empty());
    for (const Json & one : unreached) {
        const std::string head = "layer " + one["layer"].dump() + ": the text never reaches expert ";
        const size_t at = result.err.find(head);
        ASSERT_NE(at, std::string::npos) << result.err;
        const std::string list =
            " " + result.err.substr(at + head.size(), result.err.find(':', at + head.size()) - at - head.size()) + ",";
        EXPECT_NE(list.find(" " + one["expert"].dump() + ","), std::string::npos) << list;
    }
}

TEST(Imatrix, ATextThatIsTooShortLeavesNoFile) {
    const TempDir dir;
    write_file_atomic(dir / "short.txt", "Too short.");
    expect_failure({"imatrix", "--model", tiny_moe().string(), "--text", (dir / "short.txt").string(), "--out",
                    (dir / "m.gguf").string(), "--device", "cpu"},
                   1, {"tiny-moe-f16.gguf", "tokens"});
    EXPECT_FALSE(fs::exists(dir / "m.gguf"));
}

TEST(TensorTypes, ArePickedByPatternAndTheFirstDecides) {
    const TempDir dir;
    (void)shimmy_json({"quantize", tiny_moe().string(), "--types", "Q4_K_M", "--out-dir", dir.path().string(),
                       "--tensor-type", "blk\\.1\\.ffn_down_exps=q8_0", "--tensor-type", "ffn_down_exps=Q2_K"});
    const Json types = shimmy_json({"inspect", (dir / "tiny-moe-Q4_K_M.gguf").string()})["tensor_types"];
    const auto count = [&](const std::string & type) {
        for (const Json & use : types) {
            if (use["type"] == type) return use["n_tensors"].get<int>();
        }
        return 0;
    };
    EXPECT_EQ(count("Q8_0"), 1) << types.dump();
    EXPECT_EQ(count("Q2_K"), 2) << types.dump();
}

TEST(TensorTypes, MistakesAreSaidBeforeAnyWork) {
    const TempDir dir;
    const auto expect_refused = [&](const std::string & argument, const std::vector<std::string> & parts) {
        expect_failure({"quantize", tiny_moe().string(), "--types", "Q4_K_M", "--out-dir", (dir / "out").string(),
                        "--tensor-type", argument},
                       2, parts);
    };
    expect_refused("ffn_down_exps", {"PATTERN=TYPE"});
    expect_refused("ffn_down_exps=Q9_K", {"unknown tensor type 'Q9_K'", "q4_K"});
    expect_refused("ffn_down_exps=Q8_K", {"unknown tensor type"});
    expect_refused("(=Q4_K", {"not a regular expression"});
    expect_refused("no_such_tensor=Q4_K", {"no tensor's name matches 'no_such_tensor'"});
}

}  // namespace
}  // namespace shimmy::e2e
