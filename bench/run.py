#!/usr/bin/env python3
"""Measures stock llama.cpp against the same llama.cpp with libggml-moe, and writes what it saw.

Every pair runs stock first and the plugin right after, in fresh processes of one llama-bench, on the same file with a warm
page cache; pairs follow each other, so that a slow drift of the machine touches both alike. Files are synthetic (the real
widths, few layers, random weights), made one after another and deleted again.
Files that the results hold already are left out.

Writes RESULTS/MACHINE.csv (one line per figure and pair, as measured), .md (the table) and .svg (the plot, drawn by shimmy). The last two
are made from the first alone: `--report-only` makes them again.
"""

import argparse
import csv
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

# shape, layers, quantization: each fits in the page cache of a machine with 16 GB
FILES = [
    ("phi-3.5-moe", 4, "Q2_K"),
    ("phi-3.5-moe", 4, "Q4_K_M"),
    ("phi-3.5-moe", 4, "Q8_0"),
    ("deepseek-moe-16b", 8, "Q2_K"),
    ("deepseek-moe-16b", 8, "Q4_K_M"),
    ("deepseek-moe-16b", 8, "Q8_0"),
    ("deepseek-moe-16b", 8, "F16"),
    ("gpt-oss-20b", 8, "MXFP4"),
    ("qwen3-30b-a3b", 8, "Q4_K_M"),
    ("qwen3-30b-a3b", 8, "IQ1_M"),
    ("qwen3-30b-a3b", 8, "IQ2_M"),
    ("qwen3-30b-a3b", 8, "IQ3_XXS"),
    ("phi-3.5-moe", 4, "IQ2_M"),
    ("phi-3.5-moe", 4, "IQ3_S"),
]
TESTS = ["pp1", "pp8", "pp16", "pp128", "pp512", "pp2048", "tg"]
N_GENERATED = 64
N_SHORT, SHORT_REPEATS = 16, 10  # prompts of up to 16 tokens take a tenth of a second: the mean of ten
LONG = "pp2048"  # takes most of the time: measured in the first --long-pairs pairs only
FIELDS = ["file", "engine", "test", "pair", "value"]


def fail(message):
    sys.exit(f"bench: {message}")


def run(command, env=None):
    """Standard output of a command that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=env)
    if done.returncode != 0:
        fail(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


class Bench:
    def __init__(self, args):
        self.args = args
        self.rows = []

    def tool(self, name):
        path = Path(self.args.bin) / name
        if not path.exists():
            fail(f"{path} is missing: run make bench, which builds it")
        return path

    def limits(self):
        return json.loads(run([self.tool("machine-limits"), self.args.threads]))

    def llama_bench(self, engine, model, prompts, n_generated, repeats):
        """{test: tokens/s} of one process, means of `repeats` runs."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("GGML_")}
        folder = self.args.stock_bin if engine == "stock" and self.args.stock_bin else self.args.bin
        if engine == "moe":
            env["GGML_BACKEND_PATH"] = str(self.tool("libggml-moe.so").resolve())
            if self.args.isa:
                env["GGML_MOE_ISA"] = self.args.isa
        out = run([Path(folder) / "llama-bench", "-m", model, "-dev", "none", "-ngl", 0, "-t", self.args.threads, "-r", repeats,
                   "-p", ",".join(str(n) for n in prompts), "-n", n_generated, "-o", "jsonl"], env)
        rates = {}
        for line in out.splitlines():
            one = json.loads(line)
            rates["tg" if one["n_prompt"] == 0 else f"pp{one['n_prompt']}"] = one["avg_ts"]
        return rates

    def rates(self, engine, model, prompts):
        """{test: tokens/s} of these prompts and of decode."""
        return (self.llama_bench(engine, model, [n for n in prompts if n <= N_SHORT], 0, SHORT_REPEATS) |
                self.llama_bench(engine, model, [n for n in prompts if n > N_SHORT], N_GENERATED, 1))

    def add(self, file, engine, test, pair, value):
        self.rows.append(dict(zip(FIELDS, (file, engine, test, pair, f"{value:.6g}"))))

    def measure_file(self, shape, layers, quant):
        name = title(shape, layers, quant)
        model = Path(self.args.models) / f"{shape}-{layers}-{quant}.gguf"
        if not model.exists():
            run([self.tool("shimmy"), "synth", "--shape", shape, "--layers", layers, "--quant", quant, "--out", model])
        if model.stat().st_size + (1 << 30) > free_ram():
            fail(f"{model} does not fit in the free memory: figures would be those of the disk")
        info = json.loads(run([self.tool("shimmy"), "inspect", "--json", model]))
        # Weights only; the output layer computes one token of a prompt.
        output = info["n_vocab"] * info["n_embd"]
        self.add(name, "file", "bytes_per_token", 0, info["bytes_per_token"])
        self.add(name, "file", "macs_per_prompt_token", 0, info["n_active_params"] - 2 * output)

        for pair in range(1, self.args.pairs + 1):
            warm(model)
            limits = self.limits()
            self.add(name, "machine", "read_gbps", pair, limits["read_gbps"])
            self.add(name, "machine", "int8_gmacs", pair, limits["int8_gmacs"])
            prompts = [int(t[2:]) for t in TESTS if t != "tg" and (t != LONG or pair <= self.args.long_pairs)]
            line = []
            for engine in ("stock", "moe"):
                for test, rate in self.rates(engine, model, prompts).items():
                    self.add(name, engine, test, pair, rate)
                    line.append(f"{engine} {test} {rate:.1f}")
            print(f"{name}, pair {pair}: {', '.join(line)}", file=sys.stderr, flush=True)
        if not self.args.keep:
            model.unlink()


