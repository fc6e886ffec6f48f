#!/usr/bin/env python3
"""Every command, option and make target that a page shows is there: commands and options as docs/CLI.md has them (which a test
compares with the program), targets as the Makefile has them.

usage: commands.py SOURCE_DIR
"""
import pathlib, re, sys

SKIPPED = {"build", "out", "node_modules", "tests", ".git"}
HISTORY = {"bench/LOG.md", "CHANGELOG.md"}
source = pathlib.Path(sys.argv[1]).resolve()
problems, n_checked = [], 0

reference = (source / "docs/CLI.md").read_text()
options = {}  # command to its options
for section in re.split(r"^## ", reference, flags=re.M)[1:]:
    title, _, body = section.partition("\n")
    name = title.strip().removeprefix("shimmy ")
    options[name] = {flag for cell in re.findall(r"^\| (`-[^|]*) \|", body, re.M) for flag in re.findall(r"`(--?[\w-]+)`", cell)}
common = options.pop("Options for all commands")
targets = set()
for line in (source / "Makefile").read_text().splitlines():
    if re.match(r"^[a-z][\w -]*:(?!=)", line):
        targets.update(line.split(":")[0].split())


def check_shimmy(where, text):
    """`text`: a command line from behind "shimmy" on."""
    global n_checked
    words = re.split(r"\s+", re.split(r"\s#\s|\s--\s|[|;&<>]|\)", re.sub(r'"[^"]*"', "TEXT", text))[0].strip())
    if not words or not re.match(r"^[a-z][a-z-]*$", words[0]):
        return
    name = words[0] if words[0] != "lab" or len(words) < 2 else f"lab {words[1]}"
    if name not in options:
        if name not in ("lab",):
            problems.append(f"{where}: there is no command 'shimmy {name}'")
        return
    n_checked += 1
    for word in words[1:]:
        flag = re.match(r"^\[?(--?[a-zA-Z][\w-]*)", word)
        if flag and flag[1] not in options[name] | common:
            problems.append(f"{where}: 'shimmy {name}' has no option {flag[1]}")


for page in sorted(source.rglob("*.md")):
    where = page.relative_to(source).as_posix()
    if SKIPPED & set(page.relative_to(source).parts) or where in HISTORY:
        continue
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    code = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in code for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    for line in lines:
        for shown in re.findall(r"(?:^|[\s(=])shimmy ([a-z].*)", re.split(r"\s#\s", line)[0]):
            check_shimmy(where, shown)
        if re.match(r"^make [a-z]", line):
            for word in re.split(r"\s#\s|&&", line)[0].split()[1:]:
                n_checked += 1
                if re.match(r"^[a-z][\w-]*$", word) and word not in targets:
                    problems.append(f"{where}: there is no target 'make {word}'")

print("\n".join(problems) or f"{n_checked} commands of the pages are there")
sys.exit(1 if problems or n_checked < 50 else 0)
