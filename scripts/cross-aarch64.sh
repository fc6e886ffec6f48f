#!/usr/bin/env bash
# Builds libggml-moe for 64-bit Arm with Debian's cross compiler and runs its fast tests under QEMU: the scalar kernels, which are
# all there is for Arm.   usage: cross-aarch64.sh
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
exec ctest --test-dir $build --output-on-failure --tests-regex '^moe\.(unit|scalar)$'
