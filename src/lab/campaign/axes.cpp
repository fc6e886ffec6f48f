#include "lab/campaign/axes.h"

#include "base/text/units.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace shimmy::lab {

namespace {

constexpr int MAX_INT = std::numeric_limits<int>::max();
constexpr int MAX_BATCH = 1 << 20;
constexpr size_t MAX_POINTS = 1000;

// Which runs an option says something about.
enum class AppliesTo { all, generate, server, offload };

struct AxisKind {
    const char * key;
    AppliesTo applies_to;
    std::vector<const char *> flags;  // empty: every run has the option anyway
    int min, max;                     // of a whole number; 0, 0: a text
    std::vector<const char *> words;  // a text is one of them; empty: any
};

const std::vector<AxisKind> & kinds() {
    static const std::vector<const char *> cache_types{"f32",  "f16",    "bf16", "q8_0", "q4_0",
                                                       "q4_1", "iq4_nl", "q5_0", "q5_1"};
    static const std::vector<AxisKind> list{
        {"n_ctx", AppliesTo::all, {}, 1, MAX_INT, {}},
        {"depth", AppliesTo::generate, {"--depth"}, 0, MAX_INT, {}},
        {"prompt_tokens", AppliesTo::generate, {"--prompt-tokens"}, 1, MAX_INT, {}},
        {"max_tokens", AppliesTo::all, {}, 2, MAX_INT, {}},  // a decode rate needs two
        {"batch", AppliesTo::all, {"--batch"}, 1, MAX_BATCH, {}},
        {"ubatch", AppliesTo::all, {"--ubatch"}, 1, MAX_BATCH, {}},
        {"threads", AppliesTo::all, {}, 0, 1024, {}},
        {"cache_type", AppliesTo::all, {"--cache-type-k", "--cache-type-v"}, 0, 0, cache_types},
        {"cache_type_k", AppliesTo::all, {"--cache-type-k"}, 0, 0, cache_types},
        {"cache_type_v", AppliesTo::all, {"--cache-type-v"}, 0, 0, cache_types},
        {"flash_attn", AppliesTo::all, {"--flash-attn"}, 0, 0, {"on", "off", "auto"}},
        {"load_mode",
         AppliesTo::all,
         {"--load-mode"},
         0,
         0,
         {"auto", "direct", "mmap", "none", "mlock", "mmap+mlock", "dio"}},
        {"split_mode", AppliesTo::all, {"--split-mode"}, 0, 0, {"none", "layer", "row", "tensor"}},
        {"moe_backend", AppliesTo::all, {}, 0, 0, {"on", "off", "auto"}},
        {"moe_cache", AppliesTo::offload, {}, 0, 0, {}},
        {"parallel", AppliesTo::server, {"--parallel"}, 1, 1024, {}},
        {"spec_type", AppliesTo::all, {"--spec"}, 0, 0, {}},
    };
    return list;
}

const AxisKind & kind_of(const std::string & key) {
    const auto & list = kinds();
    return *std::find_if(list.begin(), list.end(), [&](const AxisKind & kind) { return kind.key == key; });
}

bool is_number(const AxisKind & kind) {
    return kind.max > 0;
}

// Texts become names of folders.
bool is_safe(const std::string & text) {
    return text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+") ==
           std::string::npos;
}

void check_text(const TomlReader & reader, const toml::node & node, const AxisKind & kind, const std::string & text) {
    const bool known = kind.words.empty() || std::any_of(kind.words.begin(), kind.words.end(),
                                                         [&](const char * word) { return text == word; });
    if (!known)
        reader.fail_at(node,
                       fmt::format("'{}' is \"{}\", must be one of {}", kind.key, text, fmt::join(kind.words, ", ")));
    if (std::string(kind.key) == "moe_cache" && text != "off" && text != "auto") {
        try {
            const bool bare = text.find_first_not_of("0123456789") == std::string::npos;
            if (bare || parse_bytes(text, "moe_cache") == 0) throw UsageError("");
        } catch (const UsageError &) {
            reader.fail_at(node, fmt::format("'moe_cache' is \"{}\", must be off, auto or a size such as 4GiB", text));
        }
    }
    if (!is_safe(text))
        reader.fail_at(node, fmt::format("'{}' is \"{}\": letters, digits, '-', '_', '.' and '+' only, as it becomes a "
                                         "folder's name",
                                         kind.key, text));
}

std::string read_value(const TomlReader & reader, const toml::node & node, const AxisKind & kind) {
    if (!is_number(kind)) {
        std::string text = reader.element_string(node, kind.key);
        check_text(reader, node, kind, text);
        return text;
    }
    if (!node.is_integer()) reader.fail_at(node, fmt::format("'{}' must be a whole number", kind.key));
    const int64_t value = node.as_integer()->get();
    if (value < kind.min || value > kind.max)
        reader.fail_at(node, fmt::format("'{}' is {}, must be {} to {}", kind.key, value, kind.min, kind.max));
    return std::to_string(value);
}

Axis read_axis(const TomlReader & reader, const toml::node & node, const AxisKind & kind) {
    Axis axis{kind.key, {}, node.is_array()};
    if (!node.is_array()) {
        axis.values.push_back(read_value(reader, node, kind));
        return axis;
    }
    if (node.as_array()->empty()) reader.fail_at(node, fmt::format("'{}' is an empty list", kind.key));
    for (const toml::node & element : *node.as_array()) {
        std::string value = read_value(reader, element, kind);
        if (std::find(axis.values.begin(), axis.values.end(), value) != axis.values.end())
            reader.fail_at(element, fmt::format("'{}' lists {} twice", kind.key, value));
        axis.values.push_back(std::move(value));
    }
    return axis;
}

Design read_design(TomlReader & reader) {
    const std::string text = reader.string("design", to_string(Design::full));
    for (const Design design : {Design::full, Design::paired, Design::one_at_a_time}) {
        if (text == to_string(design)) return design;
    }
    reader.fail_at("design",
                   fmt::format("'design' is \"{}\", must be \"full\", \"paired\" or \"one-at-a-time\"", text));
}

void check_lengths(const TomlReader & reader, const Axes & axes) {
    const auto varied = axes.varied();
    for (const Axis * axis : varied) {
        const Axis & first = *varied.front();
        if (axis->values.size() == first.values.size()) continue;
        reader.fail_at(axis->key, fmt::format("design = \"paired\" takes lists of one length: '{}' has {} values, '{}' "
                                              "has {}",
                                              first.key, first.values.size(), axis->key, axis->values.size()));
    }
}

void check_size(const TomlReader & reader, const toml::node & node, const Axes & axes) {
    size_t n_points = 1;
    for (const Axis * axis : axes.varied()) {
        const size_t n = axis->values.size();
        n_points = axes.design == Design::full            ? n_points * n
                   : axes.design == Design::one_at_a_time ? n_points + n - 1
                                                          : n;
        if (n_points > MAX_POINTS)
            reader.fail_at(node, fmt::format("the design has more than {} combinations: shorten the lists, or take "
                                             "design = \"one-at-a-time\"",
                                             MAX_POINTS));
    }
}

void check_cache_types(const TomlReader & reader, const Axes & axes) {
    for (const char * one : {"cache_type_k", "cache_type_v"}) {
        if (axes.find("cache_type") != nullptr && axes.find(one) != nullptr)
            reader.fail_at(one, fmt::format("'cache_type' sets keys and values: leave it or '{}' out", one));
    }
}

bool applies(const AxisKind & axis, const RunKind & run) {
    switch (axis.applies_to) {
        case AppliesTo::all:
            return true;
        case AppliesTo::generate:
            return !run.through_server;
        case AppliesTo::server:
            return run.through_server;
        case AppliesTo::offload:
            return run.offloads;
    }
    return true;
}

// `indices`: which value of each axis.
Point point_at(const Axes & axes, const std::function<size_t(const Axis &)> & index) {
    Point point;
    for (const Axis & axis : axes.list)
        point.push_back({axis.key, axis.values.at(axis.values.size() == 1 ? 0 : index(axis))});
    return point;
}

std::vector<Point> full_points(const Axes & axes) {
    std::vector<Point> points{{}};
    for (const Axis & axis : axes.list) {
        std::vector<Point> longer;
        for (const Point & point : points) {
            for (const std::string & value : axis.values) {
                longer.push_back(point);
                longer.back().push_back({axis.key, value});
            }
        }
        points = std::move(longer);
    }
    return points;
}

std::vector<Point> paired_points(const Axes & axes) {
    const auto varied = axes.varied();
    std::vector<Point> points;
    for (size_t i = 0; i < (varied.empty() ? 1 : varied.front()->values.size()); ++i)
        points.push_back(point_at(axes, [&](const Axis &) { return i; }));
    return points;
}

std::vector<Point> single_points(const Axes & axes) {
    std::vector<Point> points{base_of(axes)};
    for (const Axis * moved : axes.varied()) {
        for (size_t i = 1; i < moved->values.size(); ++i)
            points.push_back(point_at(axes, [&](const Axis & axis) { return &axis == moved ? i : 0; }));
    }
    return points;
}

std::string joined(const Axes & axes, const Point & point, const char * between, const char * separator) {
    std::string text;
    for (const Setting & setting : point) {
        const Axis * axis = axes.find(setting.key);
        if (axis == nullptr || !axis->is_listed) continue;
        text += (text.empty() ? "" : separator) + setting.key + between + setting.value;
    }
    return text;
}

}  // namespace

