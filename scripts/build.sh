#!/usr/bin/env bash
# Builds, with one line that says how far it is; everything else goes into a log, of which a failure shows what matters.
#   usage: build.sh BUILD_DIR JOBS [TARGET...]
set -uo pipefail
build=$1 jobs=$2
shift 2
log=$build.build.log
targets=()
if [ $# -gt 0 ]; then targets=(--target "$@"); fi

# Of ninja's lines, "[done/total] what". The time left takes the files to come for as long as those before, which is a hint.
show() {
  local tty=$1 shown=0 done total left line
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\ (.*) && ${BASH_REMATCH[3]} != Re-* ]] || continue
    done=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]} left=
    if ((done > 10 && done < total)); then left=", about $(((SECONDS * (total - done) / done + 59) / 60)) min left"; fi
    if [ "$tty" ]; then
      printf '\r\033[Kbuilding: %d of %d%s' "$done" "$total" "$left"
    elif ((100 * done / total >= shown)); then
      echo "building: $done of $total$left"
      shown=$((100 * done / total / 20 * 20 + 20))
    fi
  done
  if [ "$tty" ] && [ "${total:-}" ]; then echo; fi
}

tty=
if [ -t 1 ]; then tty=1; fi
NINJA_STATUS="[%f/%t] " cmake --build "$build" --parallel "$jobs" "${targets[@]}" 2>&1 | tee "$log" | show "$tty"
status=${PIPESTATUS[0]}
if [ "$status" != 0 ]; then
  # From the first command that failed on, without those that went well beside it.
  awk '/^FAILED: |^ninja: error|^CMake Error/ { shown = 1 } shown && !/^\[[0-9]+\/[0-9]+\] /' "$log" | cut -c 1-2000 | head -n 60
  echo "make: the build failed: the first error above says why, $log has everything (docs/TROUBLESHOOTING.md may help)"
fi
exit "$status"
