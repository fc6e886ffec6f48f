#include "engine/make/synthesize.h"

#include "base/error.h"
#include "base/last_words.h"
#include "base/process/interrupt.h"
#include "base/process/uninterrupted.h"
#include "base/text/units.h"
#include "engine/layout/file_layout.h"
#include "engine/layout/quantization.h"
#include "engine/layout/shape_metadata.h"
#include "engine/layout/tensor_plan.h"
#include "engine/make/random_weights.h"
#include "gguf/model_info.h"

#include "ggml-cpp.h"
#include "gguf.h"

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

namespace shimmy::engine {

namespace {

constexpr uint64_t WRITE_STEP_BYTES = 16 * MIB;  // between two looks at Ctrl-C

void describe(gguf_context * metadata, const SynthOptions & options, const std::string & quantization) {
    gguf_set_val_str(metadata, "general.name", fmt::format("{} (synthetic)", options.shape.name).c_str());
    const std::string weights = options.sparse ? "all zero" : fmt::format("random (seed {})", options.seed);
    gguf_set_val_str(
        metadata, "general.description",
        fmt::format(
            "Synthetic: the shape of {} with weights that are {}, written by shimmy synth. Its text has no meaning.",
            options.shape.name, weights)
            .c_str());
    gguf_set_val_u32(metadata, "general.file_type", static_cast<uint32_t>(quantization_ftype(quantization)));
    gguf_set_val_u32(metadata, "general.quantization_version", GGML_QNT_VERSION);
}

// A file that is written at offsets; what is not written stays a hole.
class OutputFile {
public:
    OutputFile(const fs::path & path, const fs::path & name)
        : name_(name), fd_(::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644)) {
        if (fd_ < 0) fail_io();
    }
    ~OutputFile() {
        if (fd_ >= 0) ::close(fd_);
    }
    OutputFile(const OutputFile &) = delete;
    OutputFile & operator=(const OutputFile &) = delete;

    void resize(uint64_t n_bytes) {
        if (::ftruncate(fd_, static_cast<off_t>(n_bytes)) != 0) fail_io();
    }

    void write(const void * data, uint64_t n_bytes, uint64_t offset_bytes) {
        const char * at = static_cast<const char *>(data);
        while (n_bytes > 0) {
            check_interrupted();
            const auto step = std::min(n_bytes, WRITE_STEP_BYTES);
            const ssize_t n = uninterrupted([&] { return ::pwrite(fd_, at, step, static_cast<off_t>(offset_bytes)); });
            if (n < 0) fail_io();
            at += n;
            n_bytes -= static_cast<uint64_t>(n);
            offset_bytes += static_cast<uint64_t>(n);
        }
    }

    void close() {
        const int fd = std::exchange(fd_, -1);
        if (::fsync(fd) != 0 || ::close(fd) != 0) fail_io();
    }

private:
    [[noreturn]] void fail_io() const { fail("{}: {}", name_.string(), std::strerror(errno)); }

    fs::path name_;
    int fd_;
};

class Writer {
public:
    Writer(OutputFile & file, const TensorPlan & plan, uint64_t total_bytes, const SynthOptions & options,
           const ByteProgress & on_progress)
        : file_(file),
          total_bytes_(total_bytes),
          n_expert_(options.shape.find_int("expert_count").value_or(0)),
          weights_(options.seed),
          on_progress_(on_progress) {
        for (const PlannedTensor & tensor : plan.tensors)
            n_weights_[kind_of(tensor)] += tensor.n_elements();
    }

