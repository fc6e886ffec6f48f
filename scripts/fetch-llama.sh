#!/usr/bin/env bash
# Prints the folder of the pinned llama.cpp source, fetching it into the cache first if needed.
#
# Order: the git bundle inside the npm package node-llama-cpp, else a shallow clone of the release tag.
# Whatever the origin, the git tree hashes of the folders that are compiled must match the pin.
set -euo pipefail

pkg=node-llama-cpp@3.22.1
bundle=package/llama/gitRelease.bundle
bundle_sha256=5f5d1105d5df040738d87b8290e5d17e7362131cdcfdb0831618e0ea528b4a51
tag=v0.5.0
# git rev-parse HEAD:<folder> of the release
declare -A pinned=(
  [src]=e3ace43f0fc1412bb5828c910481cc553bc84179
  [ggml]=4a1fc5de35bd6af12f303c0701ea0bc7ec1e1c77
  [include]=f2faffc64873897c086263e3566c1f4df988deb8
  [common]=a770f2af7216c82b55c58448e81436e1d0229608
  [vendor]=716a202bcc56101ad2cd2ead0851964717d0cc3a
)

cache=${SHIMMY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/shimmy}
dest=$cache/llama.cpp-$tag
say() { echo "fetch-llama: $*" >&2; }
die() { say "$*"; exit 1; }

verify() { # DIR: every pinned folder has its hash and no file was changed
  local dir=$1 folder have
  for folder in "${!pinned[@]}"; do
    have=$(git -C "$dir" rev-parse "HEAD:$folder" 2>/dev/null) || return 1
    [ "$have" = "${pinned[$folder]}" ] || { say "$dir/$folder: tree $have, expected ${pinned[$folder]}"; return 1; }
  done
  [ -z "$(git -C "$dir" status --porcelain --untracked-files=no)" ] || { say "$dir: local changes"; return 1; }
}

from_npm() { # DIR
  command -v npm >/dev/null || { say "npm not found"; return 1; }
  local tmp; tmp=$(mktemp -d)
  (cd "$tmp" && npm pack --loglevel=error "$pkg" >/dev/null && tar xzf ./*.tgz "$bundle") || { rm -rf "$tmp"; return 1; }
  echo "$bundle_sha256  $tmp/$bundle" | sha256sum --check --quiet >&2 || { rm -rf "$tmp"; return 1; }
  git -c advice.detachedHead=false clone --quiet "$tmp/$bundle" "$1" 2>/dev/null
  local rc=$?; rm -rf "$tmp"; return $rc
}

from_git() { # DIR
  git -c advice.detachedHead=false clone --quiet --depth 1 --branch "$tag" https://github.com/ggml-org/llama.cpp "$1"
}

mkdir -p "$cache"
exec 9>"$cache/.fetch.lock"; flock 9   # two configures at once fetch once
if [ -d "$dest" ] && ! verify "$dest"; then say "discarding the damaged copy $dest"; rm -rf "$dest"; fi
if [ ! -d "$dest" ]; then
  part=$dest.part; rm -rf "$part"
  for origin in npm git; do
    say "getting llama.cpp $tag ($origin)"
    if "from_$origin" "$part" && verify "$part"; then mv "$part" "$dest"; break; fi
    rm -rf "$part"
  done
fi
[ -d "$dest" ] || die "could not get llama.cpp $tag: check the network, or pass -DSHIMMY_LLAMA_DIR=/path/to/llama.cpp"
echo "$dest"
