// Quantization beside llama.cpp's own quantizer called directly, and what is refused before any work.
#include "engine/make/quantize.h"

#include "base/error.h"
#include "base/files.h"
#include "engine/llama/log.h"
#include "engine/make/imatrix.h"
#include "engine/make/imatrix_coverage.h"
#include "engine/make/synthesize.h"
#include "gguf/model_info.h"
#include "tiny_shape.h"

#include "ggml-cpp.h"
#include "gguf.h"
#include "llama.h"

#include <gtest/gtest.h>
#include "error_of.h"

#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <stdexcept>

namespace shimmy::engine {
namespace {

class QuantizeTest : public ::testing::Test {
protected:
    QuantizeTest() {
        SynthOptions synth;
        synth.shape = gguf::with_layers(tiny_shape(dir_), 2);
        synth.output = model_;
        synthesize(synth);
        fs::create_directory(dir_ / "out");
        options_.input = model_;
        options_.output = dir_ / "out" / "quantized.gguf";
        options_.type = "Q4_K_M";
        options_.n_threads = 1;
    }

    // What llama-imatrix would have written after `n_chunks`: expert e of each layer has seen e tokens, whose squares
    // are column + 1 in the mean.
    fs::path write_imatrix(int n_chunks, const std::string & dataset = "calibration.txt") {
        const gguf::GgufFile file(model_);
        std::vector<std::string> names;
        const ggml_context_ptr tensors(ggml_init({size_t{16} << 20, nullptr, /*no_alloc=*/false}));
        const gguf_context_ptr context(gguf_init_empty());
        gguf_set_val_str(context.get(), "general.type", "imatrix");
        std::array<const char *, 1> datasets{dataset.c_str()};
        gguf_set_arr_str(context.get(), "imatrix.datasets", datasets.data(), datasets.size());
        gguf_set_val_u32(context.get(), "imatrix.chunk_count", static_cast<uint32_t>(n_chunks));
        gguf_set_val_u32(context.get(), "imatrix.chunk_size", 512);
        for (const gguf::TensorInfo & tensor : file.tensors()) {
            if (tensor.shape.size() < 2) continue;
            const int64_t n_experts = tensor.shape.size() == 3 ? tensor.shape[2] : 1;
            ggml_tensor * sums = ggml_new_tensor_2d(tensors.get(), GGML_TYPE_F32, tensor.shape[0], n_experts);
            ggml_tensor * counts = ggml_new_tensor_2d(tensors.get(), GGML_TYPE_F32, 1, n_experts);
            ggml_set_name(sums, (tensor.name + ".in_sum2").c_str());
            ggml_set_name(counts, (tensor.name + ".counts").c_str());
            for (int64_t expert = 0; expert < n_experts; ++expert) {
                const auto n_tokens = static_cast<float>(n_experts == 1 ? 10 : expert);
                static_cast<float *>(counts->data)[expert] = n_tokens;
                for (int64_t column = 0; column < tensor.shape[0]; ++column) {
                    static_cast<float *>(sums->data)[expert * tensor.shape[0] + column] =
                        n_tokens * static_cast<float>(column + 1);
                }
            }
            gguf_add_tensor(context.get(), sums);
            gguf_add_tensor(context.get(), counts);
        }
        gguf_write_to_file(context.get(), imatrix_.c_str(), /*only_meta=*/false);
        return imatrix_;
    }