def title(shape, layers, quant):
    return f"{shape}, {layers} layers, {quant}"


def free_ram():
    text = Path("/proc/meminfo").read_text()
    return int(re.search(r"MemAvailable:\s+(\d+)", text).group(1)) * 1024


def warm(path):
    with open(path, "rb", buffering=0) as f:
        while f.read(1 << 24):
            pass


def cpu_name():
    match = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return match.group(1) if match else "unknown processor"


# ---- from the CSV to the table and the plot ----


class Results:
    """Figures by file, engine and test, one per pair."""

    def __init__(self, path):
        self.comments, self.values = [], {}
        with open(path, newline="") as f:
            lines = f.read().splitlines()
        self.comments = [line[2:] for line in lines if line.startswith("# ")]
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            key = (row["file"], row["engine"], row["test"])
            self.values.setdefault(key, {})[int(row["pair"])] = float(row["value"])
        self.files = list(dict.fromkeys(file for file, _, _ in self.values))

    def get(self, file, engine, test):
        return self.values.get((file, engine, test), {})

    def ratios(self, file, test):
        """Plugin to stock, pair by pair."""
        stock, moe = self.get(file, "stock", test), self.get(file, "moe", test)
        return [moe[pair] / stock[pair] for pair in sorted(stock) if pair in moe]

    def share_of_bandwidth(self, file, engine):
        per_token = self.get(file, "file", "bytes_per_token")[0]
        read = self.get(file, "machine", "read_gbps")
        return [100 * tps * per_token / 1e9 / read[pair] for pair, tps in self.get(file, engine, "tg").items()]

    def share_of_peak(self, file, engine, test):
        per_token = self.get(file, "file", "macs_per_prompt_token")[0]
        peak = self.get(file, "machine", "int8_gmacs")
        return [100 * tps * per_token / 1e9 / peak[pair] for pair, tps in self.get(file, engine, test).items()]


