#!/usr/bin/env bash
# Builds shimmy against another checkout of llama.cpp and says which of the seams in docs/UPSTREAM.md moved.
# usage: try-llama.sh LLAMA_DIR
set -uo pipefail
[ $# -eq 1 ] && [ -f "$1/include/llama.h" ] || { echo "usage: try-llama.sh LLAMA_DIR (a llama.cpp checkout)" >&2; exit 2; }
llama=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
build=build/try-llama
log=$build.log
mkdir -p build

step() { echo "== $1"; shift; "$@" >>"$log" 2>&1; }
: > "$log"
step "configuring" cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSHIMMY_LLAMA_DIR="$llama" -DSHIMMY_WERROR=OFF -DSHIMMY_UNITY=OFF \
  || { tail -n 20 "$log"; echo "configuring failed: targets or files of llama.cpp moved (above; all of it: $log)"; exit 1; }

# Every target is tried, so that all that does not compile is named at once.
failed=0
for target in shimmy ggml-moe upstream_tests ggml-moe-test; do
  step "building $target" cmake --build "$build" --target "$target" -- -k 0 || { echo "   does not build"; failed=1; }
done
if [ $failed -ne 0 ]; then
  echo "== what does not compile"
  grep -E '(^|/)(src|moe|tests)/[^ ]*: (fatal )?error:|: (fatal )?error: ' "$log" | sort -u | head -n 40
fi
if [ -x "$build/bin/upstream_tests" ]; then
  echo "== seams of the program"
  "$build/bin/upstream_tests" --gtest_brief=1 2>/dev/null || failed=1
fi
if [ -x "$build/bin/ggml-moe-test" ] && [ -e "$build/bin/libggml-moe.so" ]; then
  echo "== seams of the plugin"
  GGML_MOE_PLUGIN=$build/bin/libggml-moe.so "$build/bin/ggml-moe-test" --gtest_brief=1 --gtest_filter='Backend.*' || failed=1
fi
[ $failed -eq 0 ] && echo "no seam moved" || { echo "some seams moved: the lines above say which (all of it: $log)"; exit 1; }
