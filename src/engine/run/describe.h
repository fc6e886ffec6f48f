// What was loaded, and where, as parts of the documents that `generate --json` and `serve --json` print.
#pragma once

#include "base/json.h"
#include "engine/device/device.h"
#include "engine/experts/expert_use.h"
#include "engine/load/memory.h"

#include <optional>
#include <vector>

namespace shimmy::engine {

// {"name", "description", "backend", "kind", "software"}
Json device_json(const Device & device);

// {"name", "cpu", "os", "n_cores", "ram_bytes"}
Json host_json();

// {"vram_bytes", "vram", "host", "expert_ram_bytes", "devices", "buffers"}, see docs/RESULTS.md. `before` and `now`:
// all devices as they were before loading, and as they are; `expert_ram_bytes`: of the experts that lie in RAM.
Json memory_json(const MemoryUse & use, uint64_t expert_ram_bytes, const std::vector<Device> & before,
                 const std::vector<Device> & now = devices());

// Where every expert tensor lies: [{"name", "type", "buffer_type", "host", "bytes"}].
Json expert_tensors_json(const std::vector<TensorPlacement> & tensors);

// [{"layer", "expert", "hits", "bytes"}], or null.
Json expert_use_json(const std::optional<std::vector<ExpertUse>> & use);

}  // namespace shimmy::engine
