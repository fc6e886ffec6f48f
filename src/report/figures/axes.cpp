#include "report/figures/axes.h"

#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace shimmy::report {

namespace {

using Align = Table::Align;

constexpr size_t MOST_NAMED = 6;  // cells in one finding; the table has them all

// "threads 4 against 2"
std::string comparison_text(const lab::AxisEffect & effect) {
    if (effect.to.size() != 1) return fmt::format("{} against {}", point_text(effect.to), point_text(effect.from));
    return fmt::format("{} against {}", point_text(effect.to), effect.from.front().value);
}

std::string place_text(const lab::AxisEffect & effect) {
    if (effect.mode == lab::Mode::load) return fmt::format("{}, {} clients", effect.name(), effect.n_clients);
    return effect.mode == lab::Mode::generate ? effect.name()
                                              : fmt::format("{} ({})", effect.name(), mode_name(effect.mode));
}

std::string interval_text(const lab::Change & change) {
    constexpr double WIDE = 1000.0;  // of two pairs, nothing more exact is known
    if (*change.high > WIDE) return fmt::format("{:+.1f} to above {:+.0f}%", *change.low, WIDE);
    return fmt::format("{:+.1f} to {:+.1f}%", *change.low, *change.high);
}

// Effects of one comparison that are clear in one figure, the largest first.
struct Named {
    const lab::AxisEffect * effect;
    const lab::Change * change;
};

std::vector<Named> clear_effects(const std::vector<const lab::AxisEffect *> & effects,
                                 lab::Change lab::AxisEffect::*figure) {
    std::vector<Named> named;
    for (const lab::AxisEffect * effect : effects) {
        if ((effect->*figure).is_clear()) named.push_back({effect, &(effect->*figure)});
    }
    std::stable_sort(named.begin(), named.end(), [](const Named & a, const Named & b) {
        return std::abs(a.change->mean) > std::abs(b.change->mean);
    });
    return named;
}

std::string signed_percent(double percent) {
    return fmt::format("{:+.1f}", percent);
}

std::optional<Finding> figure_finding(const std::vector<const lab::AxisEffect *> & effects, const char * figure_name,
                                      lab::Change lab::AxisEffect::*figure) {
    const std::vector<Named> named = clear_effects(effects, figure);
    if (named.empty()) return std::nullopt;
    const size_t n_measured = static_cast<size_t>(std::count_if(
        effects.begin(), effects.end(), [&](const lab::AxisEffect * effect) { return (effect->*figure).n >= 2; }));
    Json list = Json::array();
    for (size_t i = 0; i < std::min(named.size(), MOST_NAMED); ++i)
        list.push_back({{"place", place_text(*named[i].effect)},
                        {"mean", signed_percent(named[i].change->mean)},
                        {"interval", interval_text(*named[i].change)}});
    return Finding{effects.front()->model,
                   "axis",
                   {{"comparison", comparison_text(*effects.front())},
                    {"figure", figure_name},
                    {"n_more", named.size() - list.size()},
                    {"n_unclear", n_measured - std::min(n_measured, named.size())},
                    {"list", std::move(list)}}};
}

std::optional<Finding> vram_finding(const std::vector<const lab::AxisEffect *> & effects) {
    const auto vram = [](const lab::AxisEffect * effect) { return effect->vram_percent.value_or(0.0); };
    const auto [least, most] =
        std::minmax_element(effects.begin(), effects.end(),
                            [&](const lab::AxisEffect * a, const lab::AxisEffect * b) { return vram(a) < vram(b); });
    constexpr double ROUNDED_AWAY = 0.05;  // percent
    if (std::abs(vram(*least)) < ROUNDED_AWAY && std::abs(vram(*most)) < ROUNDED_AWAY) return std::nullopt;
    const auto part = [&](const lab::AxisEffect * effect) {
        return Json{{"percent", signed_percent(vram(effect))}, {"place", place_text(*effect)}};
    };
    return Finding{effects.front()->model,
                   "axis_vram",
                   {{"comparison", comparison_text(*effects.front())},
                    {"n", effects.size()},
                    {"least", part(*least)},
                    {"most", part(*most)}}};
}

Finding interaction_finding(const lab::Interaction & found) {
    const std::string mode = found.mode == lab::Mode::generate ? "" : fmt::format(" ({})", mode_name(found.mode));
    const auto effect = [](const lab::Change & change, const std::string & value) {
        return Json{{"mean", signed_percent(change.mean)}, {"interval", interval_text(change)}, {"at", value}};
    };
    return {found.model,
            "interaction",
            {{"cell", found.name() + mode},
             {"to", found.to.key + " " + found.to.value},
             {"from", found.from.value},
             {"other", found.at.key},
             {"first", effect(found.effect_at_base, found.at_base.value)},
             {"second", effect(found.effect_at, found.at.value)}}};
}

// Of one model, by what is compared, in the campaign's order.
std::vector<std::vector<const lab::AxisEffect *>> by_comparison(const lab::Summary & summary,
                                                                const std::string & model) {
    std::vector<std::vector<const lab::AxisEffect *>> groups;
    for (const lab::AxisEffect & effect : summary.effects) {
        if (effect.model != model) continue;
        const auto same = std::find_if(groups.begin(), groups.end(), [&](const auto & group) {
            return group.front()->from == effect.from && group.front()->to == effect.to;
        });
        if (same == groups.end()) {
            groups.push_back({&effect});
        } else {
            same->push_back(&effect);
        }
    }
    return groups;
}

}  // namespace

