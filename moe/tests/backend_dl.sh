#!/usr/bin/env bash
# The plugin in a llama.cpp whose backends are modules themselves (GGML_BACKEND_DL): builds one, and runs its llama-bench.
# usage: backend_dl.sh LLAMA_SOURCE BUILD_DIR PLUGIN MODEL
set -euo pipefail
source=$1 build=$2 plugin=$3 model=$4

launcher=(); ! command -v ccache >/dev/null || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
# Without AMX, which GCC before 13 compiles wrongly.
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_BACKEND_DL=ON -DGGML_NATIVE=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF "${launcher[@]}" >"$build.log" 2>&1 \
  || { tail -n 20 "$build.log"; exit 1; }
cmake --build "$build" --parallel "$(nproc)" --target llama-bench ggml-cpu >>"$build.log" 2>&1 || { tail -n 20 "$build.log"; exit 1; }

out=$(GGML_BACKEND_PATH=$plugin "$build/bin/llama-bench" -m "$model" -p 8 -n 4 -r 1 -o jsonl)
echo "$out"
[ "$(grep -c '"backends": "[^"]*MoE' <<<"$out")" -eq 2 ] || { echo "the plugin was not used"; exit 1; }
