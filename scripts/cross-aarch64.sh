#!/usr/bin/env bash
# Builds libggml-moe for 64-bit Arm with Debian's cross compiler and runs its fast tests under QEMU, as processors with and without
# the instructions that its kernels use.   usage: cross-aarch64.sh
set -euo pipefail
cd "$(dirname "$0")/.."
for program in aarch64-linux-gnu-g++ qemu-aarch64-static; do
  command -v $program >/dev/null || {
    echo "cross-aarch64: $program is missing: dpkg --add-architecture arm64 && apt-get update && \\" >&2
    echo "  apt-get install g++-aarch64-linux-gnu qemu-user-static libgtest-dev:arm64" >&2
    exit 1
  }
done
build=build/aarch64
llama=${LLAMA:-$(scripts/fetch-llama.sh)}
# Without OpenMP: QEMU runs its spinning threads slowly, and the plugin has threads of its own.
cmake -S moe -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-gnu.cmake" \
  -DGGML_MOE_LLAMA_DIR="$llama" -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_MOE_BACKEND_OPS=OFF >$build.log 2>&1 \
  || { tail -n 20 $build.log >&2; exit 1; }
cmake --build $build --parallel "${JOBS:-$(nproc)}" --target ggml-moe ggml-moe-unit-test ggml-moe-test

# What a processor chooses, if it is asked for kernels that it may lack.
chosen() { # CPU
  QEMU_CPU=$1 GGML_MOE_ISA=$2 GGML_MOE_PLUGIN=$build/bin/libggml-moe.so qemu-aarch64-static -L /usr/aarch64-linux-gnu \
    $build/bin/ggml-moe-test --gtest_filter=Backend.ForcedInstructionSetTook | sed -n 's/^kernels: //p; s/.*the plugin chose \(.*\))/\1/p'
}
# A Cortex-A53 has neither SDOT nor SMMLA, a Neoverse N1 the first, `max` all that QEMU knows.
for machine in cortex-a53:scalar neoverse-n1:dotprod max:i8mm; do
  cpu=${machine%:*} isa=${machine#*:}
  for want in "" i8mm; do
    got=$(chosen "$cpu" "$want")
    [ "$got" = "$isa" ] || { echo "cross-aarch64: $cpu (GGML_MOE_ISA=$want) runs the kernels '$got' instead of '$isa'" >&2; exit 1; }
  done
done
QEMU_CPU=neoverse-n1 ctest --test-dir $build --output-on-failure --tests-regex '^moe\.dotprod$'
QEMU_CPU=max exec ctest --test-dir $build --output-on-failure --tests-regex '^moe\.(unit|kernels|scalar|i8mm)$'
