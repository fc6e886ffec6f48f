#include "gguf/gguf_file.h"

#include "base/error.h"
#include "base/files.h"
#include "gguf_bytes.h"
#include "temp_dir.h"

#include "ggml.h"
#include "gguf.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <fstream>
#include <iterator>

namespace shimmy::gguf {

namespace {

using test::GgufBytes;

const fs::path VOCAB = fs::path(SHIMMY_LLAMA_DIR) / "models" / "ggml-vocab-phi-3.gguf";

// Two tensors of 32 f32 values each, and metadata of several kinds.
GgufBytes good_file() {
    return GgufBytes(2, 5)
        .key("general.architecture", "test")
        .key("test.block_count", 3U)
        .key("test.eps", 0.5F)
        .key("test.per_layer", std::vector<int32_t>{1, 2, 3})
        .key("test.words", std::vector<std::string>{"a", "", "ccc"})
        .tensor("first.weight", {8, 4}, 0)
        .tensor("second.weight", {32}, 128)
        .data(256);
}

class GgufFileTest : public ::testing::Test {
protected:
    static ParsedFile parse(const std::string & bytes) {
        return parse_gguf(std::as_bytes(std::span(bytes)), "bad.gguf");
    }

    static std::string error_of(const std::string & bytes) {
        try {
            parse(bytes);
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    }

    static std::string error_of_file(const fs::path & path) {
        try {
            const GgufFile file(path);
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    }

    // Files whose size nobody knows before they are read.
    static std::string slurp(const fs::path & path) {
        std::ifstream stream(path);
        return {std::istreambuf_iterator<char>(stream), {}};
    }

    TempDir dir_;
};

void expect_same_tensors(const std::vector<TensorInfo> & tensors, const gguf_context * context) {
    ASSERT_EQ(static_cast<int64_t>(tensors.size()), gguf_get_n_tensors(context));
    for (int64_t i = 0; i < gguf_get_n_tensors(context); ++i) {
        const TensorInfo & tensor = tensors[static_cast<size_t>(i)];
        EXPECT_EQ(tensor.name, gguf_get_tensor_name(context, i));
        EXPECT_EQ(tensor.bytes, gguf_get_tensor_size(context, i));
        EXPECT_EQ(tensor.offset_bytes, gguf_get_data_offset(context) + gguf_get_tensor_offset(context, i));
    }
}

#define EXPECT_ERROR(actual, part)                                      \
    do {                                                                \
        const std::string message = (actual);                           \
        EXPECT_NE(message.find(part), std::string::npos) << message;    \
        EXPECT_EQ(message.find('\n'), std::string::npos) << message;    \
        EXPECT_NE(message.find(".gguf"), std::string::npos) << message; \
    } while (false)

}  // namespace

TEST_F(GgufFileTest, ReadsMetadataAndTensors) {
    const fs::path path = dir_.path() / "good.gguf";
    good_file().write(path);
    const GgufFile file(path);
    EXPECT_EQ(file.version(), 3U);
    EXPECT_EQ(file.size_bytes(), fs::file_size(path));
    EXPECT_EQ(file.metadata().find_string("general.architecture"), "test");
    EXPECT_EQ(file.metadata().find_int("test.block_count"), 3);
    EXPECT_EQ(file.metadata().find_float("test.eps"), 0.5);
    EXPECT_EQ(file.metadata().find_float("test.block_count"), 3.0);
    EXPECT_EQ(file.metadata().find_ints("test.per_layer"), (std::vector<int64_t>{1, 2, 3}));
    EXPECT_EQ(file.metadata().find_ints("test.block_count"), (std::vector<int64_t>{3}));
    EXPECT_EQ(file.metadata().find_strings("test.words"), (std::vector<std::string_view>{"a", "", "ccc"}));
    EXPECT_EQ(file.metadata().find_strings("test.words", 1), (std::vector<std::string_view>{"a"}));
    EXPECT_EQ(file.metadata().find_int("no.such.key"), std::nullopt);
    EXPECT_THROW(file.metadata().find_int("general.architecture"), Error);
    EXPECT_THROW(file.metadata().find_string("test.block_count"), Error);
    EXPECT_THROW(file.metadata().find_int("test.per_layer"), Error);

    ASSERT_EQ(file.tensors().size(), 2U);
    const TensorInfo & first = file.tensors().front();
    EXPECT_EQ(first.name, "first.weight");
    EXPECT_EQ(first.type, "f32");
    EXPECT_EQ(first.shape, (std::vector<int64_t>{8, 4}));
    EXPECT_EQ(first.n_elements, 32U);
    EXPECT_EQ(first.bytes, 128U);
    EXPECT_EQ(file.tensors().back().offset_bytes, first.offset_bytes + 128);
}

TEST_F(GgufFileTest, NamesWhatIsWrongWithTheFile) {
    EXPECT_ERROR(error_of_file(dir_.path() / "none.gguf"), "no such file");
    fs::create_directory(dir_.path() / "folder.gguf");
    EXPECT_ERROR(error_of_file(dir_.path() / "folder.gguf"), "is a folder");
    EXPECT_ERROR(error_of(""), "empty");
    EXPECT_ERROR(error_of("XY\3\4 something else"), "not a GGUF file (it starts with 'XY");
    EXPECT_ERROR(error_of("GG"), "not a GGUF file");
    EXPECT_ERROR(error_of(GgufBytes(0, 0, 1).bytes()), "version 1 is not supported");
    EXPECT_ERROR(error_of(GgufBytes(0, 0, 99).bytes()), "version 99 is not supported");
    EXPECT_ERROR(error_of(GgufBytes(0, 0, 0x03000000).bytes()), "big-endian");
}

TEST_F(GgufFileTest, RefusesAbsurdCounts) {
    EXPECT_ERROR(error_of(GgufBytes(0, UINT64_MAX).bytes()), "claims 18446744073709551615 metadata keys");
    EXPECT_ERROR(error_of(GgufBytes(uint64_t{1} << 40, 0).bytes()), "claims 1099511627776 tensors");
    GgufBytes long_string(0, 1);
    long_string.string("some.key").number<uint32_t>(8).number<uint64_t>(uint64_t{1} << 62);
    EXPECT_ERROR(error_of(long_string.bytes()), "claims a length of 4611686018427387904");
    for (const uint32_t type : {0U, 5U, 8U, 12U}) {
        GgufBytes long_array(0, 1);
        long_array.string("some.key").number<uint32_t>(9).number(type).number<uint64_t>(UINT64_MAX / 2);
        EXPECT_ERROR(error_of(long_array.bytes()), "claims 9223372036854775807 values");
    }
    GgufBytes nested(0, 1);
    nested.string("some.key").number<uint32_t>(9).number<uint32_t>(9).number<uint64_t>(1).data(64);
    EXPECT_ERROR(error_of(nested.bytes()), "array of arrays");
    GgufBytes odd_type(0, 1);
    odd_type.string("some.key").number<uint32_t>(77).data(64);
    EXPECT_ERROR(error_of(odd_type.bytes()), "unknown type (77)");
}

TEST_F(GgufFileTest, RefusesImpossibleTensors) {
    const auto with_tensor = [](const std::string & name, const std::vector<int64_t> & shape, uint64_t offset,
                                uint32_t type = 0) {
        return GgufBytes(1, 1).key("general.architecture", "test").tensor(name, shape, offset, type).data(4096).bytes();
    };
    EXPECT_EQ(error_of(with_tensor("t", {32, 4}, 0)), "");
    EXPECT_ERROR(error_of(with_tensor("t", {1, 1, 1, 1, 1}, 0)), "5 dimensions");
    EXPECT_ERROR(error_of(with_tensor("t", {-4}, 0)), "dimension of -4");
    EXPECT_ERROR(error_of(with_tensor("t", {INT64_MAX, 4}, 0)), "impossible shape");
    EXPECT_ERROR(error_of(with_tensor("t", {INT64_MAX}, 0)), "impossible shape");
    EXPECT_ERROR(error_of(with_tensor("t", {INT64_MAX / 8, 1}, 0)), "bytes missing");
    EXPECT_ERROR(error_of(with_tensor("t", {32}, 64)), "is at offset 64, expected 0");
    EXPECT_ERROR(error_of(with_tensor("t", {32}, UINT64_MAX)), "is at offset");
    EXPECT_ERROR(error_of(with_tensor("t", {32}, 0, 4)), "unknown type (4)");  // a type that ggml removed
    EXPECT_ERROR(error_of(with_tensor("t", {32}, 0, 100000)), "unknown type (100000)");
    EXPECT_ERROR(error_of(with_tensor("t", {33}, 0, 8)), "not a multiple of the 32");
    EXPECT_ERROR(error_of(with_tensor(std::string(64, 'n'), {32}, 0)), "too long");
    EXPECT_ERROR(error_of(with_tensor(std::string("a\0b", 3), {32}, 0)), "holds a NUL");
    EXPECT_ERROR(error_of(with_tensor("bad\nname", {-1}, 0)), "bad?name");
    EXPECT_ERROR(error_of(GgufBytes(2, 0).tensor("t", {8}, 0).tensor("t", {8}, 32).data(64).bytes()), "comes twice");
    EXPECT_ERROR(error_of(GgufBytes(0, 2).key("k", 1U).key("k", 2U).bytes()), "comes twice");
    EXPECT_ERROR(error_of(GgufBytes(1, 1).key("general.alignment", 24U).tensor("t", {8}, 0).data(64).bytes()),
                 "not a power of two");
}

TEST_F(GgufFileTest, SaysHowManyBytesOfTheWeightsAreMissing) {
    const std::string whole = good_file().bytes();
    EXPECT_EQ(error_of(whole), "");
    EXPECT_ERROR(error_of(whole.substr(0, whole.size() - 100)), "truncated");
    EXPECT_ERROR(error_of(whole.substr(0, whole.size() - 100)), "(100 bytes missing");
}

TEST_F(GgufFileTest, EveryTruncationIsAnErrorOfOneLine) {
    const std::string whole = good_file().bytes();
    for (size_t n = 0; n < whole.size(); ++n)
        EXPECT_ERROR(error_of(whole.substr(0, n)), "bad.gguf");
    const std::string vocab = read_file(VOCAB);
    for (size_t n = 0; n < vocab.size(); n += 1 + n / 50)
        EXPECT_ERROR(error_of(vocab.substr(0, n)), "bad.gguf");
}

// This reader takes the files that ggml's takes, with the same tensors. (Only what lies beyond the weights' end
// differs: ggml's reader does not look there.)
TEST_F(GgufFileTest, AgreesWithGgmlOnDamagedFiles) {
    const std::string whole = good_file().bytes();
    ggml_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    int n_taken = 0;
    for (size_t at = 4; at + 256 < whole.size(); ++at) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x11);
        const std::string error = error_of(damaged);
        if (error.find("truncated: its weights") != std::string::npos) continue;
        gguf_context * context = gguf_init_from_buffer(damaged.data(), damaged.size(), {/*no_alloc=*/true, nullptr});
        EXPECT_EQ(error.empty(), context != nullptr) << "byte " << at << ": " << error;
        if (error.empty() && context != nullptr) {
            ++n_taken;
            expect_same_tensors(parse(damaged).tensors, context);
        }
        gguf_free(context);
    }
    EXPECT_GT(n_taken, 10);  // letters of names and values may change freely
    ggml_log_set(nullptr, nullptr);
}

TEST_F(GgufFileTest, ReadsARealVocabulary) {
    const GgufFile file(VOCAB);
    EXPECT_EQ(file.metadata().find("tokenizer.ggml.tokens")->n, 32064U);
    EXPECT_EQ(file.metadata().find_strings("tokenizer.ggml.tokens", 3)->at(1), "<s>");
}

// The three parts of a model, each in a state of its own choosing.
class SplitGgufTest : public GgufFileTest {
protected:
    struct Part {
        uint32_t no = 0;
        uint32_t count = 3;
        std::string tensor = "a";
        uint32_t n_tensors = 3;  // split.tensors.count, of all parts
    };

