#!/usr/bin/env bash
# Counts the instructions that libggml-moe and llama.cpp's own code execute for expert products on 64-bit Arm, under QEMU. They are
# counts: instructions differ in how long they take, and QEMU knows nothing of that. About five minutes for each type.
#   usage: count-aarch64.sh [TYPE…]
set -euo pipefail
cd "$(dirname "$0")/.."
llama=${LLAMA:-$(scripts/fetch-llama.sh)}
plugin=build/aarch64/bin/libggml-moe.so
[ -f $plugin ] || { echo "count-aarch64: $plugin is missing: run make cross-aarch64 first" >&2; exit 1; }
# ggml's own code with the instructions that the plugin chooses at run time.
build=build/aarch64-i8mm
cmake -S moe -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-gnu.cmake" \
  -DGGML_MOE_LLAMA_DIR="$llama" -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_MOE_BACKEND_OPS=OFF \
  -DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod+fp16+i8mm >$build.log 2>&1 || { tail -n 20 $build.log >&2; exit 1; }
cmake --build $build --parallel "${JOBS:-$(nproc)}" --target ggml-moe-products >>$build.log 2>&1 || { tail -n 20 $build.log >&2; exit 1; }

# Instructions of a run: QEMU's log shows each block when it is translated, an instruction a line, and every time that it is executed.
executed() {
  QEMU_CPU=max qemu-aarch64-static -L /usr/aarch64-linux-gnu -d in_asm,exec,nochain $build/bin/ggml-moe-products "$@" 2>&1 >/dev/null | awk '
    /^IN:/ { block = 1; first = ""; next }
    block && /^0x/ {
      if (first == "") { first = sprintf("%16s", substr($1, 3, length($1) - 3)); gsub(" ", "0", first); size[first] = 0 }
      ++size[first]
      next
    }
    /^Trace/ { block = 0; executed += size[substr($4, 19, 16)] }
    END { printf "%d", executed }'
}
# Instructions for 1000 multiplications: of two more repetitions, so that what comes before the products is not counted.
count() { # BACKEND TYPE ROWS [dense]
  local one three experts=2
  [ "${4:-}" != dense ] || experts=1
  one=$(executed "$1" "$2" "$3" 1 ${4:+"$4"}) || { printf ' – |'; return; }  # not repacked
  three=$(executed "$1" "$2" "$3" 3 ${4:+"$4"})
  awk -v n=$((three - one)) -v products=$((2 * experts * $3 * 256 * 2048)) 'BEGIN { printf " %.0f |", n * 1000 / products }'
}

rows=(1 8 32)
echo "| type | rows of an expert | i8mm | dotprod | llama.cpp | llama.cpp, repacked | one matrix: i8mm | llama.cpp, repacked |"
echo "|---|---:|---:|---:|---:|---:|---:|---:|"
[ $# -gt 0 ] || set -- q4_0 q8_0 q4_K q6_K
for type; do
  for n in "${rows[@]}"; do
    printf '| %s | %s |' "$type" "$n"
    GGML_MOE_ISA=i8mm count $plugin "$type" "$n"
    GGML_MOE_ISA=dotprod count $plugin "$type" "$n"
    count cpu "$type" "$n"
    count repack "$type" "$n"
    GGML_MOE_ISA=i8mm count $plugin "$type" "$n" dense
    count repack "$type" "$n" dense
    echo
  done
done
