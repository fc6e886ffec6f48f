#!/usr/bin/env bash
# Prints the path of a prebuilt ggml GPU module (vulkan or cuda) of the pinned llama.cpp release,
# fetching it from npm into the cache first if needed.   usage: fetch-gpu.sh vulkan|cuda
set -euo pipefail

version=3.22.1
declare -A sha256=(
  [vulkan]=5dbbe80b520118b6b71f3ea31935ba107cee9c9c68f7e7ed18b20cdb424e819b
  [cuda]=f00882ca593ddf380778f5ac835690bcdaad951cd4700829c7a03aa0c32bcf47
)
gpu=${1:-}
say() { echo "fetch-gpu: $*" >&2; }
[ -n "${sha256[$gpu]:-}" ] || { say "usage: $0 vulkan|cuda (got '${gpu}')"; exit 2; }

cache=${SHIMMY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/shimmy}
dest=$cache/gpu-$version/libggml-$gpu.so
check() { echo "${sha256[$gpu]}  $1" | sha256sum --check --quiet >/dev/null 2>&1; }

mkdir -p "${dest%/*}"
exec 9>"$cache/.fetch.lock"; flock 9
if [ ! -f "$dest" ] || ! check "$dest"; then
  say "getting the $gpu module"
  tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
  (cd "$tmp" && npm pack --loglevel=error "@node-llama-cpp/linux-x64-$gpu@$version" >/dev/null && tar xzf ./*.tgz) \
    || { say "npm could not download the $gpu module: check the network, or build it with -DGGML_${gpu^^}=ON"; exit 1; }
  so=$(find "$tmp" -name "libggml-$gpu.so" | head -n 1)
  check "$so" || { say "the $gpu module has the wrong sha256"; exit 1; }
  mv "$so" "$dest"
fi
echo "$dest"
