#!/usr/bin/env python3
"""Includes point down only: a folder includes itself and folders that stand above it in ROOMS, and no file includes
itself by a detour. Every folder has a place, and none is crowded.

usage: rooms.py SOURCE_DIR
"""
import collections, pathlib, re, sys

# Of the program and of the plugin, lowest first, as in docs/ARCHITECTURE.md.
ROOMS = {
    "src": """
        base base/text base/process base/host base/http
        gguf
        engine/llama engine/device engine/load engine/layout engine/replay engine/predict engine/speculate engine/experts engine/score engine/vision engine/run engine/bench engine/make
        library
        hub/http hub/api hub/download hub/upload
        quality quality/search check/sandbox check eval tune
        serve/listen serve/http serve/bounds serve/wire serve/forms serve/prompt serve/worker serve/pool serve/metrics serve/api serve
        lab/campaign lab/plan lab/measure lab/http lab/run lab/compare lab/import
        report/template report/text report/figures report/conclusions report/charts report/values report/documents report/bundle
        publish
        cli/table cli cli/print cli/plan cli/tune cli/chat cli/serve cli/commands cli/lab
    """,
    "moe/src": "ggml os experts kernels/types kernels cpu device disk graph abi",
}
MOST_FILES = 22
FROM_THE_PLUGIN = ["experts/policy.h", "disk/residency.h"]  # moe/policy.cmake

source_dir = pathlib.Path(sys.argv[1])
problems = []
n_files = 0


def includes_of(tree):
    """What each file of a tree includes of it, by names from the tree's root; a name that is not there stays as it is."""
    files = {file.relative_to(tree).as_posix(): file for file in [*tree.rglob("*.h"), *tree.rglob("*.cpp")]}
    found = {}
    for name, file in sorted(files.items()):
        beside = [(f"{pathlib.PurePosixPath(name).parent}/{target}", target)
                  for target in re.findall(r'^#include "([^"]+)"', file.read_text(), re.M)]
        found[name] = [local if local in files else target for local, target in beside if local in files or "/" in target]
    return found


def circle_from(start, edges):
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


def check(root, rooms):
    global n_files
    includes = includes_of(source_dir / root)
    n_files += len(includes)
    room_of = lambda name: name.rsplit("/", 1)[0]
    for name, targets in includes.items():
        room = room_of(name)
        if room not in rooms:
            problems.append(f"{root}/{name}: its folder has no place in ROOMS")
            continue
        for target in targets:
            below = room_of(target)
            if target in FROM_THE_PLUGIN and root == "src":
                continue
            if target not in includes:
                problems.append(f"{root}/{name}: includes {target}, which is not there")
            elif below not in rooms or rooms.index(below) > rooms.index(room):
                problems.append(f"{root}/{name}: includes {target}, which stands above it")

    unit = lambda name: name.rsplit(".", 1)[0]  # a header and its source count as one
    edges = collections.defaultdict(set)
    for name, targets in includes.items():
        edges[unit(name)] |= {unit(t) for t in targets} - {unit(name)}
    for name in list(edges):
        circle = circle_from(name, edges)
        if circle and circle[0] == min(circle):
            problems.append(f"{root}/{name}: includes itself: {' -> '.join(circle)}")

    # Thin files, one per instruction set, crowd nobody.
    for room, n in collections.Counter(room_of(name) for name in includes if "/isa_" not in name).items():
        if n > MOST_FILES:
            problems.append(f"{root}/{room}: {n} files; {MOST_FILES} at most")


for root, rooms in ROOMS.items():
    check(root, rooms.split())
n_rooms = sum(len(rooms.split()) for rooms in ROOMS.values())
print("\n".join(problems) or f"{n_files} files in {n_rooms} rooms: all includes point down")
sys.exit(1 if problems else 0)