    fs::path path_of(int part_no) const { return dir_.path() / fmt::format("m-0000{}-of-00003.gguf", part_no + 1); }

    static void write(const fs::path & path, const Part & part) {
        GgufBytes(1, 4)
            .key("general.architecture", "test")
            .key("split.no", part.no)
            .key("split.count", part.count)
            .key("split.tensors.count", part.n_tensors)
            .tensor(part.tensor, {32}, 0)
            .data(128 * (1 + part.no))
            .write(path);
    }

    SplitGgufTest() {
        write(path_of(0), {});
        write(path_of(1), {.no = 1, .tensor = "b"});
        write(path_of(2), {.no = 2, .tensor = "c"});
    }
};

TEST_F(SplitGgufTest, AllPartsAreReadInOrder) {
    const GgufFile file(path_of(0));
    ASSERT_EQ(file.tensors().size(), 3U);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(file.tensors()[static_cast<size_t>(i)].name, std::string(1, static_cast<char>('a' + i)));
        EXPECT_EQ(file.tensors()[static_cast<size_t>(i)].shard, i);
    }
    EXPECT_EQ(file.shards(), (std::vector<fs::path>{path_of(0), path_of(1), path_of(2)}));
    EXPECT_EQ(file.path(), path_of(0));
    EXPECT_EQ(file.size_bytes(), fs::file_size(path_of(0)) + fs::file_size(path_of(1)) + fs::file_size(path_of(2)));
    EXPECT_EQ(file.metadata().find_int("split.no"), 0);
}

