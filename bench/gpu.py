#!/usr/bin/env python3
"""Measures what VRAM for experts is worth on this machine's GPU: none (--cpu-moe, stock llama.cpp and libggml-moe), a cache
of hot experts (--moe-cache), whole layers (--n-cpu-moe) of as many bytes, and everything in VRAM.

Every run is a fresh `shimmy generate` with a warm page cache; ways follow each other (A B C A B C …), so that a slow drift
of the machine touches all alike. Files are synthetic (real widths, few layers, random weights), made one after another and
deleted again. Their routers are measured as made, and "skewed": with rows scaled, so that some experts are used more.

Takes --minutes at most: what matters least is left out, and named. Builds nothing. Writes RESULTS/NAME.json (every run),
.csv (one line per run) and .md (the tables). No GPU: `GGML_VK_VISIBLE_DEVICES=0 bench/gpu.py --device Vulkan0 --scale small`
tries the script on a software one.
"""

import argparse
import csv
import datetime
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from gguf_router import Routers

SOURCE = Path(__file__).resolve().parent.parent
TEXT = SOURCE / "models/tiny-moe/eval.txt"  # prompts are the first words of it
VOCAB = SOURCE / "models/tiny-moe/tiny-moe-f16.gguf"  # of the small scale

# shape, quantization, layers: 4 to 6 GiB each
MODELS = [("phi-3.5-moe", "Q4_K_M", 8), ("gpt-oss-20b", "MXFP4", 12), ("deepseek-moe-16b", "Q4_K_M", 14)]
SMALL = {  # what --scale small replaces in the shapes; llama.cpp expects Phi-3's vocabulary where the name says Phi-3
    "name": '"small"', "vocab": '"tiny-moe-f16.gguf"', "vocab_size": "2048", "block_count": "4", "context_length": "4096",
    "embedding_length": "256", "feed_forward_length": "512", "expert_feed_forward_length": "256",
    "attention.head_count": "4", "attention.head_count_kv": "2", "rope.dimension_count": "64",
}
SHARES = [25, 10, 50, 5]  # of the bytes of the experts, the most important first
PREFILL = [512, 2048, 32, 4096]
N_PREFILL_OUTPUT = 2
SOFTWARE = ("{gpu} is a software GPU: this checks the script, and measures nothing. Its speeds say nothing about a GPU, nor "
            "about which way is faster on one.")
CSV_FIELDS = ["model", "routing", "test", "way", "round", "prompt_tokens", "output_tokens", "prefill_tps", "decode_tps",
              "decode_all_tps", "load_ms", "vram_bytes", "cache_bytes", "cache_slots", "lookups", "hits", "uploads",
              "top_quarter_share"]


def fail(message):
    sys.exit(f"gpu: {message}")


def say(message):
    print(f"gpu: {message}", file=sys.stderr, flush=True)


# ---- what is measured ----


@dataclass(frozen=True)
class Way:
    name: str
    flags: tuple
    expert_share: float  # of the experts' bytes that are in VRAM, %


@dataclass(frozen=True)
class Cell:
    routing: str  # even, skewed
    test: str  # decode, or pp and a number of tokens
    way: Way


def layers_at_equal_vram(bytes_per_layer, cache_bytes):
    """N of --n-cpu-moe whose experts in VRAM (those of the layers from N on) come nearest to `cache_bytes`, and their bytes;
    of two equally near the larger ones. None if no layer at all comes nearest."""
    best, n_layers = None, len(bytes_per_layer)
    for n in range(n_layers, -1, -1):
        in_vram = sum(bytes_per_layer[n:])
        if best is None or abs(in_vram - cache_bytes) < abs(best[1] - cache_bytes) or (
                abs(in_vram - cache_bytes) == abs(best[1] - cache_bytes) and in_vram > best[1]):
            best = (n, in_vram)
    return best if best[1] > 0 else None


STOCK = Way("stock, --cpu-moe", ("--moe-backend", "off", "--cpu-moe"), 0.0)
PLUGIN = Way("plugin, --cpu-moe", ("--cpu-moe", "--moe-cache", "off"), 0.0)
BASELINE = Way("stock, all in VRAM", ("--moe-backend", "off", "--placement", "gpu"), 100.0)