std::string point_text(const lab::Point & point) {
    std::string text;
    for (const lab::Setting & setting : point)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", setting.key, setting.value);
    return text;
}

std::string settings_text(const lab::Summary & summary, const lab::CellKey & key) {
    return lab::words(summary.campaign.axes, key.point);
}

std::string cell_name(const lab::Summary & summary, const lab::CellKey & key) {
    const std::string settings = settings_text(summary, key);
    return settings.empty() ? key.name() : key.name() + ", " + settings;
}

std::string change_text(const lab::Change & change) {
    if (change.n == 0) return "-";
    if (change.n < 2) return fmt::format("{:+.1f}%\none pair", change.mean);
    const std::string interval = interval_text(change);
    return change.is_clear() ? fmt::format("{:+.1f}%\n{}", change.mean, interval)
                             : fmt::format("no clear difference\n{}", interval);
}

Table effects_table(const lab::Summary & summary, const std::string & model) {
    Table table;
    table.columns = {{"setting", Align::left}, {"type", Align::left},         {"placement", Align::left},
                     {"mode", Align::left},    {"decode rate", Align::right}, {"prefill rate", Align::right},
                     {"TTFT", Align::right},   {"VRAM", Align::right},        {"pairs", Align::right}};
    for (const auto & group : by_comparison(summary, model)) {
        for (const lab::AxisEffect * effect : group) {
            const std::string mode = effect->mode == lab::Mode::load ? fmt::format("{} clients", effect->n_clients)
                                                                     : mode_name(effect->mode);
            table.rows.push_back({comparison_text(*effect), effect->quantization, engine::to_string(effect->placement),
                                  mode, change_text(effect->decode), change_text(effect->prefill),
                                  change_text(effect->ttft),
                                  effect->vram_percent ? fmt::format("{:+.1f}%", *effect->vram_percent) : "-",
                                  fmt::format("{}", effect->decode.n)});
        }
    }
    return table;
}

std::vector<Finding> axis_findings(const lab::Summary & summary, const std::string & model) {
    std::vector<Finding> findings;
    const auto add = [&](std::optional<Finding> finding) {
        if (finding) findings.push_back(std::move(*finding));
    };
    bool any = false;
    for (const auto & group : by_comparison(summary, model)) {
        any = true;
        add(figure_finding(group, "decode rate", &lab::AxisEffect::decode));
        add(figure_finding(group, "prefill rate", &lab::AxisEffect::prefill));
        add(figure_finding(group, "TTFT", &lab::AxisEffect::ttft));
        add(vram_finding(group));
    }
    if (any && findings.empty()) add(Finding{model, "axes_alike"});
    for (const lab::Interaction & found : summary.interactions) {
        if (found.model == model) add(interaction_finding(found));
    }
    return findings;
}

}  // namespace shimmy::report
