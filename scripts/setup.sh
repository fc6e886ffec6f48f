#!/usr/bin/env bash
# Installs what building, testing and the demo need, on Debian, Ubuntu, Fedora and Arch; says what that is elsewhere. Needs no
# root, and does nothing, when all is there. Debian 12 is tried; the names of Fedora and Arch are not.
#   usage: setup.sh [--list] [slow-tests]
#     --list       print what is missing, install nothing
#     slow-tests   with what only the slow tests need
set -euo pipefail

# What for: needed to build, or wanted (by tests, the demo and some commands), or slow (by slow tests).
# Then the names of Debian and Ubuntu, Fedora, Arch; "-" where the system has no such package.
packages='
build  build-essential        gcc-c++              base-devel
build  make                   make                 make
build  cmake                  cmake                cmake
build  ninja-build            ninja-build          ninja
build  git                    git                  git
build  curl                   curl                 curl
build  ca-certificates        ca-certificates      ca-certificates
build  pkg-config             pkgconf-pkg-config   pkgconf
build  libcli11-dev           cli11-devel          cli11
build  libcurl4-openssl-dev   libcurl-devel        curl
build  libedit-dev            libedit-devel        libedit
build  libfmt-dev             fmt-devel            fmt
build  libgtest-dev           gtest-devel          gtest
build  libseccomp-dev         libseccomp-devel     libseccomp
build  libssl-dev             openssl-devel        openssl
build  libtomlplusplus-dev    tomlplusplus-devel   tomlplusplus
wanted ccache                 ccache               ccache             # a second build in a fraction of the time
wanted gnuplot-nox            gnuplot              gnuplot            # the charts of model cards
wanted python3                python3              python             # runs the code that models write, in a sandbox
wanted libvulkan1             vulkan-loader        vulkan-icd-loader
wanted mesa-vulkan-drivers    mesa-vulkan-drivers  vulkan-swrast      # a software GPU, for machines without one
wanted libsimde-dev           simde-devel          simde              # newer instructions in tests, emulated
wanted cmark-gfm              -                    -                  # renders documents in tests
wanted help2man               help2man             help2man           # the manual pages of packages
wanted zsh                    zsh                  zsh                # completion scripts in tests
wanted fish                   fish                 fish
slow   slurmctld              slurm-slurmctld      -                  # a cluster of one node, which a test starts
slow   slurmd                 slurm-slurmd         -
slow   slurm-client           slurm                -
slow   chromium               chromium             chromium           # shows our pages
slow   clang                  -                    -                  # builds the plugin for Windows, as the next four
slow   lld                    -                    -
slow   g++-mingw-w64-x86-64-posix -                -
slow   wine                   -                    -
slow   wine64                 -                    -
slow   qemu-user              qemu-user-static     qemu-user          # older processors, for packages
slow   gcovr                  gcovr                -                  # make coverage
slow   python3-pytest         python3-pytest       python-pytest      # the tests of llama.cpp'"'"'s server
slow   python3-requests       python3-requests     python-requests
slow   python3-filelock       python3-filelock     python-filelock
slow   python3-wget           python3-wget         -
'
# npm brings llama.cpp's source and the GPU modules; any npm will do.
command -v npm >/dev/null || packages+='build npm nodejs-npm npm'

list_only=no slow=no
for argument in "$@"; do
  case $argument in
    --list) list_only=yes ;;
    slow-tests) slow=yes ;;
    *) echo "usage: setup.sh [--list] [slow-tests]" >&2; exit 2 ;;
  esac
done

if command -v apt-get >/dev/null; then system=1 manager=apt-get
elif command -v dnf >/dev/null; then system=2 manager=dnf
elif command -v pacman >/dev/null; then system=3 manager=pacman
else system=1 manager=''; fi

is_installed() {
  case $manager in
    apt-get) [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null || true)" =~ ^(installed)+$ ]] ;;  # once for each architecture
    dnf) rpm --query --quiet --whatprovides "$1" ;;
    pacman) pacman --deptest "$1" >/dev/null ;;
  esac
}

needed=() missing=() all=()
while read -r what names; do
  [ -n "$what" ] || continue
  [ "$what" != slow ] || [ $slow = yes ] || continue
  read -ra columns <<<"${names%%#*}"
  name=${columns[system - 1]}
  if [ "$name" = - ]; then
    echo "setup: not packaged here: ${columns[0]} (tests that need it fail or are skipped)" >&2
    continue
  fi
  all+=("$name")
  [ -n "$manager" ] || continue
  is_installed "$name" && continue
  missing+=("$name")
  [ "$what" != build ] || needed+=("$name")
done <<<"$packages"

if [ -z "$manager" ]; then
  echo "setup: neither apt-get, dnf nor pacman is here, so nothing is installed. What Debian's packages of these names hold is needed:" >&2
  echo "setup: ${all[*]}" >&2
  echo "setup: going on; CMake says what it misses" >&2
  exit 0
fi
[ ${#missing[@]} -gt 0 ] || exit 0
if [ $list_only = yes ]; then
  echo "${missing[*]}"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null; then
    as_root=(sudo)
  elif [ ${#needed[@]} -gt 0 ]; then
    echo "setup: these are missing, and installing them needs root: ${needed[*]}" >&2
    echo "setup: run as root, or install sudo" >&2
    exit 1
  else
    echo "setup: going on without ${missing[*]}: installing them needs root. Tests that need them fail or are skipped." >&2
    exit 0
  fi
fi

echo "setup: installing with $manager: ${missing[*]}"
log=$(mktemp)
install() {
  case $manager in
    apt-get)
      "${as_root[@]}" apt-get update -q &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" ;;
    dnf) "${as_root[@]}" dnf install -y --setopt=install_weak_deps=False "${missing[@]}" ;;
    pacman) "${as_root[@]}" pacman --sync --noconfirm --needed "${missing[@]}" ;;
  esac
}
if ! install >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: $manager failed (the end of its output is above; all of it: $log)" >&2
  exit 1
fi
rm -f "$log"
