#!/usr/bin/env python3
"""Measures a model that is larger than RAM: stock llama.cpp, which maps the file, against libggml-moe, which reads the experts
that a layer needs itself.

The file is synthetic (the shape of Qwen3-30B-A3B, random weights). A control group leaves RAM for a share of its experts, another
limits the disk. Every run is a fresh `shimmy generate` whose file is not in the page cache; ways follow each other (stock, plugin,
stock, …). Two routings: "even", where each token chooses other experts (the embedding is scaled, so that a token's own row outweighs
what all tokens share), and "skewed", where routers prefer some experts, too (gguf_router.py). Tokens are drawn evenly.

    prefill  a prompt of 512 tokens right after loading, and once more
    decode   64 tokens of the plugin; 16 before them fill the RAM and do not count. 10 of stock, which has read the whole file while
             loading, and would take minutes

Beside it stand what the disk gives (direct reads of 1 MiB, eight at a time, within the same limits), what a token takes with all
experts in RAM, and what `shimmy plan` predicts. Writes RESULTS/larger-than-ram.json; a file that is there gets more rounds. Needs
Linux, root, and control groups, version 1 or 2 (only the former has been run).
"""

import argparse
import array
import json
import mmap
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from gguf_router import Header, Routers

SOURCE = Path(__file__).resolve().parent.parent
SHAPE, QUANT = "qwen3-30b-a3b", "Q8_0"
BLOCK_WORDS = 17  # of a block of Q8_0: its scale and 32 bytes
SCALED = 10 << 10  # a scale in half precision times 2^10
PREFILL, CONTEXT = 512, 1024
DECODE = {"stock": ["-n", 10], "plugin": ["-n", 64, "--cold-run"]}
WAYS = {"stock": ["--moe-backend", "off", "--load-mode", "mmap"], "plugin": ["--moe-backend", "on", "--load-mode", "auto"]}
IN_RAM = ["--moe-backend", "on", "--load-mode", "mmap"]
EVENLY = ["--temperature", "100", "--top-k", "0", "--top-p", "1", "--min-p", "0"]
MIB = 1 << 20


def fail(message):
    sys.exit(f"larger_than_ram: {message}")


def say(message):
    print(f"larger_than_ram: {message}", file=sys.stderr, flush=True)


class Group:
    """A control group with so much RAM and so many bytes/s of the disk that holds `file`."""

    def __init__(self, ram_bytes, disk_rate, file):
        device = os.stat(file).st_dev
        disk = f"{os.major(device)}:{os.minor(device)}"
        root = Path("/sys/fs/cgroup")
        if (root / "memory").is_dir():
            self.folders = [root / "memory/larger-than-ram", root / "blkio/larger-than-ram"]
            limits = [("memory.limit_in_bytes", str(ram_bytes)), ("blkio.throttle.read_bps_device", f"{disk} {disk_rate}")]
        else:
            (root / "cgroup.subtree_control").write_text("+memory +io")
            self.folders = [root / "larger-than-ram"] * 2
            limits = [("memory.max", str(ram_bytes)), ("io.max", f"{disk} rbps={disk_rate}")]
        for folder, (name, value) in zip(self.folders, limits):
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(value)

    def enter(self):
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def close(self):
        for folder in set(self.folders):
            folder.rmdir()


