#!/usr/bin/env python3
"""Measures how fast a model decodes while other programs keep 0, 1, 2 … cores busy, with the waits that shimmy sets for the
threads that compute and with libgomp's own.

usage: beside.py MODEL.gguf [--bin build/release/bin] [--busy 0 1 2] [--rounds 3] [--tokens 24] [--wait NAME=LOOKS …]

The ways take turns. The other programs are endless loops in sessions of their own, as a desktop's programs are. Prints
tokens/s, median and range, as the rows of a table.
"""

import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
OWN = "300000"  # looks, libgomp's default where nothing is set


def rates(options, looks):
    """Tokens/s of each repetition. `looks`: before a thread sleeps; None: as shimmy sets it."""
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    if looks:
        environment["GOMP_SPINCOUNT"] = looks
    command = [options.bin / "shimmy", "bench", options.model, "--device", "cpu", "-p", "0", "-n", str(options.tokens), "-r", "2", "--json"]
    document = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    return document["tests"][0]["samples_tps"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2], help="other programs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--wait", nargs="+", default=[], metavar="NAME=LOOKS", help="further settings to try")
    options = parser.parse_args()
    ways = {"shimmy": None, "libgomp's own": OWN, **dict(w.split("=", 1) for w in options.wait)}
    with open(options.model, "rb") as file:  # into the page cache
        while file.read(1 << 24):
            pass

    print(f"| busy programs | {' | '.join(ways)} |\n|---|{'---|' * len(ways)}")
    for n_busy in options.busy:
        others = [subprocess.Popen(["sh", "-c", "while :; do :; done"], start_new_session=True) for _ in range(n_busy)]
        samples = collections.defaultdict(list)
        try:
            for _ in range(options.rounds):
                for name, looks in ways.items():
                    samples[name] += rates(options, looks)
        finally:
            for other in others:
                other.kill()
                other.wait()
        cells = [f"{statistics.median(v):.1f} ({min(v):.1f} to {max(v):.1f})" for v in samples.values()]
        print(f"| {n_busy} | {' | '.join(cells)} |", flush=True)


main()
