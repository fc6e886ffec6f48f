// What the kernel tells of processors and cards, without a driver being loaded.
#pragma once

#include "base/files.h"

#include <string>
#include <vector>

namespace shimmy {

// Physical cores of the fastest kind; 0 where all are of one kind. Sources: Linux's Documentation/ABI, sysfs-devices-
// system-cpu (cpu_capacity, of Arm), and the CPU lists of the performance monitors (cpu_core, of Intel).
int performance_cores(const fs::path & sys_devices = "/sys/devices");

// PCI ids of display adapters and compute accelerators, sorted: "10de:2330".
std::vector<std::string> display_adapters(const fs::path & pci_devices = "/sys/bus/pci/devices");

}  // namespace shimmy