TEST_F(SplitGgufTest, ALaterPartNamesTheFirst) {
    EXPECT_EQ(error_of_file(path_of(2)),
              fmt::format("{}: is part 3 of 3: give the first part, {}", path_of(2).string(), path_of(0).string()));
    const fs::path renamed = dir_.path() / "renamed.gguf";
    fs::rename(path_of(0), renamed);
    EXPECT_EQ(error_of_file(renamed),
              fmt::format("{}: is part 1 of 3, so its name must end in -00001-of-00003.gguf", renamed.string()));
}

TEST_F(SplitGgufTest, AMissingPartIsNamed) {
    fs::remove(path_of(2));
    EXPECT_EQ(error_of_file(path_of(0)),
              fmt::format("{}: part 3 of 3 is missing: {}", path_of(0).string(), path_of(2).string()));
}

TEST_F(SplitGgufTest, EveryPartSaysWhichOneItIs) {
    const std::string refusal = path_of(1).string() + ": is not part 2 of 3 by its own metadata";
    write(path_of(1), {.no = 2, .tensor = "b"});
    EXPECT_EQ(error_of_file(path_of(0)), refusal);
    write(path_of(1), {.no = 1, .count = 4, .tensor = "b"});
    EXPECT_EQ(error_of_file(path_of(0)), refusal);
    write(path_of(1), {.no = 1, .tensor = "b"});
    EXPECT_EQ(error_of_file(path_of(0)), "");
}

