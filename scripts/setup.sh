#!/usr/bin/env bash
# Installs what building, testing and the demo need, on Debian and Ubuntu. Does nothing when all is there.
# usage: setup.sh [slow-tests]   with what only the slow tests need
set -euo pipefail

packages=(
  build-essential cmake ninja-build ccache curl git ca-certificates pkg-config
  libcli11-dev libcurl4-openssl-dev libfmt-dev libgtest-dev libseccomp-dev libssl-dev libtomlplusplus-dev
  libsimde-dev                     # instructions with VNNI in the tests, on machines without them
  gnuplot-nox                      # the charts of model cards
  cmark-gfm                        # renders documents in the tests
  python3                          # runs the code that models write, confined (shimmy check)
  zsh fish                         # completion scripts in the tests
  libvulkan1 mesa-vulkan-drivers   # a software Vulkan device, for machines without a GPU
)
# A one-node Slurm cluster, which the test starts and ends itself, a browser for our pages, and what llama.cpp's own server
# tests import.
[ "${1:-}" != slow-tests ] || packages+=(slurmctld slurmd slurm-client chromium
  python3-pytest python3-requests python3-filelock python3-wget)
# npm brings llama.cpp's source and the GPU modules; any npm will do.
command -v npm >/dev/null || packages+=(npm)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup: this is not Debian or Ubuntu: install what these packages hold, then run make again: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: run as root, or install sudo, or: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
log=$(mktemp)
install() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; }
if ! { "${as_root[@]}" apt-get update -q && install; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed (the end of its output is above; all of it: $log)" >&2
  exit 1
fi
rm -f "$log"
