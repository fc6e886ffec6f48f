#include "engine/make/make_imatrix.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/process/child_process.h"
#include "base/process/subprocess.h"
#include "base/text/text_file.h"
#include "base/text/units.h"
#include "engine/device/device.h"
#include "engine/make/imatrix.h"
#include "engine/predict/fit.h"
#include "gguf/gguf_file.h"
#include "gguf/model_info.h"
#include "gguf/problems.h"
#include "gguf/purpose.h"

#include <algorithm>
#include <regex>

namespace shimmy::engine {

namespace {

constexpr std::chrono::milliseconds POLL{500};
constexpr const char * NO_NUMBERS = "what the model computes is not a number: its weights are damaged";

// Beside the program in a build tree, with its libraries when installed.
fs::path imatrix_program() {
    const fs::path folder = fs::path(self_path()).parent_path();
    for (const fs::path & candidate : {folder / "llama-imatrix", folder / SHIMMY_LIBRARY_FOLDER / "llama-imatrix"}) {
        if (fs::exists(candidate)) return candidate.lexically_normal();
    }
    fail("llama-imatrix is missing beside {}: install the program again", self_path());
}

std::vector<std::string> command_line(const ImatrixOptions & options, const fs::path & output) {
    const LoadOptions & load = options.load;
    const Device device = find_device(load.device);
    std::vector<std::string> argv{imatrix_program().string(),
                                  "--model",
                                  load.path,
                                  "--file",
                                  options.text.string(),
                                  "--output",
                                  output.string(),
                                  "--output-format",
                                  "gguf",
                                  "--ctx-size",
                                  std::to_string(load.n_ctx),
                                  "--threads",
                                  std::to_string(load.n_threads > 0 ? load.n_threads : default_threads()),
                                  "--device",
                                  device.is_gpu() ? device.name : "none"};
    if (options.n_chunks > 0) argv.insert(argv.end(), {"--chunks", std::to_string(options.n_chunks)});
    if (load.placement == Placement::offload()) {
        argv.emplace_back("--cpu-moe");
    } else if (load.placement.offloads()) {
        argv.insert(argv.end(), {"--n-cpu-moe", std::to_string(load.placement.n_cpu_moe)});
    }
    return argv;
}

// "compute_imatrix: computing over 12 chunks, …" on stderr; 0 before it is there.
uint64_t chunks_in_all(const std::string & err) {
    std::smatch match;
    return std::regex_search(err, match, std::regex("computing over ([0-9]+) chunks")) ? std::stoull(match[1]) : 0;
}

// The first error in llama.cpp's log, a line "0.00.055.507 E function: what is wrong"; those after it follow from it.
// The log has a thread of its own, which may not get to write it.
std::string reason(const std::string & err) {
    std::smatch match;
    const std::regex error("(?:^|\n)[0-9.]+ E (?:[a-z_0-9]+ ?: )?([^\n]+)");
    if (!std::regex_search(err, match, error))
        return "llama.cpp gave no reason: the text has fewer than twice as many tokens as the context, or what the model "
               "computes is not a number";
    const std::string said = match[1];
    return said.find(" detected in ") == std::string::npos ? said
                                                           : NO_NUMBERS;  // "nan detected in blk.1.attn_q.weight"
}

// llama-imatrix does not notice that its disk is full.
void require_whole(const fs::path & written, const fs::path & output) {
    try {
        const gguf::GgufFile file(written);
    } catch (const Error &) {
        fail("{}: could not be written whole ({} free there)", output.string(), format_bytes(free_disk_bytes(written)));
    }
}

// Nor that what the model computes is not a number.
void require_numbers(const fs::path & written, const std::string & model) {
    try {
        const Imatrix imatrix(written);
    } catch (const Error &) {
        fail("{}: no importance matrix: {}", model, NO_NUMBERS);
    }
}

}  // namespace

void make_imatrix(const ImatrixOptions & options, const std::function<void(uint64_t done, uint64_t total)> & on_chunk) {
    (void)read_measured_text(options.text.string());  // llama-imatrix takes any bytes for text
    {
        // llama-imatrix would say it in its own way, or not at all.
        LoadOptions load = options.load;
        const gguf::GgufFile & file = load.open_file();
        gguf::require_usable(file);
        if (gguf::model_type(file) == gguf::ModelType::embedding)
            fail("{}: is an embedding model: an importance matrix is made from a model that writes text",
                 options.load.path);
        (void)context_size(load, static_cast<uint32_t>(gguf::read_model_info(file).n_ctx_train));
    }
    ensure_writable_dir(fs::absolute(options.output).parent_path());
    PartFile part(options.output);
    ChildProcess child(command_line(options, part.path()));
    uint64_t n_done = 0;
    uint64_t n_seen = 0;  // chunks that ended; how many there are is said on another stream, which may be read later
    uint64_t n_all = 0;
    // A perplexity ends in a comma after every chunk.
    for (bool ended = false; !ended;) {
        const auto said = child.read_until(',', POLL);
        if (said) ++n_seen;
        ended = !said && child.has_ended();
        if (n_all == 0) n_all = chunks_in_all(child.err());
        while (n_done < std::min(n_seen, n_all))
            on_chunk(++n_done, n_all);
    }
    if (child.stop(std::chrono::milliseconds(0)) != 0 || !fs::exists(part.path()))
        fail("{}: no importance matrix: {}", options.load.path, reason(child.err()));
    require_whole(part.path(), options.output);
    require_numbers(part.path(), options.load.path);
    if (n_done < n_all) on_chunk(n_all, n_all);  // the log's thread may not get to write the last comma
    part.commit();
}

}  // namespace shimmy::engine
