#!/usr/bin/env python3
"""Includes point down only: a folder includes itself and folders that stand above it in ROOMS, and no file includes
itself by a detour. Every folder has a place, and none is crowded.

usage: rooms.py SOURCE_DIR
"""
import collections, pathlib, re, sys

# Lowest first, as in docs/ARCHITECTURE.md.
ROOMS = """
base base/process base/host base/http
gguf
engine/load engine/layout engine/replay engine/predict engine/speculate engine/run engine/make
library
hub/http hub/api hub/download hub/upload
quality check eval tune
serve/http serve/bounds serve/wire serve/forms serve/worker serve/pool serve/api serve
lab/campaign lab/measure lab/http lab/run lab/compare lab/import
report/template report/text report/figures report/conclusions report/charts report/documents report/bundle
publish
cli cli/print cli/plan cli/tune cli/chat cli/serve cli/commands cli/lab
""".split()
MOST_FILES = 26
FROM_THE_PLUGIN = ["experts/policy.h"]  # moe/policy.cmake

source = pathlib.Path(sys.argv[1]) / "src"
problems = []
includes = {}
for file in sorted([*source.rglob("*.h"), *source.rglob("*.cpp")]):
    name = file.relative_to(source).as_posix()
    includes[name] = re.findall(r'^#include "([^"]+/[^"]+)"', file.read_text(), re.M)

for name, targets in includes.items():
    room = name.rsplit("/", 1)[0]
    if room not in ROOMS:
        problems.append(f"src/{name}: its folder has no place in ROOMS")
        continue
    for target in targets:
        below = target.rsplit("/", 1)[0]
        if target in FROM_THE_PLUGIN:
            continue
        if target not in includes:
            problems.append(f"src/{name}: includes {target}, which is not there")
        elif below not in ROOMS or ROOMS.index(below) > ROOMS.index(room):
            problems.append(f"src/{name}: includes {target}, which stands above it")

# A header and its source count as one.
unit = lambda name: name.rsplit(".", 1)[0]
edges = collections.defaultdict(set)
for name, targets in includes.items():
    edges[unit(name)] |= {unit(t) for t in targets} - {unit(name)}


def circle_from(start):
    """The units from `start` back to it, or none."""
    paths, seen = [[start]], set()
    while paths:
        path = paths.pop()
        for following in edges[path[-1]]:
            if following == start:
                return path + [start]
            if following not in seen:
                seen.add(following)
                paths.append(path + [following])
    return None


for name in list(edges):
    circle = circle_from(name)
    if circle and circle[0] == min(circle):
        problems.append(f"src/{name}: includes itself: {' -> '.join(circle)}")

for room, n_files in collections.Counter(name.rsplit("/", 1)[0] for name in includes).items():
    if n_files > MOST_FILES:
        problems.append(f"src/{room}: {n_files} files; {MOST_FILES} at most")

print("\n".join(problems) or f"{len(includes)} files in {len(ROOMS)} rooms: all includes point down")
sys.exit(1 if problems else 0)