const char * to_string(Design design) {
    switch (design) {
        case Design::full:
            return "full";
        case Design::paired:
            return "paired";
        case Design::one_at_a_time:
            return "one-at-a-time";
    }
    return "";  // there is no other
}

const Axis * Axes::find(const std::string & key) const {
    for (const Axis & axis : list) {
        if (axis.key == key) return &axis;
    }
    return nullptr;
}

std::vector<const Axis *> Axes::varied() const {
    std::vector<const Axis *> found;
    for (const Axis & axis : list) {
        if (axis.values.size() > 1) found.push_back(&axis);
    }
    return found;
}

std::vector<const Axis *> Axes::listed() const {
    std::vector<const Axis *> found;
    for (const Axis & axis : list) {
        if (axis.is_listed) found.push_back(&axis);
    }
    return found;
}

std::vector<std::string> axis_keys() {
    std::vector<std::string> keys;
    for (const AxisKind & kind : kinds())
        keys.emplace_back(kind.key);
    return keys;
}

Axes read_axes(TomlReader & table, const toml::table & node) {
    Axes axes;
    axes.design = read_design(table);
    for (const AxisKind & kind : kinds()) {
        if (const toml::node * value = table.any(kind.key)) axes.list.push_back(read_axis(table, *value, kind));
    }
    table.finish();
    if (axes.empty()) table.fail_at(node, "[axes] names none: write for example threads = [4, 8]");
    if (axes.design == Design::paired) check_lengths(table, axes);
    check_size(table, node, axes);
    check_cache_types(table, axes);
    return axes;
}

