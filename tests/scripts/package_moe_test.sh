#!/usr/bin/env bash
# scripts/package-moe.sh: what it packs is used by an unmodified llama-bench, from another folder.
#   usage: package_moe_test.sh SOURCE_DIR LLAMA_DIR LLAMA_BENCH
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
archive=$1/$("$1/scripts/package-moe.sh" "$2" | tail -n 1)
(cd "$1/build/package" && sha256sum --check --quiet "${archive##*/}.sha256")
tar -C "$dir" -xzf "$archive"
cd "$dir"/*
api=$(sed -n 's/.*define GGML_BACKEND_API_VERSION *//p' "$2/ggml/src/ggml-backend-impl.h")
grep -q "GGML_BACKEND_API_VERSION $api)" README.txt || { cat README.txt; echo "it does not say what it was built for"; exit 1; }
[ -s LICENSE ] && [ -s ggml-moe.h ] || { ls; exit 1; }
devices=$(GGML_BACKEND_PATH=$PWD/libggml-moe.so "$3" -m "$1/models/tiny-moe/tiny-moe-f16.gguf" -p 16 -n 4 -r 1 -ngl 0 -o csv 2>/dev/null)
grep -q MoE <<<"$devices" || { echo "$devices"; echo "llama-bench does not name the plugin's device"; exit 1; }
