#!/usr/bin/env bash
# Runs the fast tests of a sanitizer build.   usage: sanitized-tests.sh BUILD_DIR [TESTS]   a regular expression over names
set -euo pipefail
# llvmpipe compiles shaders with LLVM in-process and never frees parts of it; those leaks are not ours.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:abort_on_error=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
exec ctest --test-dir "$1" --tests-regex "${2:-.}" --label-exclude slow --output-on-failure
