#!/usr/bin/env python3
"""Runs a command and draws its output as a terminal window: docs/demo.svg is made this way (`make docs`).

usage: terminal-svg.py OUT.svg SHOWN PROGRAM [ARGUMENT...]
    SHOWN is the command line that the picture shows; PROGRAM and its arguments are what is run.
"""
import subprocess, sys, textwrap
from xml.sax.saxutils import escape

COLUMNS = 134            # the widest line of `shimmy plan --hardware`
CHARACTER, LINE = 7, 15  # pixels
FONT_SIZE = 11.5
MARGIN, TITLE_BAR = 16, 30
COLORS = {"back": "#16181d", "text": "#d7dae0", "dim": "#9aa0ab", "command": "#8fd19e"}


def lines_of(output):
    """The lines as a terminal of COLUMNS columns holds them, broken between words."""
    lines = []
    for line in output.rstrip("\n").split("\n"):
        lines += textwrap.wrap(line, COLUMNS, drop_whitespace=True) if len(line) > COLUMNS else [line.rstrip()]
    return lines


def row(text, y, color):
    """One line. Its width is stated, so that columns stay aligned whatever monospace font is at hand."""
    spaces = len(text) - len(text.lstrip())
    text = text.lstrip()
    return (f'<text x="{MARGIN + spaces * CHARACTER}" y="{y}" fill="{color}" textLength="{len(text) * CHARACTER}" '
            f'lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(text)}</text>')


def picture(shown, output):
    lines = [("$ " + shown, COLORS["command"]), ("", "")]
    for line in lines_of(output):
        rule = line and not line.strip("-")
        lines.append((line, COLORS["dim"] if rule else COLORS["text"]))
    width = 2 * MARGIN + COLUMNS * CHARACTER
    height = TITLE_BAR + len(lines) * LINE + MARGIN
    rows = [row(text, TITLE_BAR + (i + 1) * LINE - 5, color) for i, (text, color) in enumerate(lines) if text]
    buttons = [f'<circle cx="{20 + 18 * i}" cy="17" r="5.5" fill="{c}"/>' for i, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))]
    # Browsers ignore xml:space on a group; the style is what they keep runs of spaces for, the attribute is for others.
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(shown)} and what it prints">',
        "<style>text{white-space:pre}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{COLORS["back"]}"/>',
        *buttons,
        f'<g font-family="DejaVu Sans Mono,Menlo,Consolas,Liberation Mono,monospace" font-size="{FONT_SIZE}">',
        *rows, "</g>", "</svg>", ""])


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__.strip())
    out, shown, *command = sys.argv[1:]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"terminal-svg: {' '.join(command)}: exit code {run.returncode}\n{run.stderr}")
    with open(out, "w", encoding="utf-8") as file:
        file.write(picture(shown, run.stdout))


if __name__ == "__main__":
    main()
