#!/usr/bin/env bash
# Builds ggml-moe.dll and llama.cpp for Windows with clang and Debian's mingw-w64, and runs its tests, and an unmodified
# llama-bench.exe with it, under Wine.   usage: cross-windows.sh
set -euo pipefail
cd "$(dirname "$0")/.."
for program in clang++ ld.lld x86_64-w64-mingw32-windres wine; do
  command -v $program >/dev/null || {
    echo "cross-windows: $program is missing: apt-get install clang lld g++-mingw-w64-x86-64-posix wine wine64 libgtest-dev" >&2
    exit 1
  }
done
build=build/windows
llama=${LLAMA:-$(scripts/fetch-llama.sh)}
export WINEPREFIX=$PWD/$build.wine WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml=  # asks for nothing, shows nothing
mkdir -p build
cmake -S moe -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/x86_64-windows.cmake" \
  -DGGML_MOE_LLAMA_DIR="$llama" -DGGML_SSE42=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON -DGGML_OPENMP=OFF -DGGML_MOE_BACKEND_OPS=OFF -DLLAMA_BUILD_TOOLS=ON \
  >$build.log 2>&1 || { tail -n 20 $build.log >&2; exit 1; }
cmake --build $build --parallel "${JOBS:-$(nproc)}" --target ggml-moe ggml-moe-unit-test ggml-moe-test llama-bench

tests='^moe\.(unit|kernels|own-threads|scalar|avx2|avxvnni|avx512|avx512vbmi|avx512bf16)$'  # AMX's registers must be asked for on Linux alone
ctest --test-dir $build --output-on-failure --tests-regex "$tests"

said=$(GGML_BACKEND_PATH=$build/bin/ggml-moe.dll wine $build/bin/llama-bench.exe -m models/tiny-moe/tiny-moe-f16.gguf -p 32 -n 8 -r 1 2>&1)
echo "$said"
grep -q 'MoE' <<<"$said" || { echo "cross-windows: llama-bench.exe did not use the plugin" >&2; exit 1; }
