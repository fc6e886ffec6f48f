#include "library/catalog.h"

#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cstring>

namespace shimmy::library {
namespace {

// Just enough of GGUF version 3 to write metadata and small F32 tensors.
class GgufWriter {
public:
    GgufWriter & text(const std::string & key, const std::string & value) {
        string(metadata_, key);
        number<uint32_t>(metadata_, 8);
        string(metadata_, value);
        ++n_metadata_;
        return *this;
    }
    GgufWriter & integer(const std::string & key, uint32_t value) {
        string(metadata_, key);
        number<uint32_t>(metadata_, 4);
        number(metadata_, value);
        ++n_metadata_;
        return *this;
    }
    // Of 8 zeros each, so every tensor fills its 32-byte alignment.
    GgufWriter & tensor(const std::string & name) {
        string(tensors_, name);
        number<uint32_t>(tensors_, 1);
        number<uint64_t>(tensors_, 8);
        number<uint32_t>(tensors_, 0);  // F32
        number<uint64_t>(tensors_, 32 * n_tensors_++);
        return *this;
    }
    void write(const fs::path & path) const {
        fs::create_directories(path.parent_path());
        std::string out = "GGUF";
        number<uint32_t>(out, 3);
        number<uint64_t>(out, n_tensors_);
        number<uint64_t>(out, n_metadata_);
        out += metadata_ + tensors_;
        out.resize((out.size() + 31) / 32 * 32);
        out.resize(out.size() + 32 * n_tensors_);
        write_file_atomic(path, out);
    }

private:
    template <typename T>
    static void number(std::string & out, T value) {
        char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        out.append(bytes, sizeof(T));
    }
    static void string(std::string & out, const std::string & value) {
        number<uint64_t>(out, value.size());
        out += value;
    }

    std::string metadata_;
    std::string tensors_;
    uint64_t n_metadata_ = 0;
    uint64_t n_tensors_ = 0;
};

GgufWriter model(const std::string & arch, uint32_t n_layers = 1) {
    GgufWriter writer;
    writer.text("general.architecture", arch).integer(arch + ".block_count", n_layers).tensor("token_embd.weight");
    return writer;
}

TEST(Catalog, TellsWhatFilesAreFor) {
    const TempDir dir;
    model("deepseek").integer("deepseek.expert_count", 16).write(dir / "a-moe.gguf");
    model("llama").write(dir / "b-dense.gguf");
    model("nomic-bert-moe").write(dir / "c-embedding.gguf");
    GgufWriter()
        .text("general.architecture", "clip")
        .text("general.type", "mmproj")
        .tensor("v.patch_embd.weight")
        .write(dir / "d-mmproj.gguf");
    model("llama").text("general.type", "adapter").write(dir / "e-lora.gguf");
    const fs::path vocab = fs::path(SHIMMY_LLAMA_DIR) / "models/ggml-vocab-phi-3.gguf";
    fs::create_symlink(vocab, dir / "f-vocab.gguf");

    const Catalog catalog = read_catalog({{dir.path(), "test", true}});
    EXPECT_TRUE(catalog.warnings.empty()) << catalog.warnings.front();
    ASSERT_EQ(catalog.models.size(), 6U);
    const ModelType expected[] = {ModelType::moe,       ModelType::dense,   ModelType::embedding,
                                  ModelType::projector, ModelType::adapter, ModelType::vocabulary};
    for (size_t i = 0; i < 6; ++i)
        EXPECT_EQ(catalog.models[i].type, expected[i]) << catalog.models[i].name;
    EXPECT_EQ(catalog.models[0].n_expert, 16);
    EXPECT_EQ(catalog.models[0].n_params, 8U);
    EXPECT_EQ(catalog.models[0].quantization, "F32");
    EXPECT_EQ(catalog.models[0].arch, "deepseek");
    EXPECT_EQ(catalog.models[0].size_bytes, fs::file_size(dir / "a-moe.gguf"));
    EXPECT_TRUE(is_llm(catalog.models[1].type));
    EXPECT_FALSE(is_llm(catalog.models[5].type));
}

TEST(Catalog, TypesOfOddFiles) {
    const TempDir dir;
    model("t5encoder").write(dir / "a.gguf");
    model("gemma-embedding").write(dir / "b.gguf");
    model("clip").write(dir / "c.gguf");
    model("llama").text("general.type", "imatrix").write(dir / "d.gguf");
    model("llama").text("general.type", "mmproj").write(dir / "e.gguf");
    model("llama").text("general.type", "unheard-of").write(dir / "f.gguf");
    GgufWriter().text("general.name", "x").tensor("t").write(dir / "g.gguf");
    GgufWriter().text("general.architecture", "llama").write(dir / "h.gguf");
    model("llama").integer("llama.expert_count", 0).write(dir / "i.gguf");
    model("llama").integer("llama.expert_count", 1).write(dir / "j.gguf");
    const Catalog catalog = read_catalog({{dir.path(), "somewhere", true}});
    std::string types;
    for (const CatalogModel & one : catalog.models)
        types += std::string(to_string(one.type)) + " ";
    EXPECT_EQ(types, "embedding embedding projector imatrix projector other other vocabulary dense moe ");
    EXPECT_STREQ(to_string(ModelType::adapter), "adapter");
    EXPECT_TRUE(is_llm(ModelType::moe));
    EXPECT_FALSE(is_llm(ModelType::embedding));
    EXPECT_EQ(catalog.models.at(0).quantization, "F32") << "embeddings are models";
    EXPECT_EQ(catalog.models.at(2).quantization, "") << "projectors are not";
    EXPECT_EQ(catalog.models.at(9).source, "somewhere");
    EXPECT_EQ(catalog.models.at(9).path, dir / "j.gguf");
}

TEST(Catalog, BrokenFilesAreWarnings) {
    const TempDir dir;
    model("llama").write(dir / "good.gguf");
    write_file_atomic(dir / "text.gguf", "this is not a GGUF file");
    const std::string whole = read_file(dir / "good.gguf");
    write_file_atomic(dir / "torn.gguf", whole.substr(0, whole.size() - 1));
    const Catalog catalog = read_catalog({{dir / "nowhere", "test", true}, {dir.path(), "test", true}});
    ASSERT_EQ(catalog.models.size(), 1U);
    EXPECT_EQ(catalog.models[0].name, "good");
    ASSERT_EQ(catalog.warnings.size(), 3U);
    EXPECT_EQ(catalog.warnings[0], (dir / "nowhere").string() + ": no such folder");
    EXPECT_NE(catalog.warnings[1].find("text.gguf"), std::string::npos);
    EXPECT_NE(catalog.warnings[2].find("torn.gguf"), std::string::npos);
}

TEST(Catalog, AnEmptyFolderListsNothing) {
    const TempDir dir;
    const Catalog catalog = read_catalog({{dir.path(), "test", true}});
    EXPECT_TRUE(catalog.models.empty());
    EXPECT_TRUE(catalog.warnings.empty());
}

}  // namespace
}  // namespace shimmy::library
