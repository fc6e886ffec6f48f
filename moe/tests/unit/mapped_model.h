// A model of experts, with a matrix besides, as a GGUF file that is mapped as llama.cpp maps it; and layers computed
// from it.
#pragma once

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "disk_faults.h"
#include "environment.h"
#include "ggml-moe.h"
#include "gguf.h"
#include "harness.h"

namespace mapped_model {

using namespace moe_test;
namespace fs = std::filesystem;

constexpr int64_t EMBD = 256, FF = 64;
constexpr int FIRST_LAYER = 640;  // counters of other tests are of other layers
constexpr int LAYERS = 4, EXPERTS = 8, USED = 2;
constexpr size_t EXPERT_BYTES = EMBD * FF / 32 * 34;  // of one matrix in Q8_0
constexpr size_t BLOCK = (EXPERT_BYTES + 2 * 4096 - 1) / 4096 * 4096;
constexpr size_t DENSE_BYTES = EMBD * 1024 / 32 * 34;  // of the matrix besides
constexpr size_t MATRICES = size_t{LAYERS} * EXPERTS * 3;

struct Ram {
    explicit Ram(size_t bytes) { moe_test::set_variable("GGML_MOE_RAM", std::to_string(bytes).c_str()); }
    explicit Ram(const char * text) { moe_test::set_variable("GGML_MOE_RAM", text); }
    ~Ram() { moe_test::unset_variable("GGML_MOE_RAM"); }
    Ram(const Ram &) = delete;
    Ram & operator=(const Ram &) = delete;
};

inline std::string name_of(int layer, const char * matrix) {
    return "blk." + std::to_string(FIRST_LAYER + layer) + ".ffn_" + matrix + "_exps.weight";
}

const char * const NAMES[] = {"gate", "up", "down"};

// A model of experts alone, written as a GGUF file and mapped as llama.cpp maps it.
class Model {
public:
    explicit Model(const std::string & name = "moe-disk")
        : path_(testing::TempDir() + name + "-" + std::to_string(getpid()) + ".gguf") {
        write();
        map();
    }
    ~Model() {
        if (weights_ != nullptr) ggml_backend_buffer_free(weights_);
        munmap(map_, bytes_);
        ggml_free(shapes_);
        fs::remove(path_);
    }
    Model(const Model &) = delete;
    Model & operator=(const Model &) = delete;

    const std::string & path() const { return path_; }
    ggml_tensor * matrix(int layer, int which) const { return mapped_[size_t(layer) * 3 + size_t(which)]; }
    const std::vector<uint8_t> & data(int layer, int which) const { return data_[size_t(layer) * 3 + size_t(which)]; }
    ggml_tensor * dense() const { return dense_; }
    size_t bytes() const { return bytes_ - data_offset_; }  // of all weights
    // The file now ends with the last matrix's first expert, whose page stays.
    void cut() { fs::resize_file(path_, offset_of_last_ + EXPERT_BYTES + 4096); }
    // It is the same as before.
    void restore() {
        fs::resize_file(path_, bytes_);
        std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(std::streamoff(offset_of_last_));
        file.write(reinterpret_cast<const char *>(data_.back().data()), std::streamsize(data_.back().size()));
    }

private:
    void write() {
        shapes_ = ggml_init({(MATRICES + 1) * ggml_tensor_overhead(), nullptr, true});
        gguf_context * header = gguf_init_empty();
        dense_ = ggml_new_tensor_2d(shapes_, GGML_TYPE_Q8_0, EMBD, 1024);
        ggml_set_name(dense_, ("blk." + std::to_string(FIRST_LAYER) + ".attn_q.weight").c_str());
        gguf_add_tensor(header, dense_);
        for (int layer = 0; layer < LAYERS; ++layer) {
            for (int which = 0; which < 3; ++which) {
                const bool down = which == 2;
                ggml_tensor * t =
                    ggml_new_tensor_3d(shapes_, GGML_TYPE_Q8_0, down ? FF : EMBD, down ? EMBD : FF, EXPERTS);
                ggml_set_name(t, name_of(layer, NAMES[which]).c_str());
                gguf_add_tensor(header, t);
                data_.push_back(quantize(
                    GGML_TYPE_Q8_0, normals(size_t{EMBD * FF * EXPERTS}, uint32_t(layer * 3 + which), 0.1f), t->ne[0]));
                mapped_.push_back(t);
            }
        }
        gguf_write_to_file(header, path_.c_str(), true);
        data_offset_ = fs::file_size(path_);
        std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
        for (size_t i = 0; i < data_.size(); ++i) {
            offsets_.push_back(data_offset_ + gguf_get_tensor_offset(header, int64_t(i) + 1));
            offset_of_last_ = offsets_.back();
            file.seekp(std::streamoff(offset_of_last_));
            file.write(reinterpret_cast<const char *>(data_[i].data()), std::streamsize(data_[i].size()));
        }
        gguf_free(header);
    }
    void map() {
        bytes_ = fs::file_size(path_);
        const int fd = open(path_.c_str(), O_RDONLY);
        map_ = static_cast<char *>(mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd, 0));
        close(fd);
        weights_ = ggml_backend_dev_buffer_from_host_ptr(ggml_backend_reg_dev_get(plugin(), 0), map_ + data_offset_,
                                                         bytes_ - data_offset_, 0);
        ggml_backend_buffer_set_usage(weights_, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);  // layers are computed as one
        ggml_backend_tensor_alloc(weights_, dense_, map_ + data_offset_);            // zeros
        for (size_t i = 0; i < mapped_.size(); ++i) {
            ggml_backend_tensor_alloc(weights_, mapped_[i], map_ + offsets_[i]);
        }
    }

