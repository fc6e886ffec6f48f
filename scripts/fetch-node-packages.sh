#!/usr/bin/env bash
# Prints a folder with the pinned npm packages that only tests use (playwright-core drives the browser, openai is the
# client of the model cards' Node example), fetching them into the cache first if needed.
set -euo pipefail

declare -A sha256=(
  [playwright-core@1.65.1]=6f5a60be62a4fddfbe7d10c448d8fbd54547da3358f2f8a04211440471ee863e
  [openai@7.57.0]=2e39589ca8d5a71aff84b921da8b7712d4ec7f0b1917b41fb0b7e69c34c609ce
)
say() { echo "fetch-node-packages: $*" >&2; }

cache=${SHIMMY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/shimmy}
dest=$cache/node-1
mkdir -p "$cache"
exec 9>"$cache/.fetch.lock"; flock 9
if [ ! -e "$dest/complete" ]; then
  tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
  for package in "${!sha256[@]}"; do
    say "getting $package"
    name=${package%@*}
    mkdir -p "$tmp/$name" "$tmp/out/node_modules/$name"
    (cd "$tmp/$name" && npm pack --loglevel=error "$package" >/dev/null) \
      || { say "npm could not download $package: check the network"; exit 1; }
    echo "${sha256[$package]}  $(ls "$tmp/$name"/*.tgz)" | sha256sum --check --quiet >&2 \
      || { say "$package has the wrong sha256"; exit 1; }
    tar xzf "$tmp/$name"/*.tgz -C "$tmp/out/node_modules/$name" --strip-components=1
  done
  touch "$tmp/out/complete"
  rm -rf "$dest"; mv "$tmp/out" "$dest"
fi
echo "$dest"
