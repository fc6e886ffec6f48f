#!/usr/bin/env bash
# Prints the folder of a pinned library that a page of ours holds (with its license), fetching it from npm into the cache
# first if needed.   usage: fetch-page-library.sh echarts|markdown-it|highlight|temml
set -euo pipefail

name=$1 package=$1
declare -A sha256
case $name in
  echarts)  # Apache ECharts: report.html
    version=6.1.0
    files=(dist/echarts.min.js LICENSE NOTICE licenses/LICENSE-d3)
    sha256=(
      [echarts.min.js]=b66b25aeb4df84e33199dc21694014d336d222cbd9deb0e5a7c14bd6aa0d0fd0
      [LICENSE]=634293835b43a6dd2094fa39182a3d9a6b9ca43b7fdb9ac354e8037af2a3093a
      [NOTICE]=d491d358344f842685c1b1585970999db65fe30ecf7ef3867af8814f4016c016
      [LICENSE-d3]=e1211892da0b0e0585b7aebe8f98c1274fba15bafe47fa1f4ee8a7a502c06304
    ) ;;
  markdown-it)  # the page of `shimmy serve`
    version=15.0.3
    files=(dist/browser/markdown-it.umd.min.js LICENSE)
    sha256=(
      [markdown-it.umd.min.js]=391f2aa638e75e6c7859d0a5c5650ef0956722a45998f17e05b83bc655778e1e
      [LICENSE]=792c48c5a849a15fdf9e37e8bcf9e6d1dd13b32b46c642a748a0a46a9919d473
    ) ;;
  highlight)  # highlight.js: the page of `shimmy serve`; its usual languages, and four that models write often
    package=@highlightjs/cdn-assets version=11.12.0
    files=(highlight.min.js languages/{cmake,dockerfile,latex,powershell}.min.js LICENSE)
    sha256=(
      [highlight.min.js]=8ab71eb09c51f501e5e25157d9cff100e46cc29bcbfc744d0b746d451fca7f53
      [cmake.min.js]=0cd6dc22b0b99dc53a4288ae30f760dab4da12ddde570f617be30a396b5b97ec
      [dockerfile.min.js]=d96f73b077d654d776795097cf49afae5dce3ce453106af022eae013ad2ec8b1
      [latex.min.js]=12c8743607535b327bcebd954b0228cf39b7844704123319a7fb594a7db94ce7
      [powershell.min.js]=fc298b3e0db362e531e6d58988b7a78f83da19df6b5d74db75bc961b2bfbfd3d
      [LICENSE]=6c081431591d9df696c82dc598fe1423765b8a299b200ed00b281afd0f64c490
    ) ;;
  temml)  # TeX as MathML: the page of `shimmy serve`
    version=0.13.5
    files=(dist/temml.min.js dist/Temml-Local.css LICENSE)
    sha256=(
      [temml.min.js]=1ab19148afe0dbc836b7a74f344071b3f3a70a7a8259ae4049e76894fcdf8d95
      [Temml-Local.css]=544f4e3fee4c36f4568e4f145fa626dc9573c5f4c96c523aadcc433c3989a239
      [LICENSE]=12b4e5592a12baaf50637881f2cb9d66667b26b8d51a73cd8f0d6bcefe176ab6
    ) ;;
  *) echo "usage: fetch-page-library.sh echarts|markdown-it|highlight|temml" >&2; exit 2 ;;
esac
say() { echo "fetch-page-library: $*" >&2; }

cache=${SHIMMY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/shimmy}
dest=$cache/$name-$version
check() { # DIR: every file has its hash
  local file
  for file in "${!sha256[@]}"; do
    echo "${sha256[$file]}  $1/$file" | sha256sum --check --quiet >/dev/null 2>&1 || return 1
  done
}

mkdir -p "$cache"
exec 9>"$cache/.fetch.lock"; flock 9
if ! check "$dest"; then
  say "getting $name $version"
  tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
  (cd "$tmp" && npm pack --loglevel=error "$package@$version" >/dev/null && tar xzf ./*.tgz \
    && mkdir out && cd package && mv "${files[@]}" ../out/) \
    || { say "npm could not download $name $version: check the network"; exit 1; }
  check "$tmp/out" || { say "$name $version has the wrong sha256"; exit 1; }
  rm -rf "$dest"; mv "$tmp/out" "$dest"
fi
echo "$dest"
