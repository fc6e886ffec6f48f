#!/usr/bin/env bash
# Packs libggml-moe alone, for people with a llama.cpp of their own: build/package/libggml-moe-VERSION-ggml-VERSION-CPU.tar.gz, with its
# header and a note of what it was built for.
#   usage: package-moe.sh [LLAMA_DIR]     LLAMA_DIR: source of the llama.cpp that will load it (default: the pinned release)
set -euo pipefail
llama=$(realpath "${1:-$("$(dirname "$0")/fetch-llama.sh")}")
cd "$(dirname "$0")/.."
number() { sed -n "s/.*$1[ (]*\([0-9][0-9]*\).*/\1/p" "$2" | head -n 1; }
cmake_list=$llama/ggml/CMakeLists.txt header=$llama/ggml/src/ggml-backend-impl.h
[ -f "$header" ] || { echo "package-moe: $llama is no source of llama.cpp (ggml/src/ggml-backend-impl.h is missing)" >&2; exit 1; }
ggml=$(number 'set(GGML_VERSION_MAJOR' "$cmake_list").$(number 'set(GGML_VERSION_MINOR' "$cmake_list").$(number 'set(GGML_VERSION_PATCH' "$cmake_list")
api=$(number 'define GGML_BACKEND_API_VERSION' "$header")
version=$(sed -n 's/^project(shimmy VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
name=libggml-moe-$version-ggml-$ggml-$(uname -m)

build=build/moe-package
cmake -S moe -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_MOE_LLAMA_DIR="$llama" -DGGML_MOE_TESTS=OFF -DCMAKE_SKIP_RPATH=ON \
  >$build.log 2>&1 || { tail -n 20 $build.log >&2; exit 1; }
cmake --build $build --target ggml-moe >>$build.log 2>&1 || { tail -n 40 $build.log >&2; exit 1; }

packed=build/package/$name
rm -rf "$packed" "$packed.tar.gz"
mkdir -p "$packed"
cp $build/bin/libggml-moe.so moe/include/ggml-moe.h LICENSE "$packed/"
strip "$packed/libggml-moe.so"
glibc=$(objdump -T "$packed/libggml-moe.so" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
cat >"$packed/README.txt" <<NOTE
libggml-moe $version: a ggml backend for Mixture-of-Experts weights on the CPU.

Built for   ggml $ggml (GGML_BACKEND_API_VERSION $api), $(uname -m), glibc ${glibc#GLIBC_} or newer
Needs       a llama.cpp with shared libraries whose ggml is of that version: another interface version is refused when it is
            loaded, and another release renumbers operations. It uses the libggml-base.so of the program that loads it.
Processors  chosen when it starts: $(case $(uname -m) in x86_64) echo "AVX2, AVX-VNNI, AVX-512 and AMX" ;; *) echo "SDOT and SMMLA" ;; esac)

  GGML_BACKEND_PATH=\$PWD/libggml-moe.so llama-bench -m model.gguf --cpu-moe

Which programs read GGML_BACKEND_PATH, and for another release: moe/README.md and scripts/package-moe.sh of shimmy.
NOTE
tar -C build/package --owner=0 --group=0 --sort=name -czf "$packed.tar.gz" "$name"
rm -rf "$packed"
(cd build/package && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$packed.tar.gz"
