#include "engine/replay/route_trace.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

namespace shimmy::engine {

namespace {

enum Column { TURN, PHASE, STEP, LAYER, SLOT, EXPERT, WEIGHT, RESIDENCY, EXPERT_BYTES, N_COLUMNS };

using Row = std::array<int64_t, N_COLUMNS>;

constexpr int64_t MOST = int64_t{1} << 40;  // of any number in a trace

// The number after `key` in a comment such as "# layer=3 expert_bytes=3059712".
std::optional<int64_t> number_after(std::string_view line, std::string_view key) {
    const size_t at = line.find(key);
    if (at == std::string_view::npos) return std::nullopt;
    int64_t value = 0;
    const char * first = line.data() + at + key.size();
    if (std::from_chars(first, line.data() + line.size(), value).ec != std::errc()) return std::nullopt;
    return value;
}

std::optional<Row> parse_row(std::string_view line) {
    Row row{};
    for (size_t column = 0; column < N_COLUMNS; ++column) {
        const size_t comma = column + 1 < N_COLUMNS ? line.find(',') : line.size();
        if (comma == std::string_view::npos) return std::nullopt;
        const std::string_view field = line.substr(0, comma);
        if (column != WEIGHT) {
            const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), row[column]);
            if (error != std::errc() || end != field.data() + field.size() || row[column] < 0 || row[column] > MOST)
                return std::nullopt;
        }
        line.remove_prefix(std::min(comma + 1, line.size()));
    }
    return row;
}

class Reader {
public:
    explicit Reader(const std::filesystem::path & file) : file_(file) {}

    RouteTrace read(int n_expert) {
        std::ifstream in(file_);
        if (!in) fail("{}: cannot be read", file_.string());
        std::string line;
        if (!std::getline(in, line) || !line.starts_with("# route_trace v1"))
            fail("{}: is no trace of experts: it must begin with \"# route_trace v1\" (shimmy generate --expert-trace)",
                 file_.string());
        for (n_line_ = 2; std::getline(in, line); ++n_line_) {
            if (line.ends_with('\r')) line.pop_back();
            if (line.starts_with('#')) {
                take_comment(line);
            } else if (!line.empty() && !line.starts_with("turn,")) {
                take_row(line);
            }
        }
        if (trace_.batches.empty()) fail("{}: holds no routing", file_.string());
        for (auto & [layer, n] : trace_.n_expert)
            n = std::max({n, n_expert, static_cast<int>(n_expert_)});
        for (const auto & [layer, bytes] : trace_.expert_bytes) {
            if (bytes == 0) fail("{}: does not say how many bytes an expert of layer {} has", file_.string(), layer);
        }
        return std::move(trace_);
    }

private:
    [[noreturn]] void bad(std::string_view what) const { fail("{}, line {}: {}", file_.string(), n_line_, what); }

    void take_comment(std::string_view line) {
        if (const auto n = number_after(line, " n_expert=")) n_expert_ = *n;
        const auto layer = number_after(line, "# layer="), bytes = number_after(line, " expert_bytes=");
        if (layer && bytes && *bytes > 0) trace_.expert_bytes[static_cast<int>(*layer)] = static_cast<uint64_t>(*bytes);
    }

    void take_row(std::string_view line) {
        const auto row = parse_row(line);
        if (!row) bad("is no line of nine numbers: turn,phase,step,layer,slot,expert,weight,residency,expert_bytes");
        if ((*row)[EXPERT] >= 1 << 20 || (*row)[LAYER] >= 1 << 20) bad("no model has so many experts or layers");
        if (is_new_batch(*row)) {
            trace_.batches.push_back({(*row)[PHASE] == 1, 0, {}});
            first_step_ = (*row)[STEP];
        }
        TraceBatch & batch = trace_.batches.back();
        const int layer = static_cast<int>((*row)[LAYER]), expert = static_cast<int>((*row)[EXPERT]);
        auto choice = std::find_if(batch.layers.begin(), batch.layers.end(),
                                   [&](const LayerChoice & c) { return c.layer == layer; });
        if (choice == batch.layers.end()) choice = batch.layers.insert(choice, LayerChoice{layer, {}, {}});
        const auto known = std::find(choice->experts.begin(), choice->experts.end(), expert);
        if (known == choice->experts.end()) {
            choice->experts.push_back(expert);
            choice->tokens.push_back(1);
        } else {
            ++choice->tokens[static_cast<size_t>(known - choice->experts.begin())];
        }
        batch.n_tokens = std::max(batch.n_tokens, static_cast<int>((*row)[STEP] - first_step_) + 1);
        int & n = trace_.n_expert[layer];
        n = std::max(n, expert + 1);
        uint64_t & bytes = trace_.expert_bytes[layer];
        bytes = std::max(bytes, static_cast<uint64_t>((*row)[EXPERT_BYTES]));
        last_ = *row;
    }

    // Single tokens are batches of their own; the tokens of a prompt are one.
    bool is_new_batch(const Row & row) const {
        if (trace_.batches.empty() || row[TURN] != last_[TURN] || row[PHASE] != last_[PHASE]) return true;
        return row[PHASE] == 1 && row[STEP] != last_[STEP];
    }

    std::filesystem::path file_;
    RouteTrace trace_;
    Row last_{};
    int64_t n_expert_ = 0;
    int64_t first_step_ = 0;  // of the batch
    size_t n_line_ = 0;
};

}  // namespace

size_t RouteTrace::n_decode_tokens() const {
    return static_cast<size_t>(
        std::count_if(batches.begin(), batches.end(), [](const TraceBatch & batch) { return batch.is_decode; }));
}

uint64_t RouteTrace::total_bytes() const {
    uint64_t sum = 0;
    for (const auto & [layer, bytes] : expert_bytes) {
        const auto n = n_expert.find(layer);
        if (n != n_expert.end()) sum += bytes * static_cast<uint64_t>(n->second);
    }
    return sum;
}

RouteTrace read_route_trace(const std::filesystem::path & file, int n_expert) {
    return Reader(file).read(n_expert);
}

}  // namespace shimmy::engine
