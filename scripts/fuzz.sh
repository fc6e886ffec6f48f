#!/usr/bin/env bash
# Fuzzes the GGUF reader with libFuzzer under ASan and UBSan.   usage: fuzz.sh SECONDS
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
command -v clang++ >/dev/null || { echo "fuzz: clang++ with libFuzzer is needed: apt-get install clang libclang-rt-dev" >&2; exit 1; }

lib=build/release/bin
[ -e "$lib/libggml-base.so" ] || { echo "fuzz: run make build first" >&2; exit 1; }
llama=$(sed -n 's/^SHIMMY_LLAMA_DIR:PATH=//p' build/release/CMakeCache.txt)
out=build/fuzz
mkdir -p "$out/corpus"
# Seeds: the front of real files, where the header and the first keys are.
for seed in "$llama"/models/ggml-vocab-{gpt-2,phi-3}.gguf models/tiny-moe/tiny-moe-f16.gguf; do
  head -c 4096 "$seed" > "$out/corpus/$(basename "$seed" .gguf)"
done
sources=(tests/fuzz/gguf_fuzz.cpp src/gguf/{active_share,expert_tensors,file_type,gguf_file,metadata,model_info,parse}.cpp src/base/{digest,files,text,units}.cpp src/base/process/interrupt.cpp)
clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Isrc -isystem "$llama/vendor" -I"$llama/include" -I"$llama/ggml/include" \
  "${sources[@]}" -L"$lib" -lggml-base -lcrypto -lfmt -Wl,-rpath,"$PWD/$lib" -o "$out/gguf_fuzz"
exec "$out/gguf_fuzz" -max_total_time="$seconds" -max_len=8192 -rss_limit_mb=512 -artifact_prefix="$out/" "$out/corpus"
