// Ways to use a GPU's memory for experts, timed: libggml-moe computes recorded routing on this machine's CPU, beside a
// GPU that is modelled (it takes as long as a card with this bandwidth and link would, and computes nothing; an upload
// takes its time and no processor). So hit rates, uploads and the overlap of both sides are real; the card is not, and
// it takes no bandwidth of the RAM.
//
// The ways take turns. Each is replayed once before it is timed. The bound of a layer is the slower of its two parts
// and a hand-over: the CPU's part is measured by replaying what it computed and nothing else, the GPU's follows from
// the card, a hand-over is measured on a card that takes no time.
//
// usage: moe-offload TRACE.csv [--layers N] [--vram GB/s] [--link GB/s] [--submit us] [--launch us] [--repeats N]
// [--threads N] [--shares PERCENT,...] [--json FILE]
// FILE is written; if it has repeats with the same settings, these are added to them.
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/json.h"
#include "base/version.h"
#include "device/rates.h"
#include "offload_model.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

namespace fs = std::filesystem;
using shimmy::Json;
using namespace shimmy::bench;

struct Options {
    std::string trace, json;
    int layers = 12;  // of the trace: all would not fit in many machines
    Card card;
    int repeats = 3;
    int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1);
    std::vector<double> shares{2, 5, 10, 25, 100.0 / 3, 50, 66};  // of the experts, %
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t n = values.size();
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// One round of all ways at one size; times in ms per token.
Json sample(const OffloadModel & model, double share, size_t layers_on_gpu, const std::vector<double> & hand_over_s) {
    const auto cache_bytes = static_cast<uint64_t>(share / 100 * static_cast<double>(model.total_bytes()));
    const Pass ram = model.run(0);
    const Pass cache = model.run(cache_bytes);
    const Pass cpu = model.run_cpu_part(cache);
    const Pass layers = model.run(0, model.n_layers() - layers_on_gpu);
    double gpu_s = 0, slower_s = 0, hand_overs_s = 0;
    for (size_t i = 0; i < cache.layer_hits.size(); ++i) {
        const int hits = cache.layer_hits[i];
        gpu_s += model.gpu_part_s(hits);
        slower_s += std::max(cpu.layer_s[i], model.gpu_part_s(hits));
        hand_overs_s += hand_over_s[static_cast<size_t>(hits)];
    }
    const double ms = 1e3 / static_cast<double>(model.n_tokens());
    const auto rate = [&](uint64_t n) {
        return cache.lookups > 0 ? static_cast<double>(n) / static_cast<double>(cache.lookups) : 0.0;
    };
    return {{"ram_ms", 1e3 * ram.token_s},
            {"cache_ms", 1e3 * cache.token_s},
            {"layers_ms", 1e3 * layers.token_s},
            {"cpu_part_ms", 1e3 * cpu.token_s},
            {"gpu_part_ms", ms * gpu_s},
            {"slower_parts_ms", ms * slower_s},
            {"hand_overs_ms", ms * hand_overs_s},
            {"hit_rate", rate(cache.hits)},
            {"uploads_per_lookup", rate(cache.uploads)}};
}

// Medians over the rounds, and of what is compared within a round.
Json row_of(const Json & row) {
    Json result{{"share", row["share"]}, {"layers_on_gpu", row["layers_on_gpu"]}};
    const Json & samples = row["samples"];
    const auto of_each = [&](const auto & value) {
        std::vector<double> values;
        for (const Json & s : samples)
            values.push_back(value(s));
        return median(values);
    };
    const auto number = [](const Json & s, const char * key) { return s[key].get<double>(); };
    for (const auto & [key, unused] : samples.at(0).items())
        result[key] = of_each([&, k = key.c_str()](const Json & s) { return number(s, k); });
    result["over_bound"] = of_each([&](const Json & s) {
        return number(s, "cache_ms") / (number(s, "slower_parts_ms") + number(s, "hand_overs_ms"));
    });
    result["to_layers"] = of_each([&](const Json & s) { return number(s, "layers_ms") / number(s, "cache_ms"); });
    result["to_ram"] = of_each([&](const Json & s) { return number(s, "ram_ms") / number(s, "cache_ms"); });
    result["samples"] = samples;
    return result;
}

void print(const Json & document) {
    fmt::print("{:>6} {:>7} {:>8} {:>8} {:>9} {:>8} {:>8} {:>7} {:>10} {:>9} {:>9} {:>9} {:>7}\n", "share", "hits",
               "uploads", "ram, ms", "cache, ms", "CPU, ms", "GPU, ms", "slower", "hand-overs", "to bound",
               "layers, ms", "to layers", "to ram");
    for (const Json & row : document["rows"]) {
        const auto number = [&](const char * key) { return row[key].get<double>(); };
        fmt::print(
            "{:>5.0f}% {:>6.1f}% {:>8.3f} {:>8.2f} {:>9.2f} {:>8.2f} {:>8.2f} {:>7.2f} {:>10.2f} {:>8.2f}x {:>10.2f} {:>8.2f}x "
            "{:>6.2f}x\n",
            number("share"), 100 * number("hit_rate"), number("uploads_per_lookup"), number("ram_ms"),
            number("cache_ms"), number("cpu_part_ms"), number("gpu_part_ms"), number("slower_parts_ms"),
            number("hand_overs_ms"), number("over_bound"), number("layers_ms"), number("to_layers"), number("to_ram"));
    }
}

