#include "lab/measure/effects.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

namespace shimmy::lab {

namespace {

// Runs of one model file, placement, mode and number of clients.
struct Group {
    size_t variant = 0;
    engine::Placement placement;
    Mode mode = Mode::generate;
    int n_clients = 0;
};

// The valid results of a group.
class Observations {
public:
    Observations(const CampaignPlan & plan, const Group & group) {
        for (size_t i = 0; i < plan.runs.size(); ++i) {
            const Run & run = plan.runs[i];
            const StoredResult & result = plan.results.at(i);
            const bool of_group = run.variant == group.variant && run.placement == group.placement &&
                                  run.mode == group.mode && run.n_clients == group.n_clients;
            if (of_group && result.state == ResultState::valid && missing_figure(result.document).empty())
                add(run, result.document);
        }
    }

    struct One {
        const Run * run;
        const Json * document;
    };
    const std::vector<One> & list() const { return list_; }

    // The result of the same prompt and repeat at another point; null if there is none.
    const Json * at(const Run & like, const Point & point) const {
        const auto found = by_point_.find({like.prompt, like.repeat, point});
        return found == by_point_.end() ? nullptr : found->second;
    }

private:
    void add(const Run & run, const Json & document) {
        list_.push_back({&run, &document});
        by_point_[{run.prompt, run.repeat, run.point}] = &document;
    }

