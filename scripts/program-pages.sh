#!/usr/bin/env bash
# What an installed program has beside it: man pages (help2man reads --help) and completion for three shells.
#   usage: program-pages.sh SHIMMY DIR     DIR becomes man/, bash-completion/, zsh/, fish/, as they stand in /usr/share
set -euo pipefail
shimmy=$1 dir=$2
version=$("$shimmy" --version | sed -n '1s/^shimmy \([^ ]*\).*/\1/p')

rm -rf "$dir"
mkdir -p "$dir"/man/man1 "$dir"/bash-completion/completions "$dir"/zsh/vendor-completions "$dir"/fish/vendor_completions.d
"$shimmy" completion bash >"$dir/bash-completion/completions/shimmy"
"$shimmy" completion zsh >"$dir/zsh/vendor-completions/_shimmy"
"$shimmy" completion fish >"$dir/fish/vendor_completions.d/shimmy.fish"

command -v help2man >/dev/null || { echo "program-pages: no man pages: help2man is missing" >&2; exit 0; }
page() {  # NAME SUMMARY [COMMAND…]
  local name=$1 summary=$2
  shift 2
  help2man --no-info --version-string="$version" --name="$summary" --help-option="$* --help" "$shimmy" |
    sed -e "s/^\.TH SHIMMY /.TH ${name^^} /" -e "0,/^shimmy /s//$name /" | gzip -9n >"$dir/man/man1/$name.1.gz"
}
page shimmy "run, serve, quantize and measure Mixture-of-Experts models"
# "| [`shimmy lab run`](#shimmy-lab-run) | run a campaign |", of every command
"$shimmy" reference | sed -n 's/^| \[`shimmy \([^`]*\)`\](.*) | \(.*\) |$/\1\t\2/p' | while IFS=$'\t' read -r command summary; do
  # shellcheck disable=SC2086  # "lab run" is two arguments
  page "shimmy-${command// /-}" "$summary" $command </dev/null
done
