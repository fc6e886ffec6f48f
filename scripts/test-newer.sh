#!/usr/bin/env bash
# libggml-moe in a newer, unmodified llama.cpp: Debian sid's packages, in a root of their own (1 GB). Builds the plugin there
# and runs llama-bench, llama.cpp's own tests of a backend, and the same text with and without it.
# usage: test-newer.sh [ROOT]     ROOT (default build/newer/root) is made if it is not there
# bench/peer_cache.py measures in the same root afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(realpath -m "${1:-build/newer/root}")
jobs=${JOBS:-$(nproc)}

cannot() { echo "test-newer cannot run here: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || cannot "a root file system needs root"
command -v mmdebstrap >/dev/null || cannot "mmdebstrap is missing (apt-get install mmdebstrap)"
unshare --mount true 2>/dev/null || cannot "this container may not mount"

if [ ! -x "$root/usr/bin/llama-perplexity" ]; then
  mkdir -p "$(dirname "$root")"
  mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
    --include=llama.cpp-tools,llama.cpp-tools-extra,llama.cpp-tests,libggml-dev,libggml0-backend-vulkan,libggml0-backend-rpc,mesa-vulkan-drivers,g++,cmake,ninja-build \
    sid "$root" || cannot "Debian's sid cannot be had (the reason is above)"
fi

# In a mount namespace of its own: whatever happens, nothing stays mounted.
exec unshare --mount --propagation private bash -euo pipefail -s "$root" "$PWD" "$jobs" <<'INSIDE'
root=$1 source=$2 jobs=$3
mkdir -p "$root"/{source/moe,source/model,build}
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$source/moe" "$root/source/moe"
mount --bind "$source/models/tiny-moe" "$root/source/model"
plugin=/build/bin/libggml-moe.so model=/source/model/tiny-moe-f16.gguf
lvp=$(cd "$root" && ls usr/share/vulkan/icd.d/lvp*.json | head -n 1)
gpus() { local n=$1; shift; chroot "$root" env HOME=/tmp VK_ICD_FILENAMES="/$lvp" GGML_VK_VISIBLE_DEVICES="$n" "$@"; }
in_root() { gpus "" "$@"; }
failed=0
fail() { echo "FAILED: $*"; failed=1; }

echo "== $(in_root dpkg-query -f '${Package} ${Version}\n' -W llama.cpp-tools)"
in_root cmake -S /source/moe -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release >"$root/build.log" 2>&1 || { cat "$root/build.log"; exit 1; }
in_root cmake --build /build --parallel "$jobs" --target ggml-moe >"$root/build.log" 2>&1 || { tail -n 30 "$root/build.log"; exit 1; }

echo "== llama-bench: without, with"
in_root llama-bench -m $model -p 128 -n 32 -r 3
in_root env GGML_BACKEND_PATH=$plugin llama-bench -m $model -p 128 -n 32 -r 3 | tee "$root/bench.txt"
grep -q MoE "$root/bench.txt" || fail "llama-bench did not use the plugin"

echo "== test-backend-ops: expert products, activations, norms"
tests=$(cd "$root" && ls -d usr/libexec/*/llama.cpp-tests | head -n 1)
in_root env GGML_BACKEND_PATH=$plugin "/$tests/test-backend-ops" test -b MoE -o MUL_MAT_ID -p 'n_mats=4,' >"$root/ops.txt" 2>&1 || fail "test-backend-ops MUL_MAT_ID"
in_root env GGML_BACKEND_PATH=$plugin "/$tests/test-backend-ops" test -b MoE -o SWIGLU,SWIGLU_OAI,ADD_ID,RMS_NORM >>"$root/ops.txt" 2>&1 || fail "test-backend-ops"
grep -E 'tests passed|FAIL' "$root/ops.txt" || fail "test-backend-ops ran nothing"

echo "== test-llama-archs: small models of every architecture (its CPU reference has its weights in the buffer of the plugin, too)"
in_root env GGML_BACKEND_PATH=$plugin "/$tests/test-llama-archs" -b MoE >"$root/archs.txt" 2>&1 || fail "test-llama-archs"
tail -n 3 "$root/archs.txt"

# What a model says to a prompt of more tokens than are streamed at the least.
: >"$root/say.log"
head -c 400 "$source/models/tiny-moe/eval.txt" >"$root/tmp/prompt.txt"
say() {
  local n=$1 with=$2; shift 2
  gpus "$n" env ${with:+GGML_BACKEND_PATH=$with} GGML_MOE_GPU_MIN_BATCH=40 llama-completion -m $model --temp 0 -n 16 -no-cnv --simple-io \
    -f /tmp/prompt.txt --no-warmup "$@" 2>>"$root/say.log" </dev/null
}
echo "== the same text without and with the plugin"
# Another machine as the GPU, played by llama.cpp's server for that on its CPU.
port=$((20000 + RANDOM % 20000))
server=$(cd "$root" && find usr/libexec usr/bin -name ggml-rpc-server | head -n 1)
chroot "$root" env GGML_VK_VISIBLE_DEVICES= "/$server" --host 127.0.0.1 --port "$port" --device CPU >"$root/rpc.txt" 2>&1 &
rpc=$!
trap 'kill "$rpc" 2>/dev/null || true' EXIT
for _ in $(seq 100); do (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
for options in "-:" "-:--cpu-moe --rpc 127.0.0.1:$port" "0:--cpu-moe" "0:--n-cpu-moe 2" "0:--cpu-moe --no-op-offload" "0:--cpu-moe --moe-cache-mib 8" \
  "0,0:--cpu-moe --split-mode layer" "0,0:--cpu-moe --split-mode tensor" "0,0:--split-mode tensor"; do
  devices=${options%%:*} options=${options#*:}
  [ "$devices" != - ] || devices=
  for _ in 1 2 3; do  # llama-completion loses its last words now and then, with and without the plugin
    # shellcheck disable=SC2086
    without=$(say "$devices" "" $options) || fail "llama.cpp alone: ${options:-no options}"
    # shellcheck disable=SC2086
    with=$(say "$devices" $plugin $options) || fail "with the plugin: ${options:-no options}"
    [ "$without" != "$with" ] || break
  done
  [ -n "${first+set}" ] || first=$without  # on the CPU
  if [[ $options == *tensor* ]] && [ "$without" != "$first" ] && [ -n "$with" ]; then
    echo "runs, but is not compared, since llama.cpp alone says something else here than on the CPU: devices '${devices}' ${options}"
  elif [ -n "$without" ] && [ "$without" = "$with" ]; then echo "the same: devices '${devices}' ${options}"; else fail "another text: devices '${devices}' ${options}"; fi
done
exit $failed
INSIDE