    std::vector<One> list_;
    std::map<std::tuple<size_t, int, Point>, const Json *> by_point_;
};

double decode_of(const Json & document) {
    return document.contains("load") ? document["load"]["total_tps"] : document["decode_tps"];
}
double prefill_of(const Json & document) {
    return document.contains("load") ? 0.0 : document["prefill_tps"].get<double>();
}
double ttft_of(const Json & document) {
    return document.contains("load") ? document["load"]["ttft_ms"]["p50"] : document["ttft_ms"];
}
double vram_of(const Json & document) {
    return document["memory"]["vram_bytes"];
}

// `ratios` is longer by one if both figures are there.
void add_ratio(std::vector<double> & ratios, double value, double base) {
    if (value > 0.0 && base > 0.0) ratios.push_back(value / base);
}

double percent_of(double log_ratio) {
    return 100.0 * std::expm1(log_ratio);
}

bool holds(const Point & point, const Point & settings) {
    return std::all_of(settings.begin(), settings.end(), [&](const Setting & setting) {
        return std::find(point.begin(), point.end(), setting) != point.end();
    });
}

Point with(Point point, const Point & settings) {
    for (Setting & setting : point) {
        if (const std::string * value = value_of(settings, setting.key)) setting.value = *value;
    }
    return point;
}

// What is compared with what: of each axis every value with the first, or of a paired design all that change together.
std::vector<std::pair<Point, Point>> comparisons(const Axes & axes) {
    const auto varied = axes.varied();
    std::vector<std::pair<Point, Point>> pairs;
    if (axes.design == Design::paired && !varied.empty()) {
        for (size_t i = 1; i < varied.front()->values.size(); ++i) {
            auto & [from, to] = pairs.emplace_back();
            for (const Axis * axis : varied) {
                from.push_back({axis->key, axis->values.front()});
                to.push_back({axis->key, axis->values[i]});
            }
        }
        return pairs;
    }
    for (const Axis * axis : varied) {
        for (size_t i = 1; i < axis->values.size(); ++i)
            pairs.push_back({{{axis->key, axis->values.front()}}, {{axis->key, axis->values[i]}}});
    }
    return pairs;
}

AxisEffect effect_of(const CampaignPlan & plan, const Group & group, const Observations & observations,
                     const Point & from, const Point & to) {
    AxisEffect effect{key_of(plan, group.variant, group.placement, {})};
    effect.mode = group.mode;
    effect.n_clients = group.n_clients;
    const RunKind kind = run_kind(group.mode, group.placement);
    effect.from = that_applies(from, kind);
    effect.to = that_applies(to, kind);
    std::vector<double> decode, prefill, ttft, vram;
    for (const auto & [run, document] : observations.list()) {
        if (effect.to.empty() || !holds(run->point, effect.to)) continue;
        const Json * base = observations.at(*run, with(run->point, effect.from));
        if (base == nullptr) continue;
        add_ratio(decode, decode_of(*document), decode_of(*base));
        add_ratio(prefill, prefill_of(*document), prefill_of(*base));
        add_ratio(ttft, ttft_of(*document), ttft_of(*base));
        add_ratio(vram, vram_of(*document), vram_of(*base));
    }
    effect.decode = change_of(decode);
    effect.prefill = change_of(prefill);
    effect.ttft = change_of(ttft);
    if (!vram.empty()) effect.vram_percent = change_of(vram).mean;
    return effect;
}

std::vector<Group> groups_of(const CampaignPlan & plan, bool with_load) {
    std::vector<Group> groups;
    for (size_t variant = 0; variant < plan.variants.size(); ++variant) {
        for (const engine::Placement placement : plan.campaign.placements) {
            for (const Mode mode : plan.campaign.modes)
                groups.push_back({variant, placement, mode, 0});
            if (!with_load) continue;
            for (const int n_clients : plan.campaign.load.clients)
                groups.push_back({variant, placement, Mode::load, n_clients});
        }
    }
    return groups;
}

bool meet(const Change & a, const Change & b) {
    return *a.low <= *b.high && *b.low <= *a.high;
}

// Settings of two axes, each against its first.
struct Crossing {
    Setting from, to, at_base, at;
};

std::vector<Crossing> crossings(const Axis & a, const Axis & b) {
    std::vector<Crossing> list;
    for (size_t v = 1; v < a.values.size(); ++v) {
        for (size_t w = 1; w < b.values.size(); ++w)
            list.push_back({{a.key, a.values[0]}, {a.key, a.values[v]}, {b.key, b.values[0]}, {b.key, b.values[w]}});
    }
    return list;
}

std::vector<Crossing> crossings(const Axes & axes) {
    std::vector<Crossing> list;
    const auto varied = axes.varied();
    for (size_t i = 0; i < varied.size(); ++i) {
        for (size_t j = i + 1; j < varied.size(); ++j) {
            const std::vector<Crossing> two = crossings(*varied[i], *varied[j]);
            list.insert(list.end(), two.begin(), two.end());
        }
    }
    return list;
}

// Over every four runs that differ in two settings alone.
Interaction interaction_of(const CampaignPlan & plan, const Group & group, const Observations & observations,
                           const Crossing & crossing) {
    const auto & [from, to, at_base, at] = crossing;
    Interaction found{key_of(plan, group.variant, group.placement, {})};
    found.mode = group.mode;
    found.from = from;
    found.to = to;
    found.at_base = at_base;
    found.at = at;
    std::vector<double> ratios, effects_at_base, effects_at;
    for (const auto & [run, document] : observations.list()) {
        if (!holds(run->point, {to, at})) continue;
        const Json * without = observations.at(*run, with(run->point, {from}));
        const Json * base_to = observations.at(*run, with(run->point, {at_base}));
        const Json * base = observations.at(*run, with(run->point, {from, at_base}));
        if (without == nullptr || base_to == nullptr || base == nullptr) continue;
        effects_at.push_back(decode_of(*document) / decode_of(*without));
        effects_at_base.push_back(decode_of(*base_to) / decode_of(*base));
        ratios.push_back(effects_at.back() / effects_at_base.back());
    }
    found.effect_at_base = change_of(effects_at_base);
    found.effect_at = change_of(effects_at);
    found.percent = change_of(ratios);
    return found;
}

}  // namespace

bool Change::is_clear() const {
    constexpr double NOTHING = 1e-9;  // percent: what rounding leaves of no change at all
    return n >= 2 && (*low > NOTHING || *high < -NOTHING);
}

Change change_of(const std::vector<double> & ratios) {
    if (ratios.empty()) return {};
    std::vector<double> logs;
    for (const double ratio : ratios)
        logs.push_back(std::log(ratio));
    const Statistics log_ratio = summarize(logs);
    Change change{log_ratio.n, percent_of(log_ratio.mean)};
    if (const std::optional<double> half = log_ratio.ci95_half_width()) {
        change.low = percent_of(log_ratio.mean - *half);
        change.high = percent_of(log_ratio.mean + *half);
    }
    return change;
}

std::vector<AxisEffect> axis_effects(const CampaignPlan & plan) {
    std::vector<AxisEffect> effects;
    const auto pairs = comparisons(plan.campaign.axes);
    if (pairs.empty()) return effects;
    for (const Group & group : groups_of(plan, /*with_load=*/true)) {
        const Observations observations(plan, group);
        for (const auto & [from, to] : pairs) {
            AxisEffect effect = effect_of(plan, group, observations, from, to);
            if (effect.decode.n > 0) effects.push_back(std::move(effect));
        }
    }
    return effects;
}

std::vector<Interaction> axis_interactions(const CampaignPlan & plan) {
    std::vector<Interaction> found;
    if (plan.campaign.axes.design != Design::full) return found;
    const std::vector<Crossing> list = crossings(plan.campaign.axes);
    if (list.empty()) return found;
    for (const Group & group : groups_of(plan, /*with_load=*/false)) {
        const Observations observations(plan, group);
        for (const Crossing & crossing : list) {
            Interaction one = interaction_of(plan, group, observations, crossing);
            if (one.percent.is_clear() && !meet(one.effect_at_base, one.effect_at)) found.push_back(std::move(one));
        }
    }
    return found;
}

}  // namespace shimmy::lab
