#!/usr/bin/env bash
# Packs an installed tree that runs from any folder: build/package/shimmy-VERSION-SYSTEM-CPU.tar.gz, its sha256, and the notes of the
# release from CHANGELOG.md.
# The build must be there (make package).   usage: package.sh BUILD_DIR [TAG]     TAG: "v" and the version it must be
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 tag=${2:-}

version=$("$build/bin/shimmy" --version | sed -n 's/^shimmy \([^ ]*\) .*/\1/p')
[ -z "$tag" ] || [ "$tag" = "v$version" ] || { echo "package: the tag is $tag, the program says $version" >&2; exit 1; }
notes=$(awk -v version="$version" '/^## / { inside = ($2 == version) } inside' CHANGELOG.md)
[ -n "$notes" ] || { echo "package: CHANGELOG.md has nothing about $version" >&2; exit 1; }
if [ -n "$tag" ] && [[ $notes == *"not released yet"* ]]; then
  echo "package: CHANGELOG.md calls $version not released yet: put the date there" >&2
  exit 1
fi

name=shimmy-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
rm -rf build/package
cmake --install "$build" --prefix "build/package/$name" >/dev/null
# From another folder, with nothing of the build tree.
moved=$(mktemp -d)
trap 'rm -rf "$moved"' EXIT
cp -r "build/package/$name" "$moved/"
"$moved/$name/bin/shimmy" plan --shape gpt-oss-20b --vram 8GiB --bandwidth 50GB/s --gpu-backend cpu >/dev/null \
  || { echo "package: the packed program does not run" >&2; exit 1; }
tar -C build/package -czf "build/package/$name.tar.gz" "$name"
tail -n +2 <<<"$notes" >build/package/notes.md
(cd build/package && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "build/package/$name.tar.gz"