def cache_way(share, expert_bytes):
    # In KiB: shimmy takes a small number without a unit for a mistake.
    return Way(f"cache of {share}%", ("--cpu-moe", "--moe-cache", f"{expert_bytes * share // 100 // 1024}KiB"), float(share))


def layers_way(bytes_per_layer, cache_bytes):
    found = layers_at_equal_vram(bytes_per_layer, cache_bytes)
    if found is None:
        return None
    n, in_vram = found
    return Way(f"--n-cpu-moe {n} of {len(bytes_per_layer)}", ("--n-cpu-moe", str(n), "--moe-cache", "off"),
               100.0 * in_vram / sum(bytes_per_layer))


def cells_of(bytes_per_layer, baseline_fits, prefill):
    """The most important first."""
    total = sum(bytes_per_layer)
    caches, pairs = {}, []
    for share in SHARES:
        caches[share] = cache_way(share, total)
        pairs += [caches[share], layers_way(bytes_per_layer, total * share // 100)]
    main = [way for way in (STOCK, PLUGIN, *pairs[:4], BASELINE if baseline_fits else None) if way]
    rest = [way for way in pairs[4:] if way]
    batch_ways = [STOCK, PLUGIN, caches[SHARES[0]]]
    cells = [Cell("skewed", "decode", way) for way in main]
    cells += [Cell("even", "decode", way) for way in main[:4]]
    cells += [Cell("even", f"pp{n}", way) for n in prefill[:2] for way in batch_ways]
    cells += [Cell("skewed", "decode", way) for way in rest]
    cells += [Cell("even", f"pp{n}", way) for n in prefill[2:] for way in batch_ways]
    cells += [Cell("even", "decode", way) for way in main[4:] + rest]
    if baseline_fits:
        cells += [Cell("even", f"pp{n}", BASELINE) for n in prefill]
    cells = list(dict.fromkeys(cells))  # two shares may give the same N
    return cells


def affordable(pending, cost, seconds):
    """Cells of `pending` that must be left out, the least important first, so that the runs of the others fit into `seconds`.
    `pending`: one rank per run that is still to be made, 0 the most important. `cost`: seconds of a run, by rank."""
    left_out = set()
    while sum(cost[rank] for rank in pending if rank not in left_out) > seconds:
        left_out.add(max(rank for rank in pending if rank not in left_out))
    return left_out


def decode_rates(token_ms):
    """Tokens/s of the second half of the tokens, and of all but the first, which is the prompt's."""
    if len(token_ms) < 4:
        return None, None
    half, last = len(token_ms) // 2, len(token_ms) - 1
    return (last - half) / (token_ms[last] - token_ms[half]) * 1000, last / (token_ms[last] - token_ms[0]) * 1000


def top_quarter_share(expert_use):
    """Of all uses, those of each layer's most used quarter of experts, %."""
    layers = {}
    for use in expert_use:
        layers.setdefault(use["layer"], []).append(use["hits"])
    total = sum(map(sum, layers.values()))
    top = sum(sum(sorted(hits, reverse=True)[:-(-len(hits) // 4)]) for hits in layers.values())
    return 100 * top / total if total else None


def csv_row(model, cell, round_, document):
    cache = document["expert_cache"] or {}
    decode, decode_all = decode_rates(document["token_ms"]) if cell.test == "decode" else (None, None)
    return dict(zip(CSV_FIELDS, (
        model, cell.routing, cell.test, cell.way.name, round_, document["n_prompt_tokens"], document["n_output_tokens"],
        document["prefill_tps"], decode, decode_all, document["load_ms"], document["memory"]["vram_bytes"],
        cache.get("bytes", 0), cache.get("slots", 0), cache.get("lookups", 0), cache.get("hits", 0), cache.get("uploads", 0),
        top_quarter_share(document.get("expert_use") or []))))


# ---- measuring ----


def free_ram():
    return int(re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024


def warm(path):
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def small_shape(text):
    """A shape file with tiny widths."""
    for key, value in SMALL.items():
        text = re.sub(rf"^{re.escape(key)} = .*$", f"{key} = {value}", text, flags=re.M)
    return re.sub(r"^(attention\.(?:key|value)_length) = .*$", r"\1 = 64", text, flags=re.M)


class Bench:
    def __init__(self, args):
        self.args, self.shimmy = args, Path(args.bin) / "shimmy"
        if not self.shimmy.exists():
            fail(f"{self.shimmy} is missing: run make first")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("GGML_MOE_", "GGML_BACKEND_"))}
        self.end = time.monotonic() + 60 * args.minutes - 5  # the rest is for the reports
        self.models, self.runs, self.notes = [], [], []

    def call(self, *words, timeout=600):
        """The JSON document of a command."""
        try:
            done = subprocess.run([str(self.shimmy), "--json", *map(str, words)], capture_output=True, text=True, env=self.env,
                                  timeout=timeout)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"took more than {timeout:.0f} s") from None
        document = json.loads(done.stdout or "{}")
        if done.returncode != 0:
            raise RuntimeError(document.get("error", {}).get("message") or done.stderr.strip()[-300:] or
                               f"ended with {done.returncode}")
        return document

    def note(self, text):
        self.notes.append(text)
        say(text)

    def find_gpu(self):
        devices = [d for d in self.call("gpu-info")["devices"] if d["kind"] == "gpu"]
        wanted = self.args.device
        for device in devices:
            if wanted == device["name"] or (wanted == "gpu") or (wanted is None and not device["software"]):
                return device
        fail(f"no GPU{f' {wanted}' if wanted else ''} here; there are: {', '.join(d['name'] for d in devices) or 'none'}")

    def make(self, shape, quant, layers):
        folder = Path(self.args.models)
        folder.mkdir(parents=True, exist_ok=True)
        model = folder / f"{shape}-{self.args.scale}.gguf"
        source, options = shape, ["--layers", self.args.layers or layers]
        if self.args.scale == "small":
            source, options = folder / f"{shape}-small.toml", ["--layers", self.args.layers] if self.args.layers else []
            source.write_text(small_shape((SOURCE / f"shapes/{shape}.toml").read_text()))
            shutil.copy(VOCAB, folder)
        self.call("synth", "--shape", source, *options, "--quant", quant, "--out", model)
        if model.stat().st_size + (1 << 30) > free_ram():
            raise RuntimeError(f"{model} does not fit in the free memory: figures would be those of the disk")
        warm(model)
        return model

    def prompts(self, model, sizes, folder):
        """{tokens: file} with prompts of just as many tokens, counted by a server on the CPU."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with open(folder / "server.log", "wb") as log:
            server = subprocess.Popen([str(self.shimmy), "serve", "--model", str(model), "--bind", f"127.0.0.1:{port}",
                                       "--device", "cpu", "--no-warmup"], stdout=subprocess.DEVNULL, stderr=log, env=self.env)

        def n_tokens(text):
            body = json.dumps({"content": text, "add_special": True}).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/tokenize", body, timeout=60) as answer:
                return len(json.load(answer)["tokens"])

        try:
            for _ in range(600):
                try:
                    n_tokens("")
                    break
                except OSError:
                    if server.poll() is not None:
                        log = (folder / "server.log").read_text(errors="replace").strip()
                        raise RuntimeError(f"the server that counts tokens ended: {log[-300:]}") from None
                    time.sleep(0.1)
            words, files = re.findall(r"\S+\s*", TEXT.read_text())[:3 * max(sizes)], {}
            for size in sizes:
                low, high = 0, min(len(words), size)  # words: the most that fit
                while low < high:
                    middle = (low + high + 1) // 2
                    low, high = (middle, high) if n_tokens("".join(words[:middle])) <= size else (low, middle - 1)
                text = "".join(words[:low]).rstrip()
                while n_tokens(text + " the") <= size:
                    text += " the"
                files[size] = folder / f"{size}.txt"
                files[size].write_text(text)
            return files
        finally:
            server.terminate()
            server.wait()

    def generate(self, model, n_ctx, cell, prompts, end):
        decode = cell.test == "decode"
        args = self.args
        document = self.call(
            *cell.way.flags, "generate", "--model", model, "--raw", "--prompt-file",
            prompts[args.prompt if decode else int(cell.test[2:])], "--max-tokens",
            args.tokens if decode else N_PREFILL_OUTPUT, "--ctx", n_ctx, "--threads", args.threads, "--device",
            self.gpu["name"], "--cold-run",
            # Not greedy: random weights soon repeat one token, which would make every cache look good.
            "--temperature", 1, "--seed", 42,
            timeout=max(30.0, end + 30 - time.monotonic()))
        if document["device"]["kind"] != "gpu":
            raise RuntimeError(f"ran on {document['device']['name']}, which is no GPU")
        return document

    def measure_model(self, shape, quant, layers, end):
        start = time.monotonic()
        model = self.make(shape, quant, layers)
        info = self.call("inspect", model)
        title = f"{shape}{' (tiny widths)' if self.args.scale == 'small' else ''}, {info['n_layers']} layers, {quant}"
        n_ctx = min(info["n_ctx_train"], max([self.args.prompt + self.args.tokens, *self.args.prefill]) + 32)
        prefill = [min(n, n_ctx - 16) for n in self.args.prefill]
        baseline_fits = self.gpu["memory_free_bytes"] > info["size_bytes"] * 1.1 + (1 << 30)
        if not baseline_fits:
            self.note(f"{title}: not everything fits in VRAM, so that way is left out")
        cells = cells_of(info["expert_bytes_per_layer"], baseline_fits, prefill)
        routers = Routers(model)
        with tempfile.TemporaryDirectory() as folder:
            prompts = self.prompts(model, [self.args.prompt, *prefill], Path(folder))
            self.models.append({"title": title, "size_bytes": info["size_bytes"], "expert_bytes": info["expert_bytes"],
                                "n_expert": info["n_expert"], "n_expert_used": info["n_expert_used"], "n_ctx": n_ctx,
                                "ways": {cell.way.name: asdict(cell.way) for cell in cells}})
            say(f"{title}: made in {time.monotonic() - start:.0f} s")
            self.rounds(title, model, n_ctx, cells, prompts, routers, end)
        if not self.args.keep:
            model.unlink()

    def rounds(self, title, model, n_ctx, cells, prompts, routers, end):
        routers.write(cells[0].routing)
        start = time.monotonic()
        self.generate(model, n_ctx, cells[0], prompts, end)  # for its duration; also warms drivers and measured rates
        cost = dict.fromkeys(range(len(cells)), time.monotonic() - start)
        measured = set()
        pending = [(round_, rank) for round_ in range(1, self.args.repeats + 1) for rank in range(len(cells))]
        while True:
            # Again before every run: durations are known better then, and what was left out may fit after all.
            left_out = affordable([rank for _, rank in pending], cost, end - time.monotonic())
            run = next((run for run in pending if run[1] not in left_out), None)
            if run is None:
                break
            pending.remove(run)
            round_, rank = run
            cell = cells[rank]
            routers.write(cell.routing)
            start = time.monotonic()
            try:
                document = self.generate(model, n_ctx, cell, prompts, end)
            except RuntimeError as error:
                self.note(f"{title}: {cell.routing}, {cell.test}, {cell.way.name} failed: {error}")
                pending = [run for run in pending if run[1] != rank]
                continue
            measured.add(rank)
            cost[rank] = time.monotonic() - start
            for other in set(cost) - measured:
                if cells[other].test == cell.test:
                    cost[other] = cost[rank]
            self.add(title, cell, round_, document)
        for rank in sorted({rank for _, rank in pending}):
            rounds = [str(round_) for round_, other in pending if other == rank]
            self.note(f"{title}: {cells[rank].routing}, {cells[rank].test}, {cells[rank].way.name}: no time for "
                      f"round{'s' if len(rounds) > 1 else ''} {', '.join(rounds)}")

    def add(self, title, cell, round_, document):
        row = csv_row(title, cell, round_, document)
        for key in ("prompt", "expert_use"):  # large, and the same everywhere
            document.pop(key, None)
        self.runs.append({"row": row, "document": document})
        rate = row["decode_tps"] if cell.test == "decode" else row["prefill_tps"]
        say(f"round {round_}: {cell.routing}, {cell.test}, {cell.way.name}: {rate or 0:.1f} tokens/s")

    def run(self):
        self.gpu = self.find_gpu()
        chosen = [model for model in MODELS if re.search(self.args.only, model[0])]
        base = Path(self.args.results) / (self.args.name or slug(self.gpu["description"]))
        base.parent.mkdir(parents=True, exist_ok=True)
        results = {"warning": SOFTWARE.format(gpu=self.gpu["description"]) if self.gpu["software"] else None,
                   "machine": describe_machine(self.gpu, self.call), "settings": vars(self.args), "models": self.models,
                   "notes": self.notes, "runs": self.runs}
        for i, (shape, quant, layers) in enumerate(chosen):
            now = time.monotonic()
            if now >= self.end:
                self.note(f"{shape}: left out, no time")
                continue
            try:
                self.measure_model(shape, quant, layers, now + (self.end - now) / (len(chosen) - i))
            except (RuntimeError, ValueError, OSError) as error:
                self.note(f"{shape}: {error}")
            write(base, results)  # after every model, so that an interrupted bench leaves something
        print(markdown(results))
        say(f"wrote {base}.json, .csv and .md")


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def describe_machine(gpu, call):
    machine = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "gpu": gpu}
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    machine["cpu"] = cpu[1] if cpu else "unknown processor"
    machine["n_cores"], machine["ram_bytes"] = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    machine["moe"] = next((d["description"] for d in call("gpu-info")["devices"] if d["name"] == "MoE"), None)
    machine["nvidia_smi"] = None
    if shutil.which("nvidia-smi"):
        fields = "name,driver_version,memory.total,pcie.link.gen.max,pcie.link.width.max"
        machine["nvidia_smi"] = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"],
                                               capture_output=True, text=True).stdout.strip()
    return machine


# ---- from the runs to the tables ----


def write(base, results):
    base.with_suffix(".json").write_text(json.dumps(results) + "\n")
    with open(base.with_suffix(".csv"), "w", newline="") as file:
        if results["warning"]:
            file.write(f"# {results['warning']}\n")
        writer = csv.DictWriter(file, CSV_FIELDS)
        writer.writeheader()
        for run in results["runs"]:
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in run["row"].items()})
    base.with_suffix(".md").write_text(markdown(results))


def median_and_range(values, digits=1):
    if not values:
        return "-"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def ratio_to_stock(rows, stock_rows, key):
    """Round by round, with STOCK's run of the same round."""
    stock = {row["round"]: row[key] for row in stock_rows if row[key]}
    ratios = [row[key] / stock[row["round"]] for row in rows if row[key] and row["round"] in stock]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else "-"


def percent(part, whole):
    return f"{100 * part / whole:.0f}%" if whole else "-"


def decode_table(model, rows):
    lines = ["| way | experts in VRAM | VRAM, GiB | hits | uploads per look-up | tokens/s | times stock | runs |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    stock = [row for row in rows if row["way"] == STOCK.name]
    for name, way in model["ways"].items():
        mine = [row for row in rows if row["way"] == name]
        if not mine:
            continue
        lookups, hits, uploads = (sum(row[key] for row in mine) for key in ("lookups", "hits", "uploads"))
        per_lookup = f"{uploads / lookups:.3f}" if lookups else "-"
        vram = statistics.median(row["vram_bytes"] for row in mine) / 2**30
        lines.append(f"| {name} | {way['expert_share']:.0f}% | {vram:.2f} | {percent(hits, lookups)} | {per_lookup} | "
                     f"{median_and_range([row['decode_tps'] for row in mine if row['decode_tps']])} | "
                     f"{ratio_to_stock(mine, stock, 'decode_tps')} | {len(mine)} |")
    return lines


def prefill_table(model, rows):
    """Rows of all tests with even routing: decode runs have a prompt too."""
    sizes = sorted({row["prompt_tokens"] for row in rows})
    lines = ["| way | " + " | ".join(f"{n} tokens" for n in sizes) + " |", "|---|" + "---:|" * len(sizes)]
    for name in model["ways"]:
        cells = [median_and_range([row["prefill_tps"] for row in rows if row["way"] == name and row["prompt_tokens"] == n])
                 for n in sizes]
        if any(cell != "-" for cell in cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def head(results):
    machine, settings = results["machine"], results["settings"]
    gpu, versions = machine["gpu"], [run["document"] for run in results["runs"][:1]]
    threads = versions[0]["n_threads"] if versions else settings["threads"]
    lines = [f"# Experts in VRAM: {gpu['description']}", ""]
    if results["warning"]:
        lines += [f"**{results['warning']}**", ""]
    driver = f" nvidia-smi: {machine['nvidia_smi']}." if machine["nvidia_smi"] else ""
    lines += [f"{machine['date']}. {gpu['backend']}, {gpu['memory_total_bytes'] / 2**30:.1f} GiB.{driver} {machine['cpu']}, "
              f"{machine['n_cores']} cores, {threads} threads, {machine['ram_bytes'] / 2**30:.0f} GiB of RAM. " +
              "".join(f"shimmy {d['shimmy_version']}, llama.cpp {d['llama_cpp_version']}." for d in versions), "",
              "Synthetic files with random weights. Median (range) of the runs; \"times stock\" compares runs of the same round, "
              "as median (range). A difference counts only where the ranges are apart. Decode is the second half of "
              f"{settings['tokens']} tokens after a prompt of {settings['prompt']}, sampled (temperature 1, fixed seed), because "
              "greedy text of random weights repeats itself. Hits and uploads are those of the whole process: warm-up, a short "
              "cold answer, prompt and answer. `--n-cpu-moe N` has the N whose experts in VRAM come nearest to a cache's bytes; "
              "where that is no layer at all, it is `--cpu-moe`.", "",
              "Routers as made use experts almost evenly, which is the worst case for a cache. Skewed routers have rows scaled "
              "by 1, 1/2, 1/3, … in a random order per layer, to come nearer to trained ones."]
    return lines


def markdown(results):
    lines = head(results)
    for model in results["models"]:
        rows = [run["row"] for run in results["runs"] if run["row"]["model"] == model["title"]]
        lines += ["", f"## {model['title']}", "",
                  f"{model['n_expert']} experts, {model['n_expert_used']} per token; {model['size_bytes'] / 2**30:.2f} GiB, of "
                  f"which experts {model['expert_bytes'] / 2**30:.2f} GiB."]
        for routing in ("skewed", "even"):
            decode = [row for row in rows if row["routing"] == routing and row["test"] == "decode"]
            shares = [row["top_quarter_share"] for row in decode if row["top_quarter_share"] is not None]
            if decode:
                known = f" The most used quarter of each layer's experts had {statistics.median(shares):.0f}% of the uses." if shares else ""
                lines += ["", f"**Decode, {routing} routers.**{known}", "", *decode_table(model, decode)]
        even = [row for row in rows if row["routing"] == "even"]
        if even:
            lines += ["", "**Prefill, even routers**, tokens/s.", "", *prefill_table(model, even)]
    if results["notes"]:
        lines += ["", "## Left out", "", *(f"* {note}" for note in results["notes"])]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin", help="folder of shimmy")
    parser.add_argument("--device", help="as shimmy's --device (default: the first hardware GPU)")
    parser.add_argument("--minutes", type=float, default=8, help="time for all of it (default: 8)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--scale", choices=["real", "small"], default="real", help="small: tiny widths, to try the script")
    parser.add_argument("--layers", type=int, help="layers of every model (default: 8 to 14; 4 with --scale small)")
    parser.add_argument("--tokens", type=int, default=128, help="tokens to generate in decode runs (default: 128)")
    # Decode runs give the prefill rate of this size as well.
    parser.add_argument("--prompt", type=int, default=128, help="tokens of the prompt in decode runs (default: 128)")
    parser.add_argument("--prefill", type=int, nargs="*", default=PREFILL, help="prompt sizes, the most important first")
    parser.add_argument("--only", default="", help="regular expression: only these shapes")
    parser.add_argument("--threads", type=int, default=0, help="as shimmy's --threads")
    parser.add_argument("--models", default="build/bench", help="folder for the files")
    parser.add_argument("--keep", action="store_true", help="keep the files")
    parser.add_argument("--results", default="bench/results", help="folder of the results")
    parser.add_argument("--name", help="name of the result files (default: from the GPU)")
    Bench(parser.parse_args()).run()


if __name__ == "__main__":
    main()
