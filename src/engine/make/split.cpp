#include "engine/make/split.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "base/text/units.h"

#include "ggml.h"
#include "gguf.h"
#include "llama.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>

namespace shimmy::engine {

namespace {

constexpr size_t COPY_BYTES = size_t{4} << 20;
// The keys that llama.cpp's loader looks for.
constexpr const char * SPLIT_NO = "split.no";
constexpr const char * SPLIT_COUNT = "split.count";
constexpr const char * SPLIT_TENSORS = "split.tensors.count";

struct GgufFree {
    void operator()(gguf_context * context) const { gguf_free(context); }
};
struct GgmlFree {
    void operator()(ggml_context * context) const { ggml_free(context); }
};
using Gguf = std::unique_ptr<gguf_context, GgufFree>;
using Ggml = std::unique_ptr<ggml_context, GgmlFree>;

struct Source {
    Gguf gguf;
    Ggml tensors;  // without data

    // In a part, whose alignment is the default whatever that of the whole file.
    uint64_t padded_bytes(int64_t tensor) const {
        return GGML_PAD(gguf_get_tensor_size(gguf.get(), tensor), GGUF_DEFAULT_ALIGNMENT);
    }
};

Source open_source(const fs::path & file) {
    ggml_context * tensors = nullptr;
    Source source;
    source.gguf.reset(gguf_init_from_file(file.c_str(), {/*no_alloc=*/true, /*ctx=*/&tensors}));
    source.tensors.reset(tensors);
    if (!source.gguf) fail("{}: is not a GGUF file that llama.cpp reads", file.string());
    if (gguf_find_key(source.gguf.get(), SPLIT_COUNT) >= 0)
        fail("{}: is a part of a split model already: join the parts first (llama-gguf-split --merge)", file.string());
    return source;
}

// Tensors [first, end) of each part.
struct TensorRange {
    int64_t first;
    int64_t end;
};

std::vector<TensorRange> ranges(const Source & source, uint64_t max_part_bytes) {
    // No part's header is larger than that of the whole file and the keys of a part.
    const uint64_t header_bytes = gguf_get_meta_size(source.gguf.get()) + 2 * GGUF_DEFAULT_ALIGNMENT + KIB;
    const int64_t n_tensors = gguf_get_n_tensors(source.gguf.get());
    std::vector<TensorRange> parts;
    uint64_t bytes = 0;
    for (int64_t tensor = 0; tensor < n_tensors; ++tensor) {
        const uint64_t more = source.padded_bytes(tensor);
        if (parts.empty() || bytes + more > max_part_bytes) {
            parts.push_back({tensor, tensor});
            bytes = header_bytes;
        }
        bytes += more;
        parts.back().end = tensor + 1;
    }
    return parts;
}

Gguf part_header(const Source & source, const std::vector<TensorRange> & parts, size_t part) {
    Gguf header(gguf_init_empty());
    if (part == 0) gguf_set_kv(header.get(), source.gguf.get());
    // ggml's writer knows only its default alignment: it would not keep what this key says.
    gguf_remove_key(header.get(), GGUF_KEY_GENERAL_ALIGNMENT);
    gguf_set_val_u16(header.get(), SPLIT_NO, static_cast<uint16_t>(part));
    gguf_set_val_u16(header.get(), SPLIT_COUNT, static_cast<uint16_t>(parts.size()));
    gguf_set_val_i32(header.get(), SPLIT_TENSORS, static_cast<int32_t>(gguf_get_n_tensors(source.gguf.get())));
    for (int64_t tensor = parts[part].first; tensor < parts[part].end; ++tensor) {
        const char * name = gguf_get_tensor_name(source.gguf.get(), tensor);
        gguf_add_tensor(header.get(), ggml_get_tensor(source.tensors.get(), name));
    }
    return header;
}

uint64_t part_bytes(const Source & source, const std::vector<TensorRange> & parts, size_t part) {
    uint64_t bytes = gguf_get_meta_size(part_header(source, parts, part).get());
    for (int64_t tensor = parts[part].first; tensor < parts[part].end; ++tensor)
        bytes += source.padded_bytes(tensor);
    return bytes;
}

fs::path part_path(const fs::path & file, const fs::path & dir, size_t part, size_t n_parts) {
    std::array<char, 4096> path{};
    const std::string prefix = (dir / file.stem()).string();
    const int n = llama_split_path(path.data(), path.size(), prefix.c_str(), static_cast<int32_t>(part),
                                   static_cast<int32_t>(n_parts));
    if (n <= 0) fail("{}: the name is too long for a part's", file.string());
    return path.data();
}

class Copier {
public:
    Copier(const fs::path & from, const ByteProgress & progress)
        : from_(from), stream_(from, std::ios::binary), total_(fs::file_size(from)), progress_(progress) {}