    void write_tensor(const PlannedTensor & tensor, uint64_t offset_bytes) {
        if (tensor.type == "i32") return write_routing_table(tensor, offset_bytes);
        const WeightKind kind = weight_kind(tensor.name);
        if (tensor.type == "f32" && (kind != WeightKind::matrix || tensor.shape.size() < 2)) {
            const std::vector<float> values = weights_.values(kind, tensor.shape.front(), tensor.bytes / sizeof(float));
            file_.write(values.data(), tensor.bytes, offset_bytes);
            return;
        }
        const std::vector<std::byte> & pool =
            weights_.pool(tensor.type, tensor.shape.front(), n_weights_[kind_of(tensor)]);
        for (uint64_t done = 0; done < tensor.bytes;) {
            // From a random place to the pool's end; the next stretch starts somewhere else.
            const size_t start = weights_.random_offset(tensor.type, pool.size());
            const uint64_t n_bytes = std::min<uint64_t>(pool.size() - start, tensor.bytes - done);
            file_.write(pool.data() + start, n_bytes, offset_bytes + done);
            done += n_bytes;
            if (on_progress_) on_progress_(offset_bytes + done, total_bytes_);
        }
    }

private:
    // The experts of every token, [n_used, n_vocab]: each in turn, so that a row names none twice.
    void write_routing_table(const PlannedTensor & tensor, uint64_t offset_bytes) {
        std::vector<int32_t> experts(tensor.n_elements());
        for (size_t i = 0; i < experts.size(); ++i)
            experts[i] = static_cast<int32_t>(i % static_cast<size_t>(std::max<int64_t>(1, n_expert_)));
        file_.write(experts.data(), tensor.bytes, offset_bytes);
    }

    using TypeAndRow = std::pair<std::string, int64_t>;
    static TypeAndRow kind_of(const PlannedTensor & tensor) { return {tensor.type, tensor.shape.front()}; }

    OutputFile & file_;
    uint64_t total_bytes_;
    int64_t n_expert_;
    std::map<TypeAndRow, uint64_t> n_weights_;
    RandomWeights weights_;
    const ByteProgress & on_progress_;
};

void require_disk(const fs::path & output, uint64_t needed_bytes) {
    const uint64_t free_bytes = free_disk_bytes(fs::absolute(output).parent_path());
    if (needed_bytes + DISK_MARGIN_BYTES <= free_bytes) return;
    fail("{}: needs {} of disk, and {} is free: {} too little", output.string(), format_bytes(needed_bytes),
         format_bytes(free_bytes), format_bytes(needed_bytes + DISK_MARGIN_BYTES - free_bytes));
}

// Values that no model can have are known before the weights are written.
void require_readable(const FileLayout & layout, const std::string & source) {
    const HollowFile file(layout);
    try {
        gguf::read_model_info(file.path());
    } catch (const Error & error) {
        std::string why = error.what();
        const std::string name = file.path().string() + ": ";
        if (why.starts_with(name)) why.erase(0, name.size());
        fail("{}: {}", source, why);
    }
}

}  // namespace

uint64_t synthesize(const SynthOptions & options, const ByteProgress & on_progress) {
    const Subject subject(options.shape.source);
    const std::string quantization =
        canonical_quantization(options.quantization.empty() ? options.shape.quantization : options.quantization);
    const TensorPlan plan = plan_tensors(options.shape, quantization);
    const gguf_context_ptr metadata = make_metadata(options.shape);
    describe(metadata.get(), options, quantization);
    const FileLayout layout = lay_out(metadata.get(), plan);

    require_readable(layout, options.shape.source);
    ensure_writable_dir(fs::absolute(options.output).parent_path());
    require_disk(options.output, options.sparse ? layout.header.size() : layout.total_bytes);
    PartFile part(options.output);
    OutputFile file(part.path(), options.output);
    file.resize(layout.total_bytes);
    file.write(layout.header.data(), layout.header.size(), 0);
    if (!options.sparse) {
        Writer writer(file, plan, layout.total_bytes, options, on_progress);
        for (size_t i = 0; i < plan.tensors.size(); ++i)
            writer.write_tensor(plan.tensors[i], layout.offset_bytes[i]);
    }
    file.close();
    part.commit();
    return layout.total_bytes;
}

}  // namespace shimmy::engine
