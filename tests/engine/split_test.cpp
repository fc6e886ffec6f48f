// Models in parts: sizes to the byte, and every tensor where llama.cpp's reader finds it.
#include "engine/make/split.h"

#include "base/error.h"
#include "base/files.h"
#include "gguf/gguf_bytes.h"
#include "gguf/gguf_file.h"
#include "temp_dir.h"

#include "gguf.h"

#include <gtest/gtest.h>

#include <numeric>

namespace shimmy::engine {
namespace {

using test::GgufBytes;

constexpr uint64_t KIB = 1024;

// What split.cpp reserves for the header of every part: never too little.
uint64_t reserved_bytes(const fs::path & file) {
    gguf_context * context = gguf_init_from_file(file.c_str(), {/*no_alloc=*/true, nullptr});
    const uint64_t header = gguf_get_data_offset(context);
    gguf_free(context);
    return header + 2 * 32 + KIB;
}

class Split : public ::testing::Test {
protected:
    // Tensors of 4096 bytes whose bytes are their number, except for the last, of 4 bytes.
    fs::path write_model(int n_tensors, uint32_t alignment = 32) {
        GgufBytes file(static_cast<uint64_t>(n_tensors), alignment == 32 ? 1 : 2);
        file.key("general.architecture", "toy");
        if (alignment != 32) file.key("general.alignment", alignment);
        for (int i = 0; i < n_tensors; ++i) {
            file.tensor(fmt::format("t{}", i), {i + 1 == n_tensors ? 1 : 1024}, static_cast<uint64_t>(i) * 4096);
        }
        std::string bytes = file.bytes();
        bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
        for (int i = 0; i + 1 < n_tensors; ++i)
            bytes.append(4096, static_cast<char>('A' + i));
        bytes.append(4, 'z');
        bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
        const fs::path path = dir_ / "model.gguf";
        GgufBytes::write(path, bytes);
        return path;
    }

    std::vector<fs::path> split(const fs::path & model, uint64_t max_part_bytes) {
        return split_model(model, dir_.path(), max_part_bytes, {});
    }

    // Tensors of every part.
    static std::vector<size_t> counts(const std::vector<fs::path> & parts) {
        std::vector<size_t> result(parts.size());
        const gguf::GgufFile file(parts.front());
        for (const gguf::TensorInfo & tensor : file.tensors())
            ++result[static_cast<size_t>(tensor.shard)];
        return result;
    }

    static void expect_same_weights(const fs::path & model, const std::vector<fs::path> & parts) {
        const gguf::GgufFile whole(model);
        const gguf::GgufFile split(parts.front());
        ASSERT_EQ(split.tensors().size(), whole.tensors().size());
        const std::string bytes = read_file(model);
        for (size_t i = 0; i < whole.tensors().size(); ++i) {
            const gguf::TensorInfo & before = whole.tensors()[i];
            const gguf::TensorInfo & after = split.tensors()[i];
            EXPECT_EQ(after.name, before.name);
            EXPECT_EQ(after.shape, before.shape);
            const std::string part = read_file(split.shards()[static_cast<size_t>(after.shard)]);
            EXPECT_EQ(part.substr(after.offset_bytes, after.bytes), bytes.substr(before.offset_bytes, before.bytes));
        }
    }

