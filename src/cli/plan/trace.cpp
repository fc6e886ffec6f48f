#include "cli/plan/trace.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text/units.h"
#include "engine/replay/disk_replay.h"
#include "report/charts/cache_chart.h"
#include "report/charts/gnuplot.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::cli {

namespace {

std::vector<uint64_t> parse_sizes(const std::string & text) {
    std::vector<uint64_t> sizes;
    for (size_t start = 0; start <= text.size();) {
        const size_t comma = std::min(text.find(',', start), text.size());
        sizes.push_back(parse_bytes(text.substr(start, comma - start), "--cache-sizes"));
        if (sizes.back() == 0) fail_usage("--cache-sizes: must be above 0");
        start = comma + 1;
    }
    return sizes;
}

// What the card has left, among the sizes.
std::optional<uint64_t> left_for_cache(const TraceOptions & options) {
    if (!options.vram_bytes || options.other_vram_bytes == 0) return std::nullopt;
    if (*options.vram_bytes <= options.other_vram_bytes) {
        fail("{} of VRAM hold no cache: what is not an expert takes {}", format_bytes(*options.vram_bytes),
             format_bytes(options.other_vram_bytes));
    }
    return *options.vram_bytes - options.other_vram_bytes;
}

Json to_json(const engine::CacheComparison & row) {
    Json outcomes = Json::array();
    for (const engine::CacheOutcome & outcome : row.outcomes) {
        outcomes.push_back({{"way", engine::to_string(outcome.kind)},
                            {"hit_rate", outcome.hit_rate},
                            {"uploads_per_lookup", outcome.uploads_per_lookup},
                            {"decode_tps", outcome.decode_tps}});
    }
    return {{"cache_bytes", row.cache_bytes}, {"share_of_experts", row.share}, {"ways", outcomes}};
}

// Reading and computing one after the other.
std::optional<double> disk_tps(const TracedDisk & disk, const engine::DiskReplay & replay) {
    if (!disk.bytes_per_s) return std::nullopt;
    return 1 / (1 / disk.in_ram_tps + replay.bytes_per_token() / *disk.bytes_per_s);
}

Json disk_json(const engine::RouteTrace & trace, const std::optional<TracedDisk> & disk) {
    if (!disk) return nullptr;
    const engine::DiskReplay replay = engine::replay_disk(trace, disk->expert_ram_bytes);
    const auto tps = disk_tps(*disk, replay);
    return {{"expert_ram_bytes", disk->expert_ram_bytes},
            {"hit_rate", replay.hit_rate()},
            {"token_bytes", replay.bytes_per_token()},
            {"disk_bytes_per_s", disk->bytes_per_s ? Json(*disk->bytes_per_s) : Json(nullptr)},
            {"decode_tps", tps ? Json(*tps) : Json(nullptr)}};
}

std::string disk_text(const engine::RouteTrace & trace, const TracedDisk & disk) {
    const engine::DiskReplay replay = engine::replay_disk(trace, disk.expert_ram_bytes);
    const std::string text = fmt::format(
        "\nlarger than RAM: {} of experts stay in RAM, {:.1f}% of look-ups find their expert there, and a token reads {} "
        "from disk",
        format_bytes(disk.expert_ram_bytes), 100 * replay.hit_rate(),
        format_bytes(static_cast<uint64_t>(replay.bytes_per_token())));
    const auto tps = disk_tps(disk, replay);
    return text + (tps ? fmt::format(": {:.1f} tokens/s at {:.1f} GB/s (predicted)\n", *tps, *disk.bytes_per_s / 1e9)
                       : std::string(" (--disk 3GB/s adds a decode rate)\n"));
}

void print_table(const std::vector<engine::CacheComparison> & rows, std::optional<uint64_t> left) {
    fmt::print("{:>12} {:>7}   {:>6} {:>8} {:>9}   {:>6} {:>8} {:>9}   {:>9} {:>9}\n", "cache", "experts", "hits",
               "uploads", "tokens/s", "LRU", "uploads", "tokens/s", "n-cpu-moe", "cpu-moe");
    for (const engine::CacheComparison & row : rows) {
        const auto & [own, lru, layers, none] = row.outcomes;
        fmt::print(
            "{:>12} {:>6.0f}%   {:>5.1f}% {:>8.3f} {:>9.1f}   {:>5.1f}% {:>8.3f} {:>9.1f}   {:>9.1f} {:>9.1f}{}\n",
            format_bytes(row.cache_bytes), 100 * row.share, 100 * own.hit_rate, own.uploads_per_lookup, own.decode_tps,
            100 * lru.hit_rate, lru.uploads_per_lookup, lru.decode_tps, layers.decode_tps, none.decode_tps,
            left && row.cache_bytes == *left ? "  <- what --vram leaves" : "");
    }
}

}  // namespace

int print_trace_plan(const TraceOptions & options, bool json) {
    const engine::RouteTrace trace = engine::read_route_trace(options.file, options.n_expert);
    if (trace.n_decode_tokens() == 0) fail("{}: holds a prompt and no generated token", options.file);
    if (options.n_layer > 0 &&
        (trace.n_expert.rbegin()->first >= options.n_layer || trace.n_expert.rbegin()->second > options.n_expert)) {
        fail("{}: is a trace of another model: it has {} layers and {} experts", options.file,
             trace.n_expert.rbegin()->first + 1, trace.n_expert.rbegin()->second);
    }
    std::vector<uint64_t> sizes =
        options.cache_sizes.empty() ? engine::usual_cache_sizes(trace) : parse_sizes(options.cache_sizes);
    const auto left = left_for_cache(options);
    if (left) sizes.push_back(*left);
    std::sort(sizes.begin(), sizes.end());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    const auto rows = engine::compare_caches(trace, sizes, options.machine);
    if (!options.chart.empty()) write_file_atomic(options.chart, report::drawn(report::cache_chart(rows)));
    if (json) {
        Json document{{"trace", options.file},
                      {"n_decode_tokens", trace.n_decode_tokens()},
                      {"expert_bytes", trace.total_bytes()},
                      {"ram_bytes_per_s", options.machine.ram_bytes_per_s},
                      {"vram_bytes_per_s", options.machine.vram_bytes_per_s},
                      {"link_bytes_per_s", options.machine.link_bytes_per_s},
                      {"hand_over_s", options.machine.hand_over_s},
                      {"rest_s", options.machine.rest_s},
                      {"disk", disk_json(trace, options.disk)},
                      {"sizes", Json::array()}};
        for (const engine::CacheComparison & row : rows)
            document["sizes"].push_back(to_json(row));
        fmt::print("{}\n", json_text(document));
        return 0;
    }
    fmt::print("{} tokens of decode, {} of experts. {}\n\n", trace.n_decode_tokens(), format_bytes(trace.total_bytes()),
               options.machine_text);
    print_table(rows, left);
    fmt::print(
        "\nHit rates are counted on the trace, one look-up per distinct expert of a layer and token; uploads per "
        "look-up.\nTokens/s are predicted from bytes and bandwidths, not measured. n-cpu-moe: as many whole layers in "
        "the same VRAM.\n");
    if (options.disk) fmt::print("{}", disk_text(trace, *options.disk));
    return 0;
}

}  // namespace shimmy::cli
