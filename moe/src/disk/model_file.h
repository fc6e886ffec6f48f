// The file behind mapped weights, read without the mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace moe {

class ModelFile {
public:
    // The file that is mapped at this address; null if there is none, or it cannot be opened, or another file has its
    // name by now.
    static std::shared_ptr<ModelFile> at(const void * address);

    ~ModelFile();
    ModelFile(const ModelFile &) = delete;
    ModelFile & operator=(const ModelFile &) = delete;

    const std::string & path() const { return path_; }
    bool is_direct() const { return direct_ >= 0; }  // reads pass by the page cache

    // Than when this was made.
    bool became_shorter() const;

    // Where the byte at this address of the mapping stands in the file.
    uint64_t offset_of(const void * address) const;

    struct Tensor {
        std::string name;
        uint64_t offset = 0;  // in the file
        size_t bytes = 0;
        int64_t experts = 0;  // 0: no experts' weights
        int32_t layer = 0;
    };
    // What its header lists; nothing if it is no GGUF file.
    std::vector<Tensor> tensors() const;

    // Reads bytes from..to, rounded outwards to pages, so that byte `from` stands at to[from % PAGE]; `memory` begins
    // at a page. 0, an errno, or TOO_SHORT if the file ends before.
    static constexpr size_t PAGE = 4096;
    static constexpr int TOO_SHORT = -1;
    int read(uint64_t from, uint64_t to, uint8_t * memory) const;

    // The page cache need not keep these bytes.
    void drop(uint64_t from, uint64_t to) const;

private:
    ModelFile() = default;
    int read_from(int fd, uint64_t begin, size_t needed, size_t bytes, uint8_t * memory) const;

    std::string path_;
    int buffered_ = -1;
    mutable int direct_ = -1;
    const uint8_t * address_ = nullptr;  // of byte offset_
    uint64_t offset_ = 0;
    uint64_t bytes_ = 0;  // of the file
};

}  // namespace moe
