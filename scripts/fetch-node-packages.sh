#!/usr/bin/env bash
# Prints a folder with the pinned npm packages that only tests use (playwright-core drives the browser, openai is the
# client of the model cards' Node example; openai, @anthropic-ai/sdk and ollama are clients of the server, @huggingface/hub is
# the Hub's official client, undici brings llhttp, which judges how the server reads HTTP; the rest is what they need), fetching them into the cache first if needed.
set -euo pipefail

declare -A sha256=(
  [playwright-core@1.65.1]=6f5a60be62a4fddfbe7d10c448d8fbd54547da3358f2f8a04211440471ee863e
  [@huggingface/hub@2.17.5]=fe7c8699f49960ac20f1afc556739af26e1080008473f962e4b6f3f0d1fe9473
  [@huggingface/xetchunk-wasm@0.2.0]=49d8dc09cedc53df38d0b271303505831ca2cbbb9abd172b11f9e7a06e7ad098
  [@huggingface/blake3-jit@0.0.2]=22e0b1129e4f76b1f27131006618ca24a36ee144a6c2faa9179bf863d8c64d3e
  [gearhash-jit@1.0.2]=8cfa841b5679808df75993142529552edde9392ce18a36777de0d527c85bf7e7
  [openai@7.57.0]=2e39589ca8d5a71aff84b921da8b7712d4ec7f0b1917b41fb0b7e69c34c609ce
  [@anthropic-ai/sdk@1.12.0]=9bc5902a1b81ae5bd1a4955ff432cb8e2388eed7c3352790a3023f09c00ac014
  [@opentelemetry/api@1.10.0]=d23732a83d91a563ee223c44c81d231ad6d5123563fb12642e9272adc5d86dd9
  [standardwebhooks@1.1.1]=d0bc8fec280c9e30ea3cbc876f44fe71d56f443aeca2bd2bdf745718308d4aed
  [@stablelib/base64@1.0.1]=0130711d2e0d3f87436c7825db1f35bd6134fba2eda64b0df43d781f9b6a596a
  [fast-sha256@1.3.0]=4f897ea2594dc9cfb1250e7d4d0f65b4f105952a802fff2d06990bf1dc2c84f6
  [ollama@0.6.4]=bd87a4f3f7bcb96b21c1b7b44dc6e30ec3deabd5199b63c7c5bcde121359100b
  [undici@7.16.0]=b6f3f45d748afc9e241e14a7fc33348238cba2bd91134f18deb096e17259dd65
  [whatwg-fetch@3.6.20]=a5c77df8df7e140794763c4558954d50f04b5ff7fa80b0a0eec6b95f15b021af
)
say() { echo "fetch-node-packages: $*" >&2; }

cache=${SHIMMY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/shimmy}
dest=$cache/node-4
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
