// What was loaded, and where, as parts of the documents that `generate --json` and `serve --json` print. Not in
// engine/, whose sources see llama.cpp's own copy of the JSON library: of another version, whose types must not meet
// ours.
#pragma once

#include "base/json.h"
#include "engine/device.h"
#include "engine/expert_use.h"
#include "engine/memory.h"

#include <optional>
#include <vector>

namespace shimmy::describe {

// {"name", "description", "backend", "kind", "software"}
Json device(const engine::Device & device);

// {"name", "cpu", "os", "n_cores", "ram_bytes"}
Json host();

// {"vram_bytes", "vram", "host", "expert_ram_bytes", "devices", "buffers"}, see docs/RESULTS.md. `before` and `now`:
// all devices as they were before loading, and as they are; `expert_ram_bytes`: of the experts that lie in RAM.
Json memory(const engine::MemoryUse & use, uint64_t expert_ram_bytes, const std::vector<engine::Device> & before,
            const std::vector<engine::Device> & now = engine::devices());

// [{"layer", "expert", "hits", "bytes"}], or null.
Json expert_use(const std::optional<std::vector<engine::ExpertUse>> & use);

}  // namespace shimmy::describe