    // `n_bytes` from `offset`, then zeros up to `padded_bytes`.
    void copy(uint64_t offset, uint64_t n_bytes, uint64_t padded_bytes, std::ofstream & out) {
        stream_.seekg(static_cast<std::streamoff>(offset));
        for (uint64_t left = n_bytes; left > 0;) {
            check_interrupted();
            const auto n = static_cast<std::streamsize>(std::min<uint64_t>(left, buffer_.size()));
            if (!stream_.read(buffer_.data(), n)) fail("{}: ends early", from_.string());
            out.write(buffer_.data(), n);
            left -= static_cast<uint64_t>(n);
            done_ += static_cast<uint64_t>(n);
            if (progress_) progress_(done_, total_);
        }
        const std::string padding(padded_bytes - n_bytes, '\0');
        out.write(padding.data(), static_cast<std::streamsize>(padding.size()));
    }

private:
    fs::path from_;
    std::ifstream stream_;
    uint64_t total_;
    uint64_t done_ = 0;
    const ByteProgress & progress_;
    std::vector<char> buffer_ = std::vector<char>(COPY_BYTES);
};

void write_part(const Source & source, const std::vector<TensorRange> & parts, size_t part, const fs::path & target,
                Copier & copier) {
    const Gguf header = part_header(source, parts, part);
    std::string meta(gguf_get_meta_size(header.get()), '\0');
    gguf_get_meta_data(header.get(), meta.data());
    PartFile unfinished(target);
    std::ofstream out(unfinished.path(), std::ios::binary | std::ios::trunc);
    out.write(meta.data(), static_cast<std::streamsize>(meta.size()));
    for (int64_t tensor = parts[part].first; tensor < parts[part].end && out; ++tensor) {
        const uint64_t offset =
            gguf_get_data_offset(source.gguf.get()) + gguf_get_tensor_offset(source.gguf.get(), tensor);
        copier.copy(offset, gguf_get_tensor_size(source.gguf.get(), tensor), source.padded_bytes(tensor), out);
    }
    out.close();
    if (!out) fail("{}: could not be written (is the disk full?)", target.string());
    unfinished.commit();
}

}  // namespace

std::vector<uint64_t> plan_split(const fs::path & file, uint64_t max_part_bytes) {
    const uint64_t whole = fs::file_size(file);
    if (whole <= max_part_bytes) return {whole};
    const Source source = open_source(file);
    const std::vector<TensorRange> parts = ranges(source, max_part_bytes);
    std::vector<uint64_t> sizes;
    for (size_t part = 0; part < parts.size(); ++part)
        sizes.push_back(part_bytes(source, parts, part));
    return sizes;
}

std::vector<fs::path> split_model(const fs::path & file, const fs::path & dir, uint64_t max_part_bytes,
                                  const ByteProgress & progress) {
    const Source source = open_source(file);
    const std::vector<TensorRange> parts = ranges(source, max_part_bytes);
    const uint64_t free_bytes = free_disk_bytes(dir);
    if (fs::file_size(file) > free_bytes)
        fail("{}: its parts need {} in {}, which has {} free", file.string(), format_bytes(fs::file_size(file)),
             dir.string(), format_bytes(free_bytes));
    Copier copier(file, progress);
    std::vector<fs::path> files;
    for (size_t part = 0; part < parts.size(); ++part) {
        files.push_back(part_path(file, dir, part, parts.size()));
        write_part(source, parts, part, files.back(), copier);
    }
    return files;
}

}  // namespace shimmy::engine
