#!/usr/bin/env python3
"""Every relative link of every Markdown page leads to a file that is there, and every #anchor to a heading of it.
Pages of docs/ link to each other, and to the rest of the repository only by full paths that exist.

Every path of code that a page names in `backticks` exists, seen from the root, src/ or moe/.

usage: links.py SOURCE_DIR
"""
import pathlib, re, sys
from urllib.parse import unquote

SKIPPED = {"build", "out", "node_modules", "tests", ".git"}  # tests/ holds expected documents of campaigns
OF_LLAMA = {"arg.h", "sampling.h", "speculative.h", "llama.h", "ggml.h", "ggml-backend.h", "llama-ext.h", "llama-model.h", "ggml-backend-impl.h", "ggml-impl.h", "chat.h",
            "imatrix-loader.h", "common.h", "server-context.h", "server-task.h", "server-queue.h", "server-schema.h", "server-chat.h",
            "server-common.h", "mtmd.h", "mtmd-helper.h", "lexer.h", "parser.h", "runtime.h"}
source = pathlib.Path(sys.argv[1]).resolve()


def without_code(text):
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    return re.sub(r"(`+).*?\1", "", text, flags=re.S)


def anchors_of(text):
    """The names that GitHub gives to headings."""
    names = {}
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M):
        heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        names[name] = names.get(name, -1) + 1
        if names[name] > 0:
            names[f"{name}-{names[name]}"] = 0
    return set(names) | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def links_of(text):
    text = without_code(text)
    inline = re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", text)
    return inline + re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, re.M) + re.findall(r'<(?:img|a)[^>]*? (?:src|href)="([^"]+)"', text)


pages = [page for page in sorted(source.rglob("*.md")) if not SKIPPED & set(page.relative_to(source).parts)]
problems, n_links = [], 0
for page in pages:
    where = page.relative_to(source)
    for link in links_of(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        n_links += 1
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if path.startswith("/") or not target.is_relative_to(source):
            problems.append(f"{where}: {link} leaves the repository")
        elif not target.exists():
            problems.append(f"{where}: {link} leads nowhere")
        elif anchor and target.suffix == ".md" and anchor not in anchors_of(target.read_text(encoding="utf-8")):
            problems.append(f"{where}: {target.relative_to(source)} has no heading #{anchor}")

# Paths of code. A name without a folder may stand for a file of a folder that the same page names.
n_paths = 0
names = {file.name for folder in ("src", "moe", "tests", "scripts", "cmake", "bench") for file in (source / folder).rglob("*.*")}
for page in (source / "docs/ARCHITECTURE.md", source / "docs/DECISIONS.md", source / "docs/UPSTREAM.md", source / "CONTRIBUTING.md",
             source / "moe/README.md", source / "docs/RELIABILITY.md"):
    for path in re.findall(r"`([\w./-]+\.(?:h|cpp|py|sh|mjs|cmake|toml))`", page.read_text(encoding="utf-8")):
        if "NAME" in path:
            continue
        n_paths += 1
        roots = (source, source / "src", source / "moe", source / "moe/src", source / "tests/e2e")
        if "/" in path and not any((root / path).exists() for root in roots):
            problems.append(f"{page.relative_to(source)}: there is no {path}")
        if "/" not in path and path not in names | OF_LLAMA:
            problems.append(f"{page.relative_to(source)}: there is no {path}")

print("\n".join(problems) or f"{n_links} links and {n_paths} paths of {len(pages)} pages lead somewhere")
sys.exit(1 if problems or n_links == 0 else 0)
