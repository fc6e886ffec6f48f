// What a campaign varies beside model, quantization, placement, mode and prompt: options of its runs.
//
//   [axes]
//   design = "full"          # or "paired", or "one-at-a-time"
//   threads = [4, 8]         # a list is an axis
//   batch = 1024             # a single value holds for every run
#pragma once

#include "base/json.h"
#include "base/text/toml_reader.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// Which combinations of the axes' values are measured.
enum class Design {
    full,           // every one
    paired,         // the first value of each axis, then the second of each, and so on: lists of equal length
    one_at_a_time,  // the first value of each axis, and from there each axis alone
};
const char * to_string(Design design);  // "full", "paired", "one-at-a-time"

// One option with the value that it has in a run.
struct Setting {
    std::string key;  // "threads"
    std::string value;

    auto operator<=>(const Setting &) const = default;  // NOLINT(modernize-use-nullptr): of clang-tidy 14
};

// The settings of a run, in the order of axis_keys(), each key once.
using Point = std::vector<Setting>;

struct Axis {
    std::string key;
    std::vector<std::string> values;  // the first is the base that others are compared with
    bool is_listed = true;            // false: a single value, which is a setting of every run and names no result file
};

struct Axes {
    Design design = Design::full;
    std::vector<Axis> list = {};  // in the order of axis_keys()

    bool empty() const { return list.empty(); }
    const Axis * find(const std::string & key) const;  // null if there is none
    std::vector<const Axis *> varied() const;          // those of several values
    std::vector<const Axis *> listed() const;          // those that name result files
};

// All that [axes] takes, in the order in which tables and file names have them.
std::vector<std::string> axis_keys();

// Reads the table. Throws UsageError with file:line for an unknown key or value, a value that is listed twice,
// lists of different lengths in a paired design, and more combinations than anybody measures.
Axes read_axes(TomlReader & table, const toml::table & node);

// The first value of each axis.
Point base_of(const Axes & axes);

// Every combination that the design asks for; the first is the base. One without settings if there are no axes.
std::vector<Point> design_points(const Axes & axes);

// Null if the point has no such setting.
const std::string * value_of(const Point & point, const std::string & key);

// What decides whether a setting changes a run: `depth` says nothing about a server, `moe_cache` nothing about a
// placement that leaves no experts in RAM.
struct RunKind {
    bool through_server = false;
    bool offloads = false;
};

// The settings of the point that change such a run.
Point that_applies(const Point & point, const RunKind & kind);

// As options of `shimmy generate` and `shimmy lab http`. Without n_ctx, threads, max_tokens, moe_backend and moe_cache,
// which every run has.
std::vector<std::string> axis_arguments(const Point & point);

// {"threads": 4, "load_mode": "mmap"}
Json axes_json(const Point & point);

// "threads=4,load_mode=mmap" and "threads 4, load_mode mmap", of the axes that are listed; empty if there is none.
std::string file_name(const Axes & axes, const Point & point);
std::string words(const Axes & axes, const Point & point);

}  // namespace shimmy::lab
