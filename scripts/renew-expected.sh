#!/usr/bin/env bash
# Writes tests/lab/expected/ and tests/report/expected/ anew from what the program says now, and shows what has changed.
#   usage: scripts/renew-expected.sh [BUILD_DIR]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/release}
ninja -C "$build" lab_tests report_tests >&2
export SHIMMY_RENEW_EXPECTED=1
"$build/bin/lab_tests" --gtest_filter='GivenSummary.IsAsExpected' --gtest_brief=1 >&2
"$build/bin/report_tests" --gtest_filter='ExpectedDocuments.*' --gtest_brief=1 >&2
git -C "$root" add --intent-to-add tests/lab/expected tests/report/expected
git -C "$root" --no-pager diff -- tests/lab/expected tests/report/expected
