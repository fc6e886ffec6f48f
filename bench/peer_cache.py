#!/usr/bin/env python3
"""Counts what two caches of experts in VRAM do with the same tokens: llama.cpp's own (--moe-cache-mib, from 0.6.0 on), and
libggml-moe's, both in the same unmodified llama.cpp 0.7.0, on Mesa's software GPU. Counts, no speeds.

A text goes through `llama-perplexity -ub 1`, one token at a time, so that both see the same routing whatever they round;
the perplexities must agree. Two models: tiny-moe, which was trained, and a synthetic one whose routers prefer some experts.

Needs root, and what `make test-newer` leaves: Debian sid's llama.cpp with the plugin built for it. Takes a few minutes.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from gguf_router import Routers
from gpu import SOURCE, VOCAB, small_shape

TEXT = SOURCE / "models/tiny-moe/eval.txt"
CONTEXT = 256  # tokens of a chunk
SHARES = [10, 25, 33, 50]  # of the experts, %
PLUGIN = "/build/bin/libggml-moe.so"
LINK = 22e9  # bytes/s, PCIe 4.0 x16: what the plugin takes for the price of an upload, instead of measuring llvmpipe's
MOST_DIFFERENCE = 1e-3  # of the perplexities: the GPU computes in half precision

RUN = """
root=$1 work=$2; shift 2
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root/source/files"
mount --bind "$work" "$root/source/files"
icd=$(cd "$root" && ls usr/share/vulkan/icd.d/lvp*.json | head -n 1)
exec chroot "$root" env HOME=/tmp VK_ICD_FILENAMES="/$icd" GGML_VK_VISIBLE_DEVICES=0 "$@"
"""


def fail(message):
    sys.exit(f"peer_cache: {message}")


def counts_of_theirs(log):
    """hits, misses, MiB: of single tokens; larger batches have a line of their own."""
    found = re.findall(r"llama_moe_cache: .*hits = (\d+), misses = (\d+),.* uploaded = ([\d.]+) MiB", log)
    if not found:
        raise ValueError("llama.cpp counted nothing")
    hits, misses, mib = (sum(map(float, column)) for column in zip(*found))
    return int(hits), int(hits + misses), mib


def slots_of_theirs(log, expert_bytes):
    found = re.findall(r"MoE cache size = +([\d.]+) MiB", log)
    if not found:
        raise ValueError("llama.cpp opened no cache")
    return round(float(found[-1]) * 2**20 / expert_bytes)


def device_of(log):
    """Name and description of the GPU, as the plugin names it among its measured rates."""
    found = re.search(r"\| +- (\w+) \((.*)\) +\| *\d", log)
    if not found:
        raise ValueError("llama.cpp used no GPU")
    return f"{found[1]} {found[2]}"


def counts_of_ours(log):
    found = re.findall(r"experts in VRAM: (\d+) of (\d+) look-ups were hits, (\d+) uploads", log)
    if not found:
        raise ValueError("the plugin opened no cache")
    return tuple(map(int, found[-1]))  # hits, look-ups, uploads


def perplexity_of(log):
    found = re.search(r"Final estimate: PPL = ([\d.]+)", log)
    if not found:
        raise ValueError("llama-perplexity did not finish: " + log.strip()[-400:])
    return float(found[1])


def row_of(model, n_experts, expert_bytes, theirs, ours):
    """A line of the table from both logs; uploads are without the first fill of the slots."""
    slots = slots_of_theirs(theirs, expert_bytes)
    hits, lookups, mib = counts_of_theirs(theirs)
    own_hits, own_lookups, own_uploads = counts_of_ours(ours)
    uploads = round(mib * 2**20 / expert_bytes)
    difference = abs(perplexity_of(ours) / perplexity_of(theirs) - 1)
    if difference > MOST_DIFFERENCE:
        raise ValueError(f"{model}: the perplexities differ by {difference:.1%}")
    return {"model": model, "slots": slots, "experts": n_experts, "lookups": lookups, "hits": hits, "uploads": uploads,
            "uploads_after_fill": max(0, uploads - slots), "own_lookups": own_lookups, "own_hits": own_hits,
            "own_uploads": own_uploads, "own_uploads_after_fill": max(0, own_uploads - slots)}


def markdown(rows):
    lines = ["| model | experts in VRAM | llama.cpp 0.7.0: hits | uploads | libggml-moe: hits | uploads | of its uploads |",
             "|---|---|---|---|---|---|---|"]
    for row in rows:
        part = f"{row['own_uploads_after_fill'] / row['uploads_after_fill']:.2f}" if row["uploads_after_fill"] else "-"
        lines.append(f"| {row['model']} | {row['slots']} of {row['experts']} | {100 * row['hits'] / row['lookups']:.1f}% | "
                     f"{row['uploads_after_fill']} | {100 * row['own_hits'] / row['own_lookups']:.1f}% | "
                     f"{row['own_uploads_after_fill']} | {part} |")
    return "\n".join(lines)


class Bench:
    def __init__(self, args):
        self.args, self.root, self.work = args, Path(args.root).resolve(), Path(args.work).resolve()
        if not (self.root / "usr/bin/llama-perplexity").exists() or not (self.root / PLUGIN[1:]).exists():
            fail(f"{self.root} has no llama-perplexity or no plugin: run make test-newer first")
        self.work.mkdir(parents=True, exist_ok=True)

    def models(self):
        """(name, file) of those in the work folder."""
        tiny = self.work / VOCAB.name
        shutil.copy(VOCAB, tiny)
        shape, made = self.work / "small.toml", self.work / "skewed.gguf"
        shape.write_text(small_shape((SOURCE / "shapes/deepseek-moe-16b.toml").read_text()))
        subprocess.run([f"{self.args.bin}/shimmy", "synth", "--shape", shape, "--quant", "Q8_0", "--out", made], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        Routers(made).write("skewed")
        return [("tiny-moe, F16", tiny), ("64 experts, top 6, skewed routers, Q8_0", made)]

    def experts(self, model):
        """How many experts all layers have, and the bytes of one."""
        info = json.loads(subprocess.run([f"{self.args.bin}/shimmy", "--json", "inspect", model], check=True,
                                         capture_output=True, text=True).stdout)
        layers = [layer for layer in info["expert_bytes_per_layer"] if layer > 0]
        return len(layers) * info["n_expert"], info["expert_bytes"] // (len(layers) * info["n_expert"])

    def run(self, model, environment, options):
        command = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", RUN, "run", str(self.root), str(self.work),
                   *environment, "llama-perplexity", "-m", f"/source/files/{model.name}", "-f", "/source/files/text.txt",
                   "--cpu-moe", "--flash-attn", "off", "-t", "1", "-c", str(CONTEXT), "-b", str(CONTEXT), "-ub", "1",
                   "--chunks", str(max(1, self.args.tokens // CONTEXT)), "-v", *options]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        log = done.stdout + done.stderr
        (self.work / "last.log").write_text(log)
        if done.returncode != 0:
            raise ValueError(f"llama-perplexity ended with {done.returncode}: {log.strip()[-400:]}")
        return log

    def set_link(self, device):
        rates = self.work / "cache/ggml-moe/rates"
        rates.parent.mkdir(parents=True, exist_ok=True)
        rates.write_text(f"bytes to {device}\t{LINK}\n")

    def measure(self):
        shutil.copy(TEXT, self.work / "text.txt")
        rows = []
        for name, model in self.models():
            if not re.search(self.args.only, name):
                continue
            n_experts, expert_bytes = self.experts(model)
            for mib in sorted({max(1, round(share / 100 * n_experts * expert_bytes / 2**20)) for share in self.args.shares}):
                theirs = self.run(model, [], ["--moe-cache-mib", str(mib)])
                self.set_link(device_of(theirs))
                ours = self.run(model, ["XDG_CACHE_HOME=/source/files/cache", f"GGML_BACKEND_PATH={PLUGIN}",
                                        f"GGML_MOE_CACHE={slots_of_theirs(theirs, expert_bytes) * expert_bytes}"], [])
                rows.append(row_of(name, n_experts, expert_bytes, theirs, ours))
                print(markdown(rows).splitlines()[-1], file=sys.stderr, flush=True)
        return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=SOURCE / "build/newer/root", help="what make test-newer has made")
    parser.add_argument("--bin", default=SOURCE / "build/release/bin", help="folder of shimmy")
    parser.add_argument("--work", default=SOURCE / "build/peer-cache", help="folder for models and text")
    parser.add_argument("--tokens", type=int, default=512, help="tokens of the text (default: 512)")
    parser.add_argument("--shares", type=int, nargs="+", default=SHARES, help="of the experts in VRAM, %% (default: 10 25 33 50)")
    parser.add_argument("--only", default="", help="regular expression: only these models")
    parser.add_argument("--json", help="file for the counts")
    args = parser.parse_args()
    try:
        rows = Bench(args).measure()
    except ValueError as error:
        fail(error)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
