#!/usr/bin/env bash
# Packs what is installed, into build/package: an archive that runs from any folder (shimmy-VERSION-SYSTEM-CPU.tar.gz), a package for
# Debian and Ubuntu (shimmy_VERSION_CPU.deb), their sha256, and the notes of the release from CHANGELOG.md.
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

rm -rf build/package
cpack --config "$build/CPackConfig.cmake" >build/package.log || { tail -n 20 build/package.log >&2; exit 1; }
rm -rf build/package/_CPack_Packages
archive=$(ls build/package/shimmy-*.tar.gz)
# From another folder, with nothing of the build tree.
moved=$(mktemp -d)
trap 'rm -rf "$moved"' EXIT
tar -C "$moved" -xzf "$archive"
"$moved"/*/bin/shimmy plan --shape gpt-oss-20b --vram 8GiB --bandwidth 50GB/s --gpu-backend cpu >/dev/null \
  || { echo "package: the packed program does not run" >&2; exit 1; }

# Ubuntu 22.04 is the oldest system that it is for.
symbols=$(find "$moved" -type f \( -perm -u+x -o -name '*.so*' \) -exec objdump -T {} + 2>/dev/null | grep -oE 'GLIBC(XX)?_[0-9.]+' | sort -uV)
for oldest in GLIBC_2.35 GLIBCXX_3.4.30; do
  newest=$(grep "^${oldest%%_*}_" <<<"$symbols" | tail -n 1)
  [ -n "$newest" ] || { echo "package: objdump shows no ${oldest%%_*} symbols: is it installed?" >&2; exit 1; }
  [ "$(printf '%s\n' "$oldest" "$newest" | sort -V | tail -n 1)" = "$oldest" ] \
    || { echo "package: needs $newest, and Ubuntu 22.04 has $oldest" >&2; exit 1; }
done
tail -n +2 <<<"$notes" >build/package/notes.md
for file in build/package/*.tar.gz build/package/*.deb; do
  (cd build/package && sha256sum "${file##*/}" >"${file##*/}.sha256")
  echo "$file"
done
