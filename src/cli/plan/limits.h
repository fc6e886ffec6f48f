// The machine that `shimmy plan` plans for: this one, or one that its options describe.
#pragma once

#include "engine/device/device.h"
#include "engine/predict/placement_plan.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::cli {

struct LimitOptions {  // of the command line; empty: this machine's
    std::string device;
    std::string cards;           // "rtx-4060,rtx-3090"
    std::string vram;            // "12GiB,8GiB"
    std::string reserve;         // of each card
    std::string ram;             // "32GiB"
    std::string ram_bandwidth;   // "60GB/s"
    std::string vram_bandwidth;  // the same
};

struct PlannedCard {
    std::string name;
    uint64_t limit_bytes = 0;
    uint64_t reserve_bytes = 0;  // of it, kept free: for the driver, its context, and a display

    uint64_t usable_bytes() const { return limit_bytes > reserve_bytes ? limit_bytes - reserve_bytes : 0; }
};

struct Limits {
    bool exact = false;              // by the no-allocation load of devices that are there; otherwise modelled
    std::string device_name;         // of them, the first
    std::string load_device;         // as LoadOptions::device
    std::vector<PlannedCard> cards;  // empty: no card is there or named, so nothing can be said to fit
    std::string card_source;
    uint64_t ram_bytes = 0;
    std::string ram_source;
    engine::BandwidthRange ram;
    engine::BandwidthRange vram;

    // Of all cards.
    uint64_t vram_bytes() const;
    uint64_t reserve_bytes() const;
    uint64_t usable_vram_bytes() const;
    std::vector<uint64_t> usable_card_bytes() const;
    // Those of `load_device`, with what may be used as their free memory: without a limit where no card is known.
    std::vector<engine::Device> gpus() const;
};

// Throws UsageError.
Limits find_limits(const LimitOptions & options);

// "3GB/s"; both bounds are equal.
engine::BandwidthRange parse_bandwidth(const std::string & text, const char * option);

}  // namespace shimmy::cli