def median_and_range(values, digits):
    if not values:
        return "-"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def markdown(results):
    out = [f"{comment}  " for comment in results.comments]
    out += ["", "Tokens per second, median (range) of the pairs; ratio: median of the pairs' ratios.", ""]
    out += ["| file | | " + " | ".join(TESTS) + " |", "|---|---|" + "---:|" * len(TESTS)]
    for file in results.files:
        for i, engine in enumerate(("stock", "moe")):
            cells = [median_and_range(list(results.get(file, engine, test).values()), 1) for test in TESTS]
            out.append(f"| {file if i == 0 else ''} | {engine} | " + " | ".join(cells) + " |")
        medians = [statistics.median(r) if (r := results.ratios(file, test)) else None for test in TESTS]
        out.append("| | ratio | " + " | ".join("-" if m is None else f"**{m:.2f}**" for m in medians) + " |")
    summaries = {"geometric mean": statistics.geometric_mean, "worst": min}
    for label, summary in summaries.items():
        cells = []
        for test in TESTS:
            medians = [statistics.median(r) for file in results.files if (r := results.ratios(file, test))]
            cells.append(f"**{summary(medians):.2f}**" if medians else "-")
        out.append(f"| {label} | ratio | " + " | ".join(cells) + " |")
    out += ["", "Share of what the machine could do in the same minute: decode as the weights read per token times the rate "
            "over the measured read bandwidth; prefill as the weights' multiply-accumulates (attention not counted) over the "
            "int8 peak of the vector units.", "",
            "| file | decode, % of read bandwidth: stock | moe | prefill 512, % of int8 peak: stock | moe |",
            "|---|---:|---:|---:|---:|"]
    for file in results.files:
        cells = [median_and_range(results.share_of_bandwidth(file, engine), 0) for engine in ("stock", "moe")]
        cells += [median_and_range(results.share_of_peak(file, engine, "pp512"), 0) for engine in ("stock", "moe")]
        out.append(f"| {file} | " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


COLOURS = ["#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b", "#e6550d"]  # prompts darker by length, decode


def plot(results, shimmy, path):
    """Bars: the plugin's rate over stock's, a group per file, with the range of the pairs. Drawn as the documents' charts are."""
    def points(test):
        ratios = [(i, results.ratios(file, test)) for i, file in enumerate(results.files)]
        return [{"x": i, "y": statistics.median(r), "low": min(r), "high": max(r)} for i, r in ratios if r]
    chart = {"name": "rates", "x": {"scale": "categories", "categories": [file.replace(", ", "\n") for file in results.files]},
             "y": {"title": "rate, times stock"}, "reference": 1, "wide": True,
             "series": [{"title": test, "form": "bars", "color": colour, "points": found}
                        for test, colour in zip(TESTS, COLOURS) if (found := points(test))]}
    path.write_text(subprocess.run([shimmy, "__chart"], input=json.dumps(chart), stdout=subprocess.PIPE, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin", help="folder of shimmy, llama-bench and libggml-moe.so")
    parser.add_argument("--stock-bin", help="another build's llama-bench for stock (one without AVX-512, say)")
    parser.add_argument("--isa", help="GGML_MOE_ISA of the plugin")
    parser.add_argument("--models", default="build/bench", help="folder for the files")
    parser.add_argument("--keep", action="store_true", help="keep the files")
    parser.add_argument("--only", default="", help="regular expression: only these files (shape-layers-quant)")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--long-pairs", type=int, default=5, help=f"pairs in which {LONG} is measured")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--results", default="bench/results")
    parser.add_argument("--machine", help="name of the result files (default: from the processor)")
    parser.add_argument("--again", action="store_true", help="measure again what the results hold already")
    parser.add_argument("--report-only", action="store_true", help="make the table and the plot again")
    args = parser.parse_args()
    if shutil.which("gnuplot") is None:
        fail("gnuplot is missing: apt-get install gnuplot-nox")
    machine = args.machine or re.sub(r"[^a-z0-9]+", "-", f"{cpu_name()} {args.threads} threads".lower()).strip("-")
    base = Path(args.results) / machine
    base.parent.mkdir(parents=True, exist_ok=True)
    Path(args.models).mkdir(parents=True, exist_ok=True)

    if not args.report_only:
        bench = Bench(args)
        version = run([bench.tool("shimmy"), "--version"]).splitlines()[0]
        table = base.with_suffix(".csv")
        if args.again or not table.exists():
            table.write_text(
                f"# {cpu_name()}, {args.threads} threads. {version}. Plugin: {args.isa or 'its own choice of'} kernels.\n"
                f"# Synthetic files, batch 512, {N_GENERATED} tokens generated, prompts of up to {N_SHORT} tokens the mean of "
                f"{SHORT_REPEATS}; {args.pairs} pairs, {LONG} in "
                f"{min(args.long_pairs, args.pairs)} of them.\n{','.join(FIELDS)}\n")
        done = Results(table).files
        for file in FILES:
            if title(*file) in done or not re.search(args.only, "-".join(map(str, file))):
                continue
            bench.measure_file(*file)
            with open(table, "a", newline="") as f:  # whole files only, so that an interrupted run goes on where it was
                csv.DictWriter(f, FIELDS).writerows(bench.rows)
            bench.rows.clear()
    results = Results(base.with_suffix(".csv"))
    base.with_suffix(".md").write_text(markdown(results))
    plot(results, Path(args.bin) / "shimmy", base.with_suffix(".svg"))
    print(markdown(results))
    print(f"bench: wrote {base}.csv, .md and .svg", file=sys.stderr)


if __name__ == "__main__":
    main()