    const TempDir dir_;
    const fs::path model_ = dir_ / "f16.gguf";
    const fs::path imatrix_ = dir_ / "model.imatrix.gguf";
    QuantizeOptions options_;
};

TEST_F(QuantizeTest, WritesTheBytesOfLlamaCppsQuantizer) {
    quantize(options_);
    const LogCapture log;
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = LLAMA_FTYPE_MOSTLY_Q4_K_M;
    params.nthread = 1;
    ASSERT_EQ(llama_model_quantize(model_.c_str(), (dir_ / "theirs.gguf").c_str(), &params), 0);
    EXPECT_EQ(sha256_file_hex(options_.output), sha256_file_hex(dir_ / "theirs.gguf"));
    EXPECT_EQ(std::distance(fs::directory_iterator(dir_ / "out"), fs::directory_iterator()), 1);
}

TEST_F(QuantizeTest, CallsBackForEveryTensor) {
    std::vector<uint64_t> done;
    uint64_t in_all = 0;
    quantize(options_, [&](uint64_t n, uint64_t total) {
        done.push_back(n);
        in_all = total;
    });
    const uint64_t n_tensors = gguf::GgufFile(model_).tensors().size();
    EXPECT_EQ(in_all, n_tensors);
    ASSERT_EQ(done.size(), n_tensors);
    for (uint64_t i = 0; i < n_tensors; ++i)
        EXPECT_EQ(done[i], i);
}

TEST_F(QuantizeTest, StoppingLeavesNothingBehind) {
    const auto stop = [](uint64_t, uint64_t) { throw std::runtime_error("enough"); };
    EXPECT_EQ(error_of([&] { quantize(options_, stop); }), model_.string() + ": Q4_K_M: enough");
    EXPECT_TRUE(fs::is_empty(dir_ / "out"));
    quantize(options_);
    EXPECT_TRUE(fs::exists(options_.output)) << "the next run is not disturbed";
}

TEST_F(QuantizeTest, TypesOfSingleTensorsCanBeSet) {
    options_.tensor_types = {{"ffn_up_exps", "q8_0"}};
    quantize(options_);
    const gguf::GgufFile file(options_.output);
    for (const gguf::TensorInfo & tensor : file.tensors()) {
        if (tensor.name.find("ffn_up_exps") != std::string::npos) {
            EXPECT_EQ(tensor.type, "q8_0");
        }
        if (tensor.name == "blk.0.ffn_up.weight") {
            EXPECT_EQ(tensor.type, "q4_K");
        }
    }
    options_.tensor_types = {{"nothing", "q8_0"}};
    EXPECT_EQ(error_of([&] { quantize(options_); }), "no tensor's name matches 'nothing'");
}

TEST_F(QuantizeTest, QuantizedModelsAreNotQuantizedAgain) {
    EXPECT_NO_THROW(require_quantizable(model_));
    quantize(options_);
    const std::string error = error_of([&] { require_quantizable(options_.output); });
    EXPECT_TRUE(error.starts_with(options_.output.string() + ": already quantized (")) << error;
    EXPECT_TRUE(error.ends_with("): quantize the F16 or BF16 original instead")) << error;
    QuantizeOptions again = options_;
    again.input = options_.output;
    again.output = dir_ / "out" / "again.gguf";
    EXPECT_EQ(error_of([&] { quantize(again); }), error);
    for (const auto & [type, name] : {std::pair{0U, "F32"}, {1U, "F16"}, {30U, "BF16"}}) {
        test::GgufBytes(1, 1)
            .key("general.architecture", "x")
            .tensor("t", {32}, 0, type)
            .data(128)
            .write(dir_ / "t.gguf");
        EXPECT_EQ(error_of([&] { require_quantizable(dir_ / "t.gguf"); }), "") << name;
    }
}

TEST_F(QuantizeTest, TypesThatNeedAnImatrixSayItFirst) {
    options_.type = "IQ2_XXS";
    const std::string error = error_of([&] { quantize(options_); });
    EXPECT_TRUE(error.starts_with(model_.string() + ": IQ2_XXS of blk.")) << error;
    EXPECT_NE(error.find(" needs an importance matrix: make one with shimmy imatrix"), std::string::npos) << error;
    EXPECT_TRUE(fs::is_empty(dir_ / "out"));
    options_.imatrix = write_imatrix(1, std::string(200, 'd'));
    EXPECT_EQ(error_of([&] { quantize(options_); }), "");
    const gguf::GgufFile file(options_.output);
    EXPECT_EQ(file.metadata().find_string("quantize.imatrix.file"), "model.imatrix.gguf");
    EXPECT_EQ(file.metadata().find_string("quantize.imatrix.dataset"), std::string(127, 'd'))
        << "what llama.cpp's field holds";
    EXPECT_EQ(file.metadata().find_int("quantize.imatrix.chunks_count"), 1);
}

TEST_F(QuantizeTest, AFolderThatCannotBeWrittenIsNamed) {
    options_.output = "/proc/none/quantized.gguf";
    EXPECT_NE(error_of([&] { quantize(options_); }).find("/proc/none"), std::string::npos);
}

TEST_F(QuantizeTest, AnImatrixHoldsMeansPerExpert) {
    const Imatrix imatrix(write_imatrix(0));
    int n_entries = 0;
    for (const llama_model_imatrix_data * entry = imatrix.data(); entry->name != nullptr; ++entry, ++n_entries) {
        const std::string name = entry->name;
        const bool experts = name.find("_exps") != std::string::npos;
        const size_t n_experts = experts ? 8 : 1;
        const size_t n_columns = entry->size / n_experts;
        EXPECT_EQ(entry->size % n_experts, 0U);
        for (size_t expert = 0; expert < n_experts; ++expert) {
            const bool unreached = experts && expert == 0;
            EXPECT_FLOAT_EQ(entry->data[expert * n_columns], 1.0F) << name;
            EXPECT_FLOAT_EQ(entry->data[expert * n_columns + n_columns - 1],
                            unreached ? 1.0F : static_cast<float>(n_columns))
                << name << ", expert " << expert;
        }
    }
    std::vector<std::string> keys;
    for (const llama_model_kv_override * entry = imatrix.metadata(); entry->key[0] != 0; ++entry) {
        keys.emplace_back(entry->key);
        if (keys.back() == "quantize.imatrix.entries_count") {
            EXPECT_EQ(entry->val_i64, n_entries);
        }
    }
    EXPECT_EQ(keys, (std::vector<std::string>{"quantize.imatrix.file", "quantize.imatrix.dataset",
                                              "quantize.imatrix.entries_count"}))
        << "a number of chunks that is not known is not told";
}

TEST_F(QuantizeTest, CoverageNamesTheExpertsThatNoTokenReached) {
    const ImatrixCoverage coverage = read_imatrix_coverage(write_imatrix(5));
    const gguf::GgufFile file(model_);
    int n_matrices = 0;
    for (const gguf::TensorInfo & tensor : file.tensors())
        n_matrices += tensor.shape.size() >= 2 ? 1 : 0;
    EXPECT_EQ(coverage.n_tensors, n_matrices);
    EXPECT_EQ(coverage.n_chunks, 5);
    EXPECT_EQ(coverage.n_experts, 8) << "one layer has experts";
    ASSERT_EQ(coverage.unreached.size(), 1U);
    EXPECT_EQ(coverage.unreached[0].layer, 1);
    EXPECT_EQ(coverage.unreached[0].expert, 0);
}

TEST_F(QuantizeTest, WhatIsNoImatrixIsNamed) {
    EXPECT_EQ(error_of([&] { read_imatrix_coverage(dir_ / "none"); }), (dir_ / "none").string() + ": no such file");
    const std::string start = model_.string() + ": not an importance matrix: ";
    EXPECT_TRUE(error_of([&] { read_imatrix_coverage(model_); }).starts_with(start));
    EXPECT_TRUE(error_of([&] { const Imatrix imatrix(model_); }).starts_with(start));
}

TEST(Synthesis, WeightsAreOfTheirKindAndEveryByteIsWritten) {
    const TempDir dir;
    SynthOptions options;
    options.shape = gguf::with_layers(tiny_shape(dir), 2);
    options.quantization = "q8_0";
    options.output = dir / "model.gguf";
    std::vector<uint64_t> steps;
    const uint64_t size_bytes = synthesize(options, [&](uint64_t done, uint64_t total) {
        EXPECT_EQ(total, fs::file_size(options.output.string() + fmt::format(".{}.part", ::getpid())));
        steps.push_back(done);
    });
    EXPECT_EQ(size_bytes, fs::file_size(options.output));
    EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
    const std::string bytes = read_file(options.output);
    const gguf::GgufFile file(options.output);
    EXPECT_EQ(file.metadata().find_string("general.name"), "Tiny (synthetic)");
    EXPECT_EQ(file.metadata().find_string("general.description"),
              "Synthetic: the shape of Tiny with weights that are random (seed 42), written by shimmy synth. Its text "
              "has no meaning.");
    EXPECT_EQ(file.metadata().find_int("general.file_type"), LLAMA_FTYPE_MOSTLY_Q8_0);
    EXPECT_EQ(file.metadata().find_int("general.quantization_version"), 2);
    uint64_t last = 0;
    for (const gguf::TensorInfo & tensor : file.tensors()) {
        const std::string data = bytes.substr(tensor.offset_bytes, tensor.bytes);
        last = std::max(last, tensor.offset_bytes + tensor.bytes);
        if (tensor.name.find("norm") != std::string::npos) {
            for (size_t i = 0; i < data.size(); i += 4) {
                float value = 0.0F;
                std::memcpy(&value, data.data() + i, sizeof(value));
                ASSERT_EQ(value, 1.0F) << tensor.name;
            }
        } else if (tensor.type == "q8_0") {
            std::set<std::string> blocks;
            for (size_t block = 0; block < data.size(); block += 34)
                blocks.insert(data.substr(block, 34));
            EXPECT_FALSE(blocks.contains(std::string(34, '\0'))) << tensor.name;
            EXPECT_GT(blocks.size(), 100U) << tensor.name << " repeats itself";
        }
    }
    EXPECT_EQ(steps.back(), last);
    EXPECT_EQ(bytes.size(), (last + 31) / 32 * 32);
}

TEST(Synthesis, ASparseFileSaysSo) {
    const TempDir dir;
    SynthOptions options;
    options.shape = gguf::with_layers(tiny_shape(dir), 2);
    options.output = dir / "new" / "folder" / "model.gguf";
    options.sparse = true;
    synthesize(options);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    EXPECT_EQ(fs::status(options.output).permissions(), static_cast<fs::perms>(0644 & ~mask));
    const gguf::GgufFile file(options.output);
    EXPECT_NE(file.metadata().find_string("general.description")->find("weights that are all zero,"),
              std::string::npos);
    const std::string bytes = read_file(options.output);
    const uint64_t start = file.tensors().front().offset_bytes;
    EXPECT_EQ(bytes.find_first_not_of('\0', start), std::string::npos);
}

}  // namespace
}  // namespace shimmy::engine
