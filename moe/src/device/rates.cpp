#include "rates.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include "cpu/buffer.h"
#include "cpu/job.h"
#include "ggml-backend.h"
#include "ggml.h"
#include "ggml/log.h"
#include "os/cpu_name.h"
#include "os/process.h"

namespace moe {

namespace {

// Windows' narrow paths are in a code page. C++17's way to say UTF-8 is deprecated in C++20, whose way C++17 lacks.
std::filesystem::path utf8_path(const std::string & path) {
#if defined(__cpp_char8_t)
    return std::filesystem::path(std::u8string(path.begin(), path.end()));
#else
    return std::filesystem::u8path(path);
#endif
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Attempts are made in pairs, as the first of a pair may find threads or the link asleep, and over a span that is
// longer than the slices of time that others get on a busy machine.
constexpr int FEWEST_ATTEMPTS = 4;
constexpr std::chrono::milliseconds SPAN{40}, PAUSE{4};

// The fastest of these attempts: others may be using the machine.
template <class Fn>
double fastest(Fn fn) {
    const auto begun = std::chrono::steady_clock::now();
    double best = 0;
    for (int i = 0; i < FEWEST_ATTEMPTS || std::chrono::steady_clock::now() - begun < SPAN; ++i) {
        if (i > 0 && i % 2 == 0) std::this_thread::sleep_for(PAUSE);
        const auto start = std::chrono::steady_clock::now();
        fn();
        const double s = seconds_since(start);
        best = i == 0 || s < best ? s : best;
    }
    return best > 0 ? best : 1e-9;
}

constexpr double AGREEMENT = 0.3;        // of the higher figure
constexpr const char * FINAL = "final";  // after a figure that two processes agree on

constexpr size_t UPLOAD_BYTES = 16u << 20;
// Where nothing can be measured, as on a device that is only modelled: a PCIe 4.0 link of 16 lanes, unpinned.
constexpr double ASSUMED_BYTES_PER_S = 12e9;

double measure_upload(ggml_backend_dev_t dev) {
    ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(ggml_backend_dev_buffer_type(dev), UPLOAD_BYTES);
    if (buffer == nullptr) return 0;
    ggml_context * c = ggml_init({1u << 12, nullptr, true});
    ggml_tensor * t = ggml_new_tensor_1d(c, GGML_TYPE_I8, UPLOAD_BYTES);
    double rate = 0;
    try {
        if (ggml_backend_tensor_alloc(buffer, t, ggml_backend_buffer_get_base(buffer)) == GGML_STATUS_SUCCESS) {
            const std::vector<uint8_t> from(UPLOAD_BYTES, 1);
            rate = double(UPLOAD_BYTES) / fastest([&] { ggml_backend_tensor_set(t, from.data(), 0, from.size()); });
        }
    } catch (const std::exception & e) {  // as Vulkan reports a lost device
        log_info("%s\n", e.what());
    }
    ggml_free(c);
    ggml_backend_buffer_free(buffer);
    return rate;
}

// One product of a weight matrix with many rows.
double measure_macs() {
    constexpr int k = 2048, rows = 1024, tokens = 128, type = static_cast<int>(WType::Q4_K);
    const size_t row_bytes = ggml_row_size(GGML_TYPE_Q4_K, k);
    const std::vector<uint8_t> weights(row_bytes * rows, 0x11);
    std::vector<float> x(size_t(k) * tokens, 0.5f), out(size_t(rows) * tokens);
    std::vector<int32_t> routing(3 + tokens);
    Team team;
    Job job;
    job.table = &kernels();
    job.tokens = job.routing.slots = tokens;
    job.routing.groups = 1;
    job.routing.expert = routing.data();
    job.routing.begin = routing.data() + 1;
    job.routing.slot = routing.data() + 3;
    job.routing.begin[1] = tokens;
    for (int i = 0; i < tokens; ++i) {
        job.routing.slot[i] = i;
    }
    const auto rows_of = [](std::vector<float> & v, int columns) {
        Rows r;
        r.data = reinterpret_cast<char *>(v.data());
        r.ne[0] = tokens;
        r.nb[0] = size_t(columns) * sizeof(float);
        return r;
    };
    Phase & p = job.up;
    p.k = k;
    p.in = rows_of(x, k);
    p.n_mats = p.n_acts = 1;
    Weights & w = p.mats[0].w;
    w.data = weights.data();
    w.row_stride = row_bytes;
    w.rows = rows;
    w.kernel = &job.table->types[type];
    p.mats[0].out = rows_of(out, rows);
    p.acts[0].kernel = p.mats[0].w.kernel;
    p.acts[0].layout = act_layout(p.acts[0].kernel->act, k);
    std::vector<uint8_t> acts(size_t(p.acts[0].layout.bytes) * tokens);
    p.acts[0].rows = acts.data();
    Buffer scratch;
    job.thread_scratch_bytes = job_thread_scratch_bytes(*job.table);
    job.thread_scratch = scratch.array<uint8_t>(job.thread_scratch_bytes * size_t(team.threads()));
    return job_work(job) / fastest([&] { job_run(team, job, team.threads()); });
}

double known_or_measured(const std::string & name, double (*measure)(ggml_backend_dev_t), ggml_backend_dev_t dev) {
    static std::mutex mutex;
    static std::map<std::string, double> known;
    std::lock_guard<std::mutex> lock(mutex);
    double & rate = known[name];
    if (rate > 0) return rate;
    const Rates file(Rates::default_file());
    rate = file.get(name);
    if (rate > 0 && file.is_final(name)) return rate;
    if (const double measured = measure(dev); measured > 0) rate = file.keep(name, measured);
    if (rate <= 0) rate = ASSUMED_BYTES_PER_S;
    log_info("%s: %.3g per second\n", name.c_str(), rate);
    return rate;
}

}  // namespace

std::string upload_name(ggml_backend_dev_t dev) {
    return std::string("bytes to ") + ggml_backend_dev_name(dev) + " " + ggml_backend_dev_description(dev) + " from " +
           os::cpu_name();
}

double upload_bytes_per_s(ggml_backend_dev_t dev) {
    return known_or_measured(upload_name(dev), measure_upload, dev);
}

double own_macs_per_s() {
    const std::string name = std::string("products with ") + kernels().name + " on " +
                             std::to_string(Team().threads()) + " of " + os::cpu_name();
    return known_or_measured(
        name, [](ggml_backend_dev_t) { return measure_macs(); }, nullptr);
}

bool options_turn_offload_off(const std::string & arguments) {
    std::istringstream in(arguments);
    bool off = false;
    for (std::string arg; std::getline(in, arg, '\0');) {
        if (arg == "--op-offload") off = false;
        if (arg != "--no-op-offload" && arg != "-nopo") continue;
        std::string value;  // llama-bench's takes a list of 0 and 1
        const auto here = in.tellg();
        const bool list =
            std::getline(in, value, '\0') && !value.empty() && value.find_first_not_of("01,") == std::string::npos;
        if (!list) {
            in.clear();
            in.seekg(here);
        }
        off = !list || value.find('1') != std::string::npos;
    }
    return off;
}

Rates::Rates(std::string file) : file_(std::move(file)) {}

std::string Rates::default_file() {
    const std::string folder = os::cache_folder();
    return folder.empty() ? "" : folder + "/ggml-moe/rates";
}

std::string Rates::rest_of_line(const std::string & name) const {
    std::ifstream in(utf8_path(file_));
    for (std::string line; std::getline(in, line);) {
        const size_t tab = line.find('\t');
        if (tab != std::string::npos && line.compare(0, tab, name) == 0) return line.substr(tab + 1);
    }
    return "";
}

double Rates::get(const std::string & name) const {
    return std::atof(rest_of_line(name).c_str());
}

bool Rates::is_final(const std::string & name) const {
    const std::string rest = rest_of_line(name);
    const size_t tab = rest.find('\t');
    return tab != std::string::npos && rest.compare(tab + 1, std::string::npos, FINAL) == 0;
}

double Rates::keep(const std::string & name, double measured) const {
    const double before = get(name), higher = std::max(before, measured);
    write(name, higher, std::min(before, measured) >= (1 - AGREEMENT) * higher);
    return higher;
}

void Rates::write(const std::string & name, double value, bool is_final) const {
    if (file_.empty()) return;
    namespace fs = std::filesystem;
    const fs::path file = utf8_path(file_), part = utf8_path(file_ + "." + std::to_string(os::id()));
    std::error_code failed;  // whatever cannot be kept is measured again
    fs::create_directories(file.parent_path(), failed);
    std::ifstream old(file);
    std::ofstream out(part);
    for (std::string line; std::getline(old, line);) {
        if (line.compare(0, name.size() + 1, name + "\t") != 0) out << line << '\n';
    }
    out << name << '\t' << value;
    if (is_final) out << '\t' << FINAL;
    out << '\n';
    out.close();
    old.close();
    if (out) fs::rename(part, file, failed);  // whole, or not at all
    if (!out || failed) fs::remove(part, failed);
}

}  // namespace moe
