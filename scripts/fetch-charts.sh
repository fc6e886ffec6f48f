#!/usr/bin/env bash
# Prints the folder of the pinned chart library (Apache ECharts, with its license and notice), fetching it from npm
# into the cache first if needed.
set -euo pipefail

version=6.1.0
declare -A sha256=(
  [echarts.min.js]=b66b25aeb4df84e33199dc21694014d336d222cbd9deb0e5a7c14bd6aa0d0fd0
  [LICENSE]=634293835b43a6dd2094fa39182a3d9a6b9ca43b7fdb9ac354e8037af2a3093a
  [NOTICE]=d491d358344f842685c1b1585970999db65fe30ecf7ef3867af8814f4016c016
  [LICENSE-d3]=e1211892da0b0e0585b7aebe8f98c1274fba15bafe47fa1f4ee8a7a502c06304
)
say() { echo "fetch-charts: $*" >&2; }

cache=${SHIMMY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/shimmy}
dest=$cache/echarts-$version
check() { # DIR: every file has its hash
  local file
  for file in "${!sha256[@]}"; do
    echo "${sha256[$file]}  $1/$file" | sha256sum --check --quiet >/dev/null 2>&1 || return 1
  done
}

mkdir -p "$cache"
exec 9>"$cache/.fetch.lock"; flock 9
if ! check "$dest"; then
  say "getting echarts $version"
  tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
  (cd "$tmp" && npm pack --loglevel=error "echarts@$version" >/dev/null && tar xzf ./*.tgz \
    && mkdir out && mv package/dist/echarts.min.js package/LICENSE package/NOTICE package/licenses/LICENSE-d3 out/) \
    || { say "npm could not download echarts $version: check the network"; exit 1; }
  check "$tmp/out" || { say "echarts $version has the wrong sha256"; exit 1; }
  rm -rf "$dest"; mv "$tmp/out" "$dest"
fi
echo "$dest"