TEST_F(SplitGgufTest, PartsThatWereJoinedEndToEndAreTold) {
    const fs::path joined = dir_.path() / "joined.gguf";
    write_file_atomic(joined, read_file(path_of(0)) + read_file(path_of(1)) + read_file(path_of(2)));
    EXPECT_EQ(error_of_file(joined), joined.string() +
                                         ": is 3 parts joined end to end, which no program reads: join them with "
                                         "llama-gguf-split --merge, or give the parts themselves");
    write_file_atomic(joined, read_file(path_of(0)) + "something else");
    EXPECT_ERROR(error_of_file(joined), "its name must end in -00001-of-00003.gguf");
}

TEST_F(SplitGgufTest, NoTensorIsInTwoParts) {
    write(path_of(2), {.no = 2, .tensor = "b"});
    EXPECT_EQ(error_of_file(path_of(0)), path_of(2).string() + ": tensor 'b' comes twice");
}

TEST_F(SplitGgufTest, NoTensorIsMissing) {
    write(path_of(0), {.n_tensors = 4});
    EXPECT_EQ(error_of_file(path_of(0)), path_of(0).string() + ": its parts hold 3 tensors, expected 4");
}

TEST_F(SplitGgufTest, OnePartIsAWholeFile) {
    const fs::path path = dir_.path() / "any name.gguf";
    write(path, {.no = 0, .count = 1, .n_tensors = 1});
    EXPECT_EQ(error_of_file(path), "");
    write(path, {.no = 0, .count = 65535});
    EXPECT_ERROR(error_of_file(path), "its name must end in -00001-of-65535.gguf");
    write(path, {.no = 0, .count = 65536});
    EXPECT_ERROR(error_of_file(path), "claims to be split into 65536 parts");
    const fs::path unnumbered = dir_.path() / "u-00001-of-00002.gguf";
    GgufBytes(0, 1).key("split.count", 2U).write(unnumbered);
    EXPECT_ERROR(error_of_file(unnumbered), "part 2 of 2 is missing");
}

TEST_F(GgufFileTest, OnlyFilesAreMapped) {
    EXPECT_EQ(error_of_file("/dev/null"), "/dev/null: not a regular file");
    const fs::path empty = dir_.path() / "empty.gguf";
    GgufBytes::write(empty, "");
    EXPECT_EQ(error_of_file(empty), empty.string() + ": the file is empty");
    GgufBytes::write(empty, "G");
    EXPECT_EQ(error_of_file(empty), empty.string() + ": not a GGUF file (it starts with 'G')");
}

TEST_F(GgufFileTest, NothingStaysOpenOrMapped) {
    const fs::path path = dir_.path() / "mapped.gguf";
    good_file().write(path);
    const auto is_mapped = [&] { return slurp("/proc/self/maps").find(path.string()) != std::string::npos; };
    {
        const GgufFile file(path);
        EXPECT_TRUE(is_mapped());
        for (const auto & entry : fs::directory_iterator("/proc/self/fd")) {
            std::error_code closed_meanwhile;
            EXPECT_NE(fs::read_symlink(entry.path(), closed_meanwhile), path);
        }
    }
    EXPECT_FALSE(is_mapped());
    GgufBytes::write(dir_.path() / "bad.gguf", "PK..");
    EXPECT_ERROR(error_of_file(dir_.path() / "bad.gguf"), "not a GGUF file");
    EXPECT_EQ(slurp("/proc/self/maps").find("bad.gguf"), std::string::npos);
}

TEST_F(GgufFileTest, AFileThatCannotBeOpenedSaysWhy) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "UndefinedBehaviorSanitizer opens a pipe to look at an object";
#endif
    const fs::path path = dir_.path() / "good.gguf";
    good_file().write(path);
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    const std::string error = error_of_file(path);
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ(error, path.string() + ": Too many open files");
}

}  // namespace shimmy::gguf
