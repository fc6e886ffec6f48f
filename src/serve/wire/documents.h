// The documents that the server and a model's process exchange, as JSON.
#pragma once

#include "base/json.h"
#include "engine/experts/expert_cache.h"
#include "engine/experts/expert_disk.h"
#include "engine/experts/expert_memory.h"
#include "engine/experts/expert_use.h"
#include "serve/wire/model.h"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::serve::wire {

// Routes of a process beside llama.cpp's own paths.
inline constexpr const char * LOAD = "load";        // the first: ModelOptions in, Loaded out
inline constexpr const char * DEVICES = "devices";  // Backends' devices, without a model
inline constexpr const char * EXPERTS = "experts";  // ExpertsNow out

// Why a load failed, for the other side to throw the same.
inline constexpr const char * DOES_NOT_FIT = "does_not_fit";
inline constexpr const char * USAGE = "usage";

// What a request wants of a model; its body follows in a frame of its own.
struct Ask {
    using Clock = std::chrono::steady_clock;  // one clock for all processes of a machine

    std::string route;  // "/v1/chat/completions"
    std::map<std::string, std::string> params;
    Clock::time_point accepted;  // when the request was there whole
    bool tell_timings = false;   // add queue_ms and ttft_ms to the answer's timings
};

Json to_json(const Ask & ask);
Ask ask_from(const Json & document);

// `name`: of the model.
Json to_json(const std::string & name, const ModelOptions & options);
std::string name_from(const Json & document);
ModelOptions options_from(const Json & document);

Json to_json(const Loaded & loaded);
Loaded loaded_from(const Json & document);

Json to_json(const std::vector<engine::Device> & devices);
std::vector<engine::Device> devices_from(const Json & document);

// What a model's experts did, and where they lie, as it is now.
struct ExpertsNow {
    std::vector<engine::ExpertUse> use;          // empty where libggml-moe computes none of them
    std::optional<engine::ExpertCache> cache;    // nullopt without libggml-moe
    std::optional<engine::ExpertDisk> disk;      // the same
    std::optional<engine::ExpertMemory> in_ram;  // the same
    engine::MemoryUse memory;
};

Json to_json(const ExpertsNow & experts);
ExpertsNow experts_from(const Json & document);

// What an answer took; null members: it is not known, as for errors and answers that were given up.
struct Figures {
    Json timings;  // llama.cpp's
    double queue_ms = 0.0;
    double ttft_ms = 0.0;
};

Json to_json(const Figures & figures);
Figures figures_from(const Json & document);

}  // namespace shimmy::serve::wire
