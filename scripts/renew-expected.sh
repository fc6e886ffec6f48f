#!/usr/bin/env bash
# Writes tests/lab/expected/, tests/report/expected/ and tests/e2e/expected/ anew from what the program says now, and shows
# what has changed.
#   usage: scripts/renew-expected.sh [BUILD_DIR]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/release}
ninja -C "$build" lab_tests report_tests e2e_tests >&2
export SHIMMY_RENEW_EXPECTED=1
"$build/bin/lab_tests" --gtest_filter='GivenSummary.IsAsExpected' --gtest_brief=1 >&2
"$build/bin/report_tests" --gtest_filter='ExpectedDocuments.*' --gtest_brief=1 >&2
"$build/bin/e2e_tests" --gtest_filter='Inspect.*' --gtest_brief=1 >&2
folders=(tests/lab/expected tests/report/expected tests/e2e/expected)
git -C "$root" add --intent-to-add "${folders[@]}"
git -C "$root" --no-pager diff -- "${folders[@]}"