Json conditions_of(const Options & options, const OffloadModel & model) {
    const shimmy::Host machine = shimmy::host();
    return {{"cpu", machine.cpu},
            {"n_cores", machine.n_cores},
            {"threads", options.threads},
            {"trace", fs::path(options.trace).filename().string()},
            {"n_layers", model.n_layers()},
            {"n_tokens", model.n_tokens()},
            {"expert_bytes", model.expert_bytes()},
            {"total_bytes", model.total_bytes()},
            {"card",
             {{"is_modelled", true},
              {"vram_bytes_per_s", options.card.vram_bytes_per_s},
              {"link_bytes_per_s", options.card.link_bytes_per_s},
              {"submit_us", 1e6 * options.card.submit_s},
              {"launch_us", 1e6 * options.card.launch_s}}},
            {"shimmy_version", shimmy::shimmy_version()}};
}

// Rows of an earlier run with the same settings.
Json earlier_rows(const Options & options, const Json & conditions) {
    if (options.json.empty() || !fs::exists(options.json)) return Json::array();
    const Json before = shimmy::read_json(options.json);
    if (!before.is_object() || before.value("conditions", Json()) != conditions)
        shimmy::fail("{} has other settings; name another file", options.json);
    return before.at("rows");
}

Json & row_for(Json & rows, double share, size_t layers_on_gpu) {
    for (Json & row : rows) {
        if (row["share"] == share) return row;
    }
    return rows.emplace_back(Json{{"share", share}, {"layers_on_gpu", layers_on_gpu}, {"samples", Json::array()}});
}

std::vector<double> numbers(const std::string & text) {
    std::vector<double> all;
    std::istringstream list(text);
    for (std::string one; std::getline(list, one, ',');)
        all.push_back(std::atof(one.c_str()));
    return all;
}

Options parse(int argc, char ** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (!name.starts_with("--")) {
            if (!options.trace.empty()) shimmy::fail("{}: one trace is enough", name);
            options.trace = name;
            continue;
        }
        if (++i == argc) shimmy::fail("{} needs a value", name);
        const double value = std::atof(argv[i]);
        if (name == "--layers") {
            options.layers = static_cast<int>(value);
        } else if (name == "--vram") {
            options.card.vram_bytes_per_s = value * 1e9;
        } else if (name == "--link") {
            options.card.link_bytes_per_s = value * 1e9;
        } else if (name == "--submit") {
            options.card.submit_s = value * 1e-6;
        } else if (name == "--launch") {
            options.card.launch_s = value * 1e-6;
        } else if (name == "--repeats") {
            options.repeats = static_cast<int>(value);
        } else if (name == "--threads") {
            options.threads = static_cast<int>(value);
        } else if (name == "--shares") {
            options.shares = numbers(argv[i]);
        } else if (name == "--json") {
            options.json = argv[i];
        } else {
            shimmy::fail("{} is no option", name);
        }
    }
    if (options.trace.empty() || options.layers < 1 || options.repeats < 1 || options.threads < 1)
        shimmy::fail(
            "usage: moe-offload TRACE.csv [--layers N] [--vram GB/s] [--link GB/s] [--submit us] [--launch us] "
            "[--repeats N] [--threads N] [--shares PERCENT,...] [--json FILE]");
    return options;
}

// The plugin would measure the link by copies, which take no time here; the processor it measures.
class KnownLink {
public:
    explicit KnownLink(const Card & card)
        : folder_(fs::temp_directory_path() / fmt::format("moe-offload-{}", ::getpid())) {
        setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
        moe_test::ModelGpu gpu;
        const moe::Rates rates(moe::Rates::default_file());
        for (int process = 0; process < 2; ++process)  // which agree, so that it is not measured again
            rates.keep(moe::upload_name(gpu.device()), card.link_bytes_per_s);
    }
    ~KnownLink() { fs::remove_all(folder_); }
    KnownLink(const KnownLink &) = delete;
    KnownLink & operator=(const KnownLink &) = delete;

private:
    fs::path folder_;
};

void run(const Options & options) {
    const KnownLink link(options.card);
    const OffloadModel model(shimmy::engine::read_route_trace(options.trace), options.layers, options.threads,
                             options.card);
    const Json conditions = conditions_of(options, model);
    Json rows = earlier_rows(options, conditions);
    for (int repeat = 0; repeat < options.repeats; ++repeat) {
        const std::vector<double> hand_over_s = model.hand_over_s();
        for (const double share : options.shares) {
            const auto on_gpu = static_cast<size_t>(share / 100 * static_cast<double>(model.n_layers()) + 1e-9);
            Json & row = row_for(rows, share, on_gpu);
            row["samples"].push_back(sample(model, share, on_gpu, hand_over_s));
        }
    }
    for (Json & row : rows)
        row = row_of(row);
    const Json document{{"date", fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)))},
                        {"conditions", conditions},
                        {"rows", rows}};
    if (!options.json.empty()) shimmy::write_file_atomic(options.json, shimmy::json_text(document) + "\n");
    print(document);
}

}  // namespace

int main(int argc, char ** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception & error) {
        fmt::print(stderr, "moe-offload: {}\n", error.what());
        return 1;
    }
}
