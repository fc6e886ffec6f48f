// What looks like a hardware GPU where there is none: a module of a card that is modelled (moe/tests/model_gpu.h),
// loaded as CUDA's is. It computes right results, and many times faster than Mesa's software GPU.
#pragma once

#include "program.h"
#include "temp_dir.h"
#include "variable.h"

namespace shimmy::e2e {

#define SKIP_WITHOUT_MODULE()      \
    if (*SHIMMY_MODEL_GPU == '\0') \
    GTEST_SKIP() << "built without libggml-moe: the modelled GPU is a module of its tests"

// While one lives, tests run a program that is installed in a folder of its own, with that module as the only one of a
// GPU, and with a cache folder of its own: the rates of such a card are nobody else's.
class BesideModelledGpu {
public:
    BesideModelledGpu();
    ~BesideModelledGpu() { program_under_test = SHIMMY_PROGRAM; }
    BesideModelledGpu(const BesideModelledGpu &) = delete;
    BesideModelledGpu & operator=(const BesideModelledGpu &) = delete;

private:
    const TempDir dir_;
    const Variable cache_{"XDG_CACHE_HOME", (dir_ / "cache").string()};
};

}  // namespace shimmy::e2e