    std::string path_;
    ggml_context * shapes_ = nullptr;
    ggml_tensor * dense_ = nullptr;
    std::vector<ggml_tensor *> mapped_;
    std::vector<std::vector<uint8_t>> data_;
    std::vector<size_t> offsets_;
    size_t data_offset_ = 0, offset_of_last_ = 0, bytes_ = 0;
    char * map_ = nullptr;
    ggml_backend_buffer_t weights_ = nullptr;
};

// A context that computes a layer with given routing.
class Context {
public:
    explicit Context(const Model & model) : model_(model) {}

    std::vector<float> layer(int layer, const std::vector<int32_t> & experts) {
        Graph & g = graph_at(layer, int64_t(experts.size()) / USED, experts, true);
        return g.compute(out_);
    }
    // The same from weights that are copied into memory.
    static std::vector<float> expected(const Model & model, int layer, const std::vector<int32_t> & experts) {
        Context c(model);
        return c.graph_at(layer, int64_t(experts.size()) / USED, experts, false).compute(c.out_);
    }
    // Expects that it cannot be computed.
    void fails(int layer, const std::vector<int32_t> & experts) {
        graph_at(layer, int64_t(experts.size()) / USED, experts, true).compute(out_, 1, GGML_STATUS_FAILED);
    }

private:
    Graph & graph_at(int layer, int64_t tokens, const std::vector<int32_t> & experts, bool mapped) {
        graph_ = std::make_unique<Graph>(true, 2);
        Graph & g = *graph_;
        ggml_tensor * w[3];
        for (int which = 0; which < 3; ++which) {
            ggml_tensor * m = model_.matrix(layer, which);
            w[which] =
                mapped ? m
                       : g.weight(GGML_TYPE_Q8_0, {m->ne[0], m->ne[1], m->ne[2]}, model_.data(layer, which), "copied");
        }
        ggml_tensor * x = g.input({EMBD, 1, tokens}, normals(size_t(EMBD * tokens), 77));
        ggml_tensor * ids = g.ids({USED, tokens}, experts);
        ggml_tensor * up = ggml_mul_mat_id(g.ctx(), w[1], x, ids);
        ggml_tensor * gate = ggml_mul_mat_id(g.ctx(), w[0], x, ids);
        out_ = ggml_mul_mat_id(g.ctx(), w[2], ggml_swiglu_split(g.ctx(), gate, up), ids);
        return g;
    }

    const Model & model_;
    std::unique_ptr<Graph> graph_;
    ggml_tensor * out_ = nullptr;
};

inline const char * text(ggml_moe_disk_stats & stats) {
    return proc<ggml_moe_disk_stats_t>("ggml_moe_disk_stats")(&stats);
}
inline ggml_moe_disk_stats stats() {
    ggml_moe_disk_stats s{};
    text(s);
    return s;
}

// Every expert, by its number of tokens.
inline std::vector<int32_t> prompt(int tokens) {
    std::vector<int32_t> ids;
    for (int i = 0; i < tokens * USED; ++i) {
        ids.push_back(i % EXPERTS);
    }
    return ids;
}

// Of the last graph that failed.
inline std::string last_failure() {
    char text[1024];
    proc<ggml_moe_last_failure_t>("ggml_moe_last_failure")(text, sizeof text);
    return text;
}

struct Disk : testing::Test {
    void SetUp() override { proc<ggml_moe_expert_stats_reset_t>("ggml_moe_expert_stats_reset")(); }
    DiskFaults faults;
};

}  // namespace mapped_model
