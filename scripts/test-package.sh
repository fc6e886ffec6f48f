#!/usr/bin/env bash
# Installs the packages of build/package (make package) on a bare system and uses them there. As root.
#   usage: test-package.sh [SUITE]     a release of Debian or Ubuntu that the packages may be installed on (default: this one)
set -euo pipefail
cd "$(dirname "$0")/.."
cannot() { echo "test-package cannot run here: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || cannot "a root file system needs root"
command -v mmdebstrap >/dev/null || cannot "mmdebstrap is missing (apt-get install mmdebstrap)"
unshare --mount true 2>/dev/null || cannot "this container may not mount"
suite=${1:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
deb=$(ls build/package/shimmy_*.deb) archive=$(ls build/package/shimmy-*.tar.gz)

# The oldest processor of all, without AVX: ggml's CPU code and the plugin's kernels are chosen for it.
if [ "$(uname -m)" = x86_64 ] && command -v qemu-x86_64 >/dev/null; then
  moved=$(mktemp -d)
  trap 'rm -rf "$moved"' EXIT
  tar -C "$moved" --strip-components=1 -xzf "$archive"
  said=$(qemu-x86_64 -cpu Nehalem "$moved/bin/shimmy" generate models/tiny-moe/tiny-moe-f16.gguf Once -n 2 --device cpu --json)
  grep -q '"n_output_tokens": 2' <<<"$said" || { echo "test-package: does not run without AVX: $said"; exit 1; }
  echo "test-package: archive: ran on a processor without AVX"
else
  echo "test-package: older processors are not tried: that needs qemu-x86_64 on x86-64" >&2
fi

for what in deb archive; do
  root=$PWD/build/package/root
  rm -rf "$root"
  packages=(--include=libcurl4,libedit2,libgomp1,libseccomp2,libssl3,libstdc++6)  # as README.md says of the archive
  [ $what = archive ] || packages=(--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount --include="man-db,$PWD/$deb")
  mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' "${packages[@]}" "$suite" "$root" \
    || cannot "$suite cannot be had, or the package cannot be installed there (the reason is above)"
  cp "$archive" models/tiny-moe/tiny-moe-f16.gguf "$root/tmp/"
  unshare --mount --propagation private bash -euo pipefail -s "$root" "$what" <<'INSIDE'
root=$1 what=$2
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
in_root() { chroot "$root" env HOME=/tmp PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$@"; }
if [ "$what" = deb ]; then
  in_root man --where shimmy-generate | grep -q man1
  in_root test -s /usr/share/bash-completion/completions/shimmy -a -s /usr/share/zsh/vendor-completions/_shimmy
  in_root grep -q '^ExecStart=/usr/bin/shimmy serve ' /lib/systemd/system/shimmy.service
else
  in_root sh -c 'tar -C /usr/local --strip-components=1 -xzf /tmp/shimmy-*.tar.gz'
fi
in_root shimmy --version
said=$(in_root shimmy generate /tmp/tiny-moe-f16.gguf "Once upon a time" --temperature 0 -n 16 --json)
grep -q '"moe_backend": true' <<<"$said" || { echo "test-package: libggml-moe was not used: $said"; exit 1; }
in_root shimmy plan --shape phi-3.5-moe --vram 8GiB --bandwidth 50GB/s --gpu-backend cpu >/dev/null
in_root shimmy inspect /tmp/tiny-moe-f16.gguf >/dev/null
echo "test-package: $what: installed and ran"
INSIDE
  rm -rf "$root"
done