    const TempDir dir_;
};

TEST_F(Split, AFileThatIsSmallEnoughStaysWhole) {
    const fs::path model = write_model(4);
    const uint64_t size = fs::file_size(model);
    EXPECT_EQ(plan_split(model, size), (std::vector<uint64_t>{size}));
    EXPECT_EQ(plan_split(model, size + 1), (std::vector<uint64_t>{size}));
    EXPECT_GT(plan_split(model, size - 1).size(), 1U);
}

TEST_F(Split, PartsHoldAsManyTensorsAsFitWithTheirHeader) {
    const fs::path model = write_model(9);
    const uint64_t reserved = reserved_bytes(model);
    // The first part's tensors are counted like those of the others.
    EXPECT_EQ(counts(split(model, reserved + 3 * 4096)), (std::vector<size_t>{3, 3, 3}));
    EXPECT_EQ(counts(split(model, reserved + 3 * 4096 - 1)), (std::vector<size_t>{2, 2, 2, 3})) << "the last is small";
    EXPECT_EQ(counts(split(model, reserved + 4096)), (std::vector<size_t>{1, 1, 1, 1, 1, 1, 1, 1, 1}));
    EXPECT_EQ(counts(split(model, reserved + 4096 + 32)), (std::vector<size_t>{1, 1, 1, 1, 1, 1, 1, 2}))
        << "4 bytes, padded to 32";
    EXPECT_EQ(counts(split(model, reserved + 4096 + 31)), (std::vector<size_t>{1, 1, 1, 1, 1, 1, 1, 1, 1}));
    EXPECT_EQ(counts(split(model, 1)).size(), 9U) << "tensors stay whole";
}

TEST_F(Split, NoPartIsLargerThanAskedForAndAllAreAsPlanned) {
    for (const uint32_t alignment : {32U, 256U}) {
        const fs::path model = write_model(9, alignment);
        for (uint64_t limit = reserved_bytes(model) + 4096; limit < fs::file_size(model); limit += 977) {
            const std::vector<uint64_t> planned = plan_split(model, limit);
            const std::vector<fs::path> parts = split(model, limit);
            ASSERT_EQ(parts.size(), planned.size());
            for (size_t i = 0; i < parts.size(); ++i) {
                EXPECT_EQ(fs::file_size(parts[i]), planned[i]) << limit;
                EXPECT_LE(planned[i], limit);
                EXPECT_EQ(parts[i].filename().string(), fmt::format("model-{:05}-of-{:05}.gguf", i + 1, parts.size()));
            }
            expect_same_weights(model, parts);
            for (const fs::path & part : parts)
                fs::remove(part);
        }
    }
}

TEST_F(Split, OnlyTheFirstPartHoldsTheMetadata) {
    const std::vector<fs::path> parts = split(write_model(3, 64), 1);
    ASSERT_EQ(parts.size(), 3U);
    for (size_t i = 0; i < parts.size(); ++i) {
        gguf_context * part = gguf_init_from_file(parts[i].c_str(), {/*no_alloc=*/true, nullptr});
        ASSERT_NE(part, nullptr);
        EXPECT_EQ(gguf_get_val_u16(part, gguf_find_key(part, "split.no")), i);
        EXPECT_EQ(gguf_get_val_u16(part, gguf_find_key(part, "split.count")), 3);
        EXPECT_EQ(gguf_get_val_i32(part, gguf_find_key(part, "split.tensors.count")), 3);
        EXPECT_EQ(gguf_find_key(part, "general.architecture") >= 0, i == 0);
        EXPECT_EQ(gguf_get_alignment(part), 32U) << "ggml writes no other";
        gguf_free(part);
    }
}

TEST_F(Split, ProgressCountsTheWeights) {
    const fs::path model = dir_ / "large.gguf";
    constexpr uint64_t N_BYTES = 9 * 1024 * 1024 + 4;  // read in pieces of 4 MiB
    GgufBytes(1, 1).key("general.architecture", "toy").tensor("t", {N_BYTES / 4}, 0).data(N_BYTES + 28).write(model);
    std::vector<uint64_t> steps;
    split_model(model, dir_.path(), 1, [&](uint64_t done, uint64_t total) {
        EXPECT_EQ(total, fs::file_size(model));
        steps.push_back(done);
    });
    EXPECT_EQ(steps, (std::vector<uint64_t>{4 << 20, 8 << 20, N_BYTES}));
    expect_same_weights(model, {dir_ / "large-00001-of-00001.gguf"});
}

TEST_F(Split, StoppingLeavesWholePartsOnly) {
    const fs::path model = write_model(3);
    int n = 0;
    EXPECT_THROW(split_model(model, dir_.path(), 1,
                             [&](uint64_t, uint64_t) {
                                 if (++n == 2) throw Error("stop");
                             }),
                 Error);
    EXPECT_TRUE(fs::exists(dir_ / "model-00001-of-00003.gguf"));
    EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), fs::directory_iterator()), 2) << "model and part";
}

TEST_F(Split, OnlyWholeModelsAreSplit) {
    const auto error_of = [&](const fs::path & file) -> std::string {
        try {
            split(file, 1);
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    };
    const std::vector<fs::path> parts = split(write_model(3), 1);
    EXPECT_EQ(error_of(parts[1]), parts[1].string() +
                                      ": is a part of a split model already: join the parts first (llama-gguf-split "
                                      "--merge)");
    GgufBytes::write(dir_ / "text.gguf", "something else entirely");
    EXPECT_EQ(error_of(dir_ / "text.gguf"),
              (dir_ / "text.gguf").string() + ": is not a GGUF file that llama.cpp reads");
    const fs::path model = write_model(3);
    fs::resize_file(model, fs::file_size(model) - 100);
    EXPECT_EQ(error_of(model), model.string() + ": ends early");
    EXPECT_THROW(split_model(write_model(3), dir_ / "none", 1, {}), Error);
}

}  // namespace
}  // namespace shimmy::engine
