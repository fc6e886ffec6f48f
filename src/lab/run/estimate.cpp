#include "lab/run/estimate.h"

#include "base/units.h"
#include "lab/measure/statistics.h"
#include "library/names.h"

#include <map>
#include <optional>
#include <tuple>

namespace shimmy::lab {

namespace {

// As ESTIMATE_ASSUMPTIONS says.
constexpr double READ_BYTES_PER_S = GIB;
constexpr double WRITE_BYTES_PER_S = 0.1 * GIB;
constexpr double DECODE_TPS = 10.0;
constexpr int N_ANSWERS = 2;  // a run answers cold and warm

using Like = std::tuple<size_t, std::string, Mode, int>;  // variant, placement, mode, clients

Like like(const Run & run) {
    return {run.variant, engine::to_string(run.placement), run.mode, run.n_clients};
}

std::map<Like, double> measured_s(const CampaignPlan & plan) {
    std::map<Like, std::vector<double>> samples;
    const Json::json_pointer wall("/run/wall_ms");
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const StoredResult & result = plan.results[i];
        if (result.state == ResultState::valid && result.document.contains(wall))
            samples[like(plan.runs[i])].push_back(result.document.at(wall).get<double>() / 1000.0);
    }
    std::map<Like, double> medians;
    for (const auto & [key, values] : samples)
        medians[key] = summarize(values).median;
    return medians;
}

uint64_t file_bytes(const CampaignPlan & plan, size_t variant, const Hooks & hooks) {
    const Variant & file = plan.variants[variant];
    if (!fs::exists(file.path)) return hooks.variant_bytes(plan.campaign, file);
    uint64_t bytes = 0;
    for (const fs::path & part : library::model_files(file.path))
        bytes += fs::file_size(part);
    return bytes;
}

double predicted_s(const Campaign & campaign, const Run & run, uint64_t bytes) {
    const double load_s = static_cast<double>(bytes) / READ_BYTES_PER_S;
    if (run.mode == Mode::load) return load_s + campaign.load.duration_s;
    return load_s + N_ANSWERS * campaign.max_tokens / DECODE_TPS;
}

}  // namespace

Estimate estimate(const CampaignPlan & plan, const std::vector<size_t> & variants, const std::vector<size_t> & runs,
                  const Hooks & hooks) {
    Estimate result;
    for (const size_t variant : variants)
        result.disk_bytes += hooks.variant_bytes(plan.campaign, plan.variants[variant]);
    result.time_s = static_cast<double>(result.disk_bytes) / WRITE_BYTES_PER_S;
    const std::map<Like, double> measured = measured_s(plan);
    std::map<size_t, uint64_t> bytes;
    for (const size_t i : runs) {
        const Run & run = plan.runs[i];
        if (const auto known = measured.find(like(run)); known != measured.end()) {
            result.time_s += known->second;
            ++result.n_measured;
            continue;
        }
        if (!bytes.contains(run.variant)) bytes[run.variant] = file_bytes(plan, run.variant, hooks);
        result.time_s += predicted_s(plan.campaign, run, bytes[run.variant]);
        ++result.n_predicted;
    }
    return result;
}

}  // namespace shimmy::lab