Point base_of(const Axes & axes) {
    Point point;
    for (const Axis & axis : axes.list)
        point.push_back({axis.key, axis.values.front()});
    return point;
}

std::vector<Point> design_points(const Axes & axes) {
    switch (axes.design) {
        case Design::full:
            return full_points(axes);
        case Design::paired:
            return paired_points(axes);
        case Design::one_at_a_time:
            return single_points(axes);
    }
    return {};
}

const std::string * value_of(const Point & point, const std::string & key) {
    for (const Setting & setting : point) {
        if (setting.key == key) return &setting.value;
    }
    return nullptr;
}

Point that_applies(const Point & point, const RunKind & kind) {
    Point result;
    for (const Setting & setting : point) {
        if (applies(kind_of(setting.key), kind)) result.push_back(setting);
    }
    return result;
}

std::vector<std::string> axis_arguments(const Point & point) {
    std::vector<std::string> arguments;
    for (const Setting & setting : point) {
        for (const char * flag : kind_of(setting.key).flags)
            arguments.insert(arguments.end(), {flag, setting.value});
    }
    return arguments;
}

Json axes_json(const Point & point) {
    Json json = Json::object();
    for (const Setting & setting : point)
        json[setting.key] = is_number(kind_of(setting.key)) ? Json(std::stoi(setting.value)) : Json(setting.value);
    return json;
}

std::string file_name(const Axes & axes, const Point & point) {
    return joined(axes, point, "=", ",");
}

std::string words(const Axes & axes, const Point & point) {
    return joined(axes, point, " ", ", ");
}

}  // namespace shimmy::lab
