#!/usr/bin/env bash
# Which lines of src/ and moe/src/ the fast tests run: build/coverage/html/index.html, a line for each folder, and the
# share of all lines. Kernels without optimization take a while.
#   usage: coverage.sh JOBS [TESTS]     TESTS: a regular expression over names
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=$1 tests=${2:-.} build=build/coverage
command -v gcovr >/dev/null || { echo "coverage: gcovr is missing (scripts/setup.sh slow-tests)" >&2; exit 1; }

mkdir -p build
cmake --preset release -B $build -DSHIMMY_COVERAGE=ON -DSHIMMY_GPU="$(scripts/pick-gpu.sh)" >$build.configure.log
scripts/build.sh $build "$jobs"
find $build -name '*.gcda' -delete  # of earlier runs
ctest --test-dir $build --label-exclude slow --parallel "$jobs" --tests-regex "$tests" --output-on-failure

mkdir -p $build/html
gcovr --root . --filter src/ --filter moe/src/ --exclude-throw-branches --exclude-unreachable-branches \
  --gcov-ignore-parse-errors --object-directory $build -j "$jobs" \
  --html-details $build/html/index.html --json-summary $build/summary.json --txt $build/files.txt
python3 - $build/summary.json <<'PYTHON'
import collections, json, pathlib, sys

summary = json.loads(pathlib.Path(sys.argv[1]).read_text())
folders = collections.defaultdict(lambda: [0, 0])
for file in summary["files"]:
    parts = pathlib.PurePath(file["filename"]).parts
    folder = "/".join(parts[:2] if parts[0] == "src" else parts[:3])
    folders[folder][0] += file["line_covered"]
    folders[folder][1] += file["line_total"]
for folder, (run, all_lines) in sorted(folders.items()):
    print(f"{folder:24} {run:6} of {all_lines:6} lines {100 * run / max(all_lines, 1):5.1f}%")
print(f"{'all':24} {summary['line_covered']:6} of {summary['line_total']:6} lines {summary['line_percent']:5.1f}%")
PYTHON