def forget(file):
    """Its page cache."""
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_rate(file, seconds=2):
    """Bytes/s of direct reads of 1 MiB at random places, eight at a time."""
    fd = os.open(file, os.O_RDONLY | os.O_DIRECT)
    places = list(range(os.fstat(fd).st_size // MIB))
    random.shuffle(places)
    done, until = [0] * 8, time.monotonic() + seconds

    def read(slot):
        memory = mmap.mmap(-1, MIB)
        while time.monotonic() < until and places:
            done[slot] += os.preadv(fd, [memory], places.pop() * MIB)

    start = time.monotonic()
    threads = [threading.Thread(target=read, args=(slot,)) for slot in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(fd)
    return sum(done) / (time.monotonic() - start)


def scale_embedding(file):
    """What a layer gets is then mostly the token's own row, so that its experts depend on the token."""
    dims, _, offset = Header(file).tensors["token_embd.weight"]
    left = dims[0] * dims[1] // 32 * BLOCK_WORDS
    with open(file, "r+b") as opened:
        while left > 0:
            n = min(left, BLOCK_WORDS << 16)
            opened.seek(offset)
            words = array.array("H", opened.read(2 * n))
            words[::BLOCK_WORDS] = array.array("H", [word + SCALED if word & 0x7C00 else word for word in words[::BLOCK_WORDS]])
            opened.seek(offset)
            opened.write(words.tobytes())
            offset, left = offset + 2 * n, left - n


class Bench:
    def __init__(self, args):
        self.shimmy, self.file = Path(args.bin) / "shimmy", Path(args.work) / f"{SHAPE}-{args.layers}.gguf"
        if not self.file.exists():
            self.call("synth", "--shape", SHAPE, "--layers", args.layers, "--quant", QUANT, "--out", self.file)
            scale_embedding(self.file)
        self.routers = Routers(self.file)
        self.info = json.loads(self.call("inspect", self.file, "--json"))

    def call(self, *args, enter=None):
        done = subprocess.run([self.shimmy, *map(str, args)], capture_output=True, text=True, preexec_fn=enter)
        if done.returncode != 0:
            fail(f"shimmy {args[0]}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def generate(self, options, enter=None):
        return json.loads(self.call("generate", self.file, "--prompt", "The", "--raw", "--device", "cpu", "--ctx", CONTEXT,
                                    "--no-warmup", "--no-profile", "--json", *EVENLY, *options, enter=enter))

    def run(self, routing, way, group):
        forget(self.file)
        prefill = self.generate(["-n", 1, "--prompt-tokens", PREFILL, "--cold-run", *WAYS[way]], group.enter)
        forget(self.file)
        decode = self.generate([*DECODE[way], *WAYS[way]], group.enter)
        times, disk = decode["token_ms"], decode["expert_disk"]
        run = {"routing": routing, "way": way, "first_prefill_tps": prefill["cold"]["prefill_tps"],
               "prefill_tps": prefill["prefill_tps"], "decode_tps": decode["decode_tps"],
               "token_ms": [round(b - a, 3) for a, b in zip(times, times[1:])]}
        if way == "plugin":
            tokens = decode["n_prompt_tokens"] + decode["n_output_tokens"] - 1
            run |= {"hit_rate": disk["hits"] / disk["lookups"], "bytes_per_token": disk["read_bytes"] / tokens,
                    "expert_ram_bytes": disk["ram_bytes"]}
        return run

    def in_ram(self, routing, trace):
        """Everything is in the page cache after the first of two answers."""
        decode = self.generate([*DECODE["plugin"], "--expert-trace", trace, *IN_RAM])
        return {"routing": routing, "way": "in RAM", "decode_tps": decode["decode_tps"]}

    def predict(self, args, trace):
        common = ["plan", self.file, "--ctx", CONTEXT, "--ram", args.ram, "--disk", f"{args.disk / 1e9}GB/s", "--json"]
        return json.loads(self.call(*common))["disk"], json.loads(self.call(*common, "--trace", trace)).get("disk")


def measure(args, results):
    bench = Bench(args)
    results.setdefault("settings", {"shape": SHAPE, "quant": QUANT, "layers": args.layers, "ram_bytes": args.ram, "disk_limit": args.disk,
                                    "file_bytes": bench.info["size_bytes"], "expert_bytes": bench.info["expert_bytes"]})
    for routing in args.routing.split(","):
        bench.routers.write(routing)
        with tempfile.TemporaryDirectory(dir=args.work) as folder:
            trace = Path(folder) / "trace.csv"
            results["runs"].append(bench.in_ram(routing, trace))
            plan, traced = bench.predict(args, trace)
        group = Group(args.ram, args.disk, bench.file)
        try:
            forget(bench.file)
            rate = json.loads(subprocess.run([sys.executable, __file__, "--disk-rate", bench.file], preexec_fn=group.enter, check=True,
                                             capture_output=True, text=True).stdout)
            results["runs"][-1] |= {"disk_rate": rate, "plan": plan, "plan_of_trace": traced}
            for way in WAYS:
                results["runs"].append(bench.run(routing, way, group))
                say(", ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                              for key, value in results["runs"][-1].items() if key != "token_ms"))
        finally:
            group.close()
            bench.routers.write("even")  # as the next one expects to find it


def median_of(runs, key):
    return statistics.median(run[key] for run in runs)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def summary(results, routing):
    """Medians of the rounds, and of all tokens."""
    runs = {way: [run for run in results["runs"] if run["routing"] == routing and run["way"] == way] for way in ("in RAM", *WAYS)}
    made = {"rounds": len(runs["plugin"]), "disk_rate": median_of(runs["in RAM"], "disk_rate"), "in_ram_tps": median_of(runs["in RAM"], "decode_tps"),
            "hit_rate": median_of(runs["plugin"], "hit_rate"), "bytes_per_token": median_of(runs["plugin"], "bytes_per_token")}
    for way in WAYS:
        tokens = [ms for run in runs[way] for ms in run["token_ms"]]
        made[way] = {key: median_of(runs[way], key) for key in ("first_prefill_tps", "prefill_tps", "decode_tps")}
        made[way] |= {"token_ms": [percentile(tokens, share) for share in (0.5, 0.9, 0.99)]}
    made["disk_ms"] = 1e3 * made["bytes_per_token"] / made["disk_rate"]
    made["ram_ms"] = 1e3 / made["in_ram_tps"]
    made["of_the_disk"] = made["disk_ms"] * made["plugin"]["decode_tps"] / 1e3
    made["of_the_slower"] = max(made["disk_ms"], made["ram_ms"]) * made["plugin"]["decode_tps"] / 1e3
    return made


def markdown(results):
    lines = ["| routing | way | first prompt, tokens/s | next prompt | decode | ms a token: 50%, 90%, 99% | hits | read a token | of the disk's rate |",
             "|---|---|---:|---:|---:|---:|---:|---:|---:|"]
    for routing in ("even", "skewed"):
        if not any(run["routing"] == routing and run["way"] == "plugin" for run in results["runs"]):
            continue
        made = summary(results, routing)
        for way in WAYS:
            rates = []
            for key in ("first_prefill_tps", "prefill_tps", "decode_tps"):
                ratio = f" ({made[way][key] / made['stock'][key]:.1f}×)" if way == "plugin" else ""
                rates.append(f"{made[way][key]:.3g}{ratio}")
            counted = (f"{100 * made['hit_rate']:.0f}% | {made['bytes_per_token'] / 1e6:.0f} MB | {100 * made['of_the_disk']:.0f}%"
                       if way == "plugin" else "| |")
            times = ", ".join(f"{ms:.0f}" for ms in made[way]["token_ms"])
            lines.append(f"| {routing} | {way} | {' | '.join(rates)} | {times} | {counted} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=SOURCE / "build/release/bin", help="folder of shimmy")
    parser.add_argument("--work", default=".", help="folder for the file, on the disk that is measured; it stays there")
    parser.add_argument("--layers", type=int, default=8, help="of the shape's 48; 8 make 5.6 GiB")
    parser.add_argument("--ram", type=int, default=int(3.67 * (1 << 30)), help="bytes of RAM: 3.67 GiB hold half of the experts of 8 layers")
    parser.add_argument("--disk", type=int, default=10**9, help="bytes/s that may be read")
    parser.add_argument("--routing", default="even,skewed")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--results", default=SOURCE / "bench/results")
    parser.add_argument("--table", action="store_true", help="print the table of what was measured, and end")
    parser.add_argument("--disk-rate", help=argparse.SUPPRESS)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is put back
    if args.disk_rate:
        return print(disk_rate(args.disk_rate))
    file = Path(args.results) / "larger-than-ram.json"
    results = json.loads(file.read_text()) if file.exists() else {"runs": []}
    if not args.table:
        for _ in range(args.rounds):
            measure(args, results)
            file.write_text(json.dumps(results, indent=1) + "\n")
    print(markdown(results))


if __name__ == "__main__":
    main()
