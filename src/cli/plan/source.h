// The model that `shimmy plan` is asked about: a file, a shape, or one on the Hub of which only the header is read.
#pragma once

#include "cli/globals.h"
#include "engine/layout/stand_in.h"
#include "gguf/shape.h"
#include "hub/download/remote_gguf.h"

#include <cstdint>
#include <memory>
#include <string>

namespace shimmy::cli {

struct SourceOptions {  // one of the first three
    std::string model;  // a file, a name from `shimmy list`, or one on the Hub
    std::string shape;
    std::string repo;
    std::string quantization;

    bool is_given() const { return !model.empty() || !shape.empty() || !repo.empty(); }
};

// The object keeps its files until the plan is made.
struct Source {
    std::string text;
    std::string file;  // empty: a shape
    gguf::Shape shape;
    std::unique_ptr<hub::RemoteGguf> remote;
    uint64_t file_bytes = 0;  // of the file as it is
    std::string file_quantization;
    std::string held_type;  // for messages
    bool can_quantize = false;

    std::unique_ptr<engine::StandIn> stand_in(const std::string & quantization) const;
};

// Throws UsageError unless exactly one is given.
Source find_source(const SourceOptions & options, const Globals & globals);

// Throws Error where the source is quantized already, and not so.
void check_quantization(const Source & source, const std::string & quantization);

}  // namespace shimmy::cli
