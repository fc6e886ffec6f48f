#!/usr/bin/env python3
"""shimmy tune against every combination of the same settings, on an idle machine.

    bench/tune.py [--bin build/release/bin] [--shapes gpt-oss-20b:4 qwen3-30b-a3b:4] [--quant Q4_K_M] [--for chat] [--minutes 5]
                  [--models FILE…] [--out bench/results] [-- OPTION…]

For each shape (NAME:LAYERS, made by shimmy synth) or file: lets `tune` find its settings, then measures each point of the grid of all
values that it tried once, in a random order and with tune's own command line. Speculation is not in the grid: what it is worth depends on the
text, and shimmy bench measures without it. The defaults, tune's pick and the five best points of the grid are then measured in turns, since the
best of many single measurements is partly luck. Prints and writes how far tune's pick is from the best, and how many measurements each took.
Options behind -- go to every measurement, as to tune.
"""
import argparse
import csv
import itertools
import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

N_FINALISTS = 5
N_ROUNDS = 5


def run_json(argv):
    """The document of a command, or None with the reason where it failed."""
    done = subprocess.run(argv, capture_output=True, text=True)
    try:
        document = json.loads(done.stdout)
    except json.JSONDecodeError:
        return None, done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    if done.returncode != 0 or "error" in document:
        return None, [document.get("error", {}).get("message", f"exit code {done.returncode}")]
    return document, []


def request_ms(test, goal, measured):
    """Time of a request of the goal, as tune computes it: the faster repetition, scaled."""
    return (min(test["prompt_ms"]) * goal["n_prompt"] / measured["n_prompt"]
            + min(test["gen_ms"]) * goal["n_answer"] / measured["n_gen"])


def grid_of(settings):
    """Every combination, as (names of values, options)."""
    for values in itertools.product(*[setting["values"] for setting in settings]):
        yield tuple(value["value"] for value in values), [word for value in values for word in value["options"]]


def compare(name, model, shimmy, options):
    start = time.monotonic()
    tuned, reason = run_json([shimmy, "tune", str(model), "--for", options.goal, "--minutes", str(options.minutes), "--dry-run", "--json",
                              *options.given])
    if tuned is None:
        sys.exit(f"{name}: tune failed: {reason[0]}")
    tune_s = time.monotonic() - start
    # Speculation depends on the text that is written: tune measures it with answers, of which shimmy bench knows nothing.
    settings = [setting for setting in tuned["settings"] if setting["setting"] != "speculation"]
    if not settings:
        sys.exit(f"{name}: tune found nothing to choose but speculation, which has no grid")

    def measure(words):
        """ms of a request; None where these options cannot run, which is said."""
        command = tuned["command"]
        at = command.index("--") if "--" in command else len(command)
        document, reason = run_json(command[:at] + words + command[at:])
        if document:
            return request_ms(document["tests"][0], tuned["goal"], tuned["measured"])
        print(f"\n{name}: {' '.join(words) or 'the defaults'}: cannot be measured: {reason[0]}", file=sys.stderr)
        return None

    grid = list(grid_of(settings))
    order = grid[:]
    random.Random(1).shuffle(order)
    start = time.monotonic()
    costs = {}
    for i, (values, words) in enumerate(order):
        costs[values] = measure(words)
        print(f"\r{name}: {i + 1} of {len(order)} points", end="", file=sys.stderr)
    print(file=sys.stderr)
    grid_s = time.monotonic() - start
    words_of = dict(grid)
    pick = tuple(setting["kept"] for setting in settings)
    default = tuple(setting["values"][0]["value"] for setting in settings)
    ran = sorted((values for values in costs if costs[values] is not None), key=costs.get)
    finalists = list(dict.fromkeys([default, pick, *ran[:N_FINALISTS]]))
    again = {values: [] for values in finalists}
    for i in range(N_ROUNDS):
        for values in finalists if i % 2 == 0 else reversed(finalists):
            again[values].append(measure(words_of[values]))
    medians = {values: statistics.median(times) for values, times in again.items() if None not in times}
    for what, values in (("the defaults", default), ("tune's pick", pick)):
        if values not in medians:
            sys.exit(f"{name}: {what} ({' '.join(words_of[values]) or 'no options'}) could not be measured, so there is nothing to compare")
    best = min(medians, key=medians.get)
    return {"model": name, "goal": options.goal, "cpu": tuned["host"]["cpu"], "n_cores": tuned["host"]["n_cores"],
            "device": tuned["device"]["name"], "n_grid": len(grid), "n_tune": tuned["n_measured"], "grid_s": round(grid_s), "tune_s": round(tune_s),
            "default_ms": round(medians[default], 1), "pick_ms": round(medians[pick], 1), "best_ms": round(medians[best], 1),
            "pick_over_best": round(medians[pick] / medians[best], 4), "default_over_best": round(medians[default] / medians[best], 4),
            "pick_spread": round((max(again[pick]) - min(again[pick])) / medians[pick], 4), "noise": tuned["noise"],
            "pick": " ".join(words_of[pick]) or "defaults", "best": " ".join(words_of[best]) or "defaults"}


def print_table(rows):
    print("| model | measurements: tune, grid | time: tune, grid | defaults | tune's pick | best of the grid | pick / best | spread of the pick |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['model']} | {row['n_tune']}, {row['n_grid']} | {row['tune_s']} s, {row['grid_s']} s | {row['default_ms']:.0f} ms "
              f"| {row['pick_ms']:.0f} ms: {row['pick']} | {row['best_ms']:.0f} ms: {row['best']} | {row['pick_over_best']:.3f} "
              f"| {100 * row['pick_spread']:.1f}% |")


def main():
    argv = sys.argv[1:]
    given = argv[argv.index("--") + 1:] if "--" in argv else []
    argv = argv[:argv.index("--")] if "--" in argv else argv
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--shapes", nargs="*", default=["gpt-oss-20b:4", "qwen3-30b-a3b:4"])
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--quant", default="Q4_K_M", help="of the shapes that have none of their own")
    parser.add_argument("--for", dest="goal", default="chat")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--out", default="bench/results")
    options = parser.parse_args(argv)
    options.given = given
    shimmy = str(pathlib.Path(options.bin).resolve() / "shimmy")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for shape in options.shapes:
            name, _, layers = shape.partition(":")
            model = pathlib.Path(folder) / f"{name}.gguf"
            quant = [] if name.startswith("gpt-oss") else ["--quant", options.quant]  # its experts are quantized already
            subprocess.run([shimmy, "synth", "--shape", name, *(["--layers", layers] if layers else []), *quant, "--out", str(model)],
                           check=True, stdout=subprocess.DEVNULL)
            rows.append(compare(shape, model, shimmy, options))
            model.unlink()
    for model in options.models:
        rows.append(compare(pathlib.Path(model).stem, model, shimmy, options))
    print_table(rows)
    if rows:
        cpu = re.sub(r"[^a-z0-9]+", "-", rows[0]["cpu"].lower()).strip("-")
        file = pathlib.Path(options.out) / f"tune-{cpu}-{rows[0]['n_cores']}.csv"
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        print(f"written to {file}")


if __name__ == "__main__":
    main()
