#!/usr/bin/env python3
"""The ratios in docs/PERFORMANCE.md and README.md, the table of a model larger than RAM, and the tables of a modelled GPU in
docs/OFFLOADING.md, are those of bench/results.

usage: figures.py SOURCE_DIR
"""
import json, pathlib, re, sys

source = pathlib.Path(sys.argv[1])
performance, readme = (source / "docs/PERFORMANCE.md").read_text(), (source / "README.md").read_text()
NAMES = {"phi-3.5-moe": "Phi-3.5-MoE", "deepseek-moe-16b": "DeepSeek-MoE 16B", "gpt-oss-20b": "GPT-OSS 20B", "qwen3-30b-a3b": "Qwen3-30B-A3B"}
PP512, DECODE = 4, 6  # columns of the ratios: pp1, pp8, pp16, pp128, pp512, pp2048, tg
problems = []


def cells(line):
    return [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")]


def ratios(file):
    """Row to its ratios, in the order of the file."""
    rows, name = {}, ""
    for row in map(cells, (source / "bench/results" / file).read_text().splitlines()):
        if len(row) == 9 and row[1] == "stock":
            name = row[0]
        elif len(row) == 9 and row[1] == "ratio":
            key = row[0] or re.sub(r"^[^,]+", lambda match: NAMES[match[0]], name)
            rows[key] = row[2:]
    return rows


def shown(text):
    """The tables of ratios, in the order of the page."""
    tables = re.findall(r"^\| file \| pp1 .*\n\|[-|: ]+\n((?:\|.*\n)+)", text, re.M)
    return [{row[0]: row[1:] for row in map(cells, table.splitlines())} for table in tables]


def span(rows, column, name):
    values = [float(row[column]) for key, row in rows.items() if key not in ("geometric mean", "worst")]
    return f"{name} {float(rows['geometric mean'][column]):.1f}× ({min(values):.1f} to {max(values):.1f})"


measured = [ratios("intel-r-xeon-r-processor-2-threads.md"), ratios("amd-epyc-zen-4-2-threads.md"),
            ratios("amd-epyc-2-threads.md"), ratios("amd-epyc-zen-4-2-threads-iq.md")]
tables = shown(performance)
if len(tables) != len(measured):
    problems.append(f"docs/PERFORMANCE.md has {len(tables)} tables of ratios, not {len(measured)}")
for have, want in zip(tables, measured):
    for name, row in want.items():
        if have.get(name) != row:
            problems.append(f"docs/PERFORMANCE.md: {name}: {have.get(name)}, measured were {row}")
for rows in measured:
    for column, name in ((PP512, "prefill"), (DECODE, "decode")):
        if span(rows, column, name) not in readme:
            problems.append(f"README.md: nothing says '{span(rows, column, name)}'")

sys.dont_write_bytecode = True
sys.path.insert(0, str(source / "bench"))
import larger_than_ram  # noqa: E402: it makes the table

measured = json.loads((source / "bench/results/larger-than-ram.json").read_text())
larger = (source / "docs/howto/larger-than-ram.md").read_text()
for line in larger_than_ram.markdown(measured).splitlines():
    if line not in larger.splitlines():
        problems.append(f"docs/howto/larger-than-ram.md: nothing says '{line}'")


# Experts and prompts beside a modelled GPU: tables in docs/OFFLOADING.md by file, told apart by how they begin.
def offload_line(row):
    return (f"| {row['share']:.0f}% | {100 * row['hit_rate']:.1f}% | {row['ram_ms']:.1f} | {row['cache_ms']:.1f} | {row['slower_parts_ms']:.1f} | "
            f"{row['hand_overs_ms']:.2f} | {row['over_bound']:.2f} | {row['layers_ms']:.1f} | {row['to_layers']:.2f}× | {row['to_ram']:.2f}× |")


def prompt_line(row):
    return (f"| {row['tokens']} | {row['stock_ms']:.0f} | {row['plugin_ms']:.0f} | {row['ratio']:.3f} ({row['ratio_min']:.3f} to {row['ratio_max']:.3f}) | "
            f"{row['stock_link_bytes']} | {row['plugin_link_bytes']} | {row['stock_splits']} | {row['plugin_splits']} |")


offloading = (source / "docs/OFFLOADING.md").read_text()
for head, line, files in [("| experts in VRAM | hits | all in RAM, ms |", offload_line, ["1-thread", "2-threads"]),
                          ("| tokens | stock, ms |", prompt_line, ["prompts", "prompts-cache"])]:
    tables = re.findall(rf"^{re.escape(head)}.*\n\|[-|: ]+\n((?:\|.*\n)+)", offloading, re.M)
    if len(tables) != len(files):
        problems.append(f"docs/OFFLOADING.md has {len(tables)} tables that begin with '{head}', not {len(files)}")
    for table, file in zip(tables, files):
        want = [line(row) for row in json.loads((source / f"bench/results/modelled-gpu-{file}.json").read_text())["rows"]]
        if table.splitlines() != want:
            problems.append(f"docs/OFFLOADING.md, the table of modelled-gpu-{file}.json should be:\n" + "\n".join(want))

print("\n".join(problems) or "the figures are those of bench/results")
sys.exit(1 if problems else 0)
