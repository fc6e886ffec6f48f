#!/usr/bin/env bash
# scripts/setup.sh with package managers that only write down what they are asked to do.   usage: setup_test.sh SOURCE_DIR
set -euo pipefail
setup=$1/scripts/setup.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
expect() { # WHAT EXPECTED ACTUAL: a shell pattern
  # shellcheck disable=SC2053
  [[ $3 == $2 ]] || { echo "$1: expected '$2', got '$3'"; failed=1; }
}

# A PATH with these programs alone. `id` says who we are.
world() { # NAME UID PROGRAM=BODY...
  local path=$dir/$1 uid=$2 program
  shift 2
  mkdir "$path"
  for program in bash env mktemp tail rm cat; do ln -s "$(command -v $program)" "$path/$program"; done
  printf '#!/bin/bash\necho %s\n' "$uid" >"$path/id"
  for program in "$@"; do printf '#!/bin/bash\n%s\n' "${program#*=}" >"$path/${program%%=*}"; done
  chmod +x "$path"/*
  log=$dir/log code=0
  : >"$log"
  text=$(LOG=$log PATH=$path bash "$setup" "${arguments[@]}" 2>&1) || code=$?
  asked=$(<"$log")
}
note='echo "${0##*/} $*" >>"$LOG"'
arguments=()

world debian-all 1000 "apt-get=$note" "dpkg-query=echo installed" npm=
expect "all is there: exit code" 0 $code
expect "all is there: says" "" "$text"
expect "all is there: asks" "" "$asked"

world debian-root 0 "apt-get=$note" "dpkg-query=exit 1" npm=
expect "nothing is there: exit code" 0 $code
expect "nothing is there: says first" "setup: installing with apt-get: build-essential *" "$text"
expect "nothing is there: asks" "apt-get update*apt-get install -y -q --no-install-recommends build-essential *libtomlplusplus-dev*" "$asked"
[[ $asked != *chromium* ]] || { echo "slow tests' packages were installed unasked"; failed=1; }

arguments=(--list slow-tests)
world debian-list 0 "apt-get=$note" "dpkg-query=exit 1" npm=
expect "--list: names" "build-essential *chromium*" "$text"
expect "--list: installs nothing" "" "$asked"
arguments=()

world debian-no-root 1000 "apt-get=$note" "dpkg-query=exit 1" npm=
expect "without root: exit code" 1 $code
expect "without root: says" "*missing*needs root: build-essential *" "$text"

world debian-tests-missing 1000 "apt-get=$note" 'dpkg-query=[[ $* == *fish ]] || echo installed' npm=
expect "without root and what tests want: exit code" 0 $code
expect "without root and what tests want: says" "*going on without fish*" "$text"

world debian-sudo 1000 "apt-get=$note" "dpkg-query=exit 1" "sudo=$note" npm=
expect "with sudo: asks" "sudo apt-get update*sudo env * apt-get install *" "$asked"

world debian-fails 0 "apt-get=echo no such mirror; exit 7" "dpkg-query=exit 1" npm=
expect "apt-get fails: exit code" 1 $code
expect "apt-get fails: says" "*no such mirror*apt-get failed*" "$text"

world fedora 0 "dnf=$note" "rpm=exit 1"
expect "Fedora: asks" "dnf install *gcc-c++*nodejs-npm" "$asked"

world arch 0 'pacman=[ "$1" = --deptest ] && exit 127; echo "pacman $*" >>"$LOG"'
expect "Arch: asks" "pacman --sync *base-devel*npm" "$asked"

world elsewhere 1000
expect "elsewhere: exit code" 0 $code
expect "elsewhere: says" "*nothing is installed*libcli11-dev*CMake says what it misses*" "$text"

[ $failed -eq 0 ] && echo "setup.sh does what it should"
exit $failed
