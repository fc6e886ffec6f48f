#!/bin/sh
# Starts the server in a container, which other machines can reach: it must have a key. The arguments are those of
# `shimmy serve`.
set -eu
key_file=${SHIMMY_API_KEY_FILE:-}
if [ -z "$key_file" ]; then
  [ -n "${SHIMMY_API_KEY:-}" ] || { echo "container-start: set SHIMMY_API_KEY or SHIMMY_API_KEY_FILE" >&2; exit 2; }
  key_file=$(mktemp)  # not an argument, which every process of the container could read
  printf '%s\n' "$SHIMMY_API_KEY" > "$key_file"
  unset SHIMMY_API_KEY
fi
exec shimmy serve --bind 0.0.0.0:11435 --api-key-file "$key_file" "$@"
