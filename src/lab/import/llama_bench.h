// Measurements that llama-bench made: its JSON, JSON lines and CSV. They stand beside a campaign's own, marked as
// imported.
#pragma once

#include "base/files.h"
#include "base/json.h"
#include "lab/measure/statistics.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::lab {

// One line of llama-bench's table. What an older version does not write is empty or 0.
struct ImportedTest {
    std::string model_file;  // name without folders
    std::string model_type;  // "qwen3moe 30B.A3B Q4_K - Medium"
    uint64_t model_bytes = 0;
    std::string build;  // "1f2e3d4 (5678)"
    std::string cpu;
    std::string gpu;
    std::string backends;
    int n_gpu_layers = 0;
    int n_cpu_moe = 0;
    int n_threads = 0;
    int n_batch = 0;
    int n_ubatch = 0;
    std::string cache_type_k;
    std::string cache_type_v;
    int n_prompt = 0;
    int n_gen = 0;
    int n_depth = 0;
    std::string test_time;    // UTC, ISO 8601
    std::vector<double> tps;  // of each repeat; empty from CSV, which has none
    double mean_tps = 0.0;
    double stddev_tps = 0.0;

    std::string name() const;  // as llama-bench has it: "pp512", "tg128", "pp512+tg128", with depth "tg128 @ d4096"
    std::string placement() const;  // "n_cpu_moe=8, 99 layers on the GPU"
};

struct ImportedFile {
    std::string file;  // name
    std::string sha256;
    std::vector<ImportedTest> tests;
};

// `file` is for messages. Throws UsageError for what llama-bench does not write, naming the line of a CSV file or the
// number of the test.
std::vector<ImportedTest> parse_llama_bench(std::string_view text, const std::string & file);

ImportedFile read_llama_bench(const fs::path & file);

// Beside a campaign's results: <out_dir>/imported/<name>.json. The same file again replaces what was imported of it.
fs::path store_imported(const ImportedFile & imported, const fs::path & out_dir);

// All that was imported into the folder, by name. Throws Error for a file that is damaged.
std::vector<ImportedFile> read_imported(const fs::path & out_dir);

Json to_json(const ImportedFile & imported);

}  // namespace shimmy::lab
