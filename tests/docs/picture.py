#!/usr/bin/env python3
"""docs/demo.svg: well-formed, in the form that every browser shows, and what the program prints now.

usage: picture.py SOURCE_DIR                  the file alone
       picture.py SOURCE_DIR PROGRAM          what PROGRAM prints, too, and how Chromium draws it where it is installed
"""
import importlib.util, json, pathlib, subprocess, sys
import xml.etree.ElementTree as ElementTree

SVG = "{http://www.w3.org/2000/svg}"
SPACE = "{http://www.w3.org/XML/1998/namespace}space"
SHOWN = "shimmy plan --hardware"

source = pathlib.Path(sys.argv[1]).resolve()
file = source / "docs/demo.svg"
spec = importlib.util.spec_from_file_location("terminal_svg", source / "scripts/terminal-svg.py")
terminal = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
spec.loader.exec_module(terminal)
problems = []


def expect(condition, problem):
    if not condition:
        problems.append(problem)


def rows_of(root):
    """The lines of the picture, with the spaces that stand before them."""
    return [" " * round((float(text.get("x")) - terminal.MARGIN) / terminal.CHARACTER) + text.text for text in root.iter(SVG + "text")]


def check_form(root):
    expect(root.tag == SVG + "svg", "the root is not an svg element")
    style = "".join(element.text or "" for element in root.iter(SVG + "style"))
    expect("white-space:pre" in style.replace(" ", ""), "no style keeps runs of spaces: columns collapse in Chromium")
    for element in root.iter():
        expect(element.tag == SVG + "text" or SPACE not in element.attrib, "xml:space on a group: browsers ignore it there")
        for name, value in element.attrib.items():
            expect("://" not in value, f"{name} refers to another address")
    expect(not list(root.iter(SVG + "script")), "a script: pages that show pictures refuse it")
    lines = rows_of(root)
    expect(lines[0] == "$ " + SHOWN, f"it shows {lines[0]!r}, not {SHOWN!r}")
    right = float(root.get("width")) - terminal.MARGIN
    for text in root.iter(SVG + "text"):
        width = float(text.get("textLength"))
        expect(width == len(text.text) * terminal.CHARACTER, f"the width of {text.text!r} is not that of its characters")
        expect(float(text.get("x")) + width <= right, f"{text.text!r} leaves the window")


def check_current(program):
    # Without GPU modules: the same lines on every machine.
    run = subprocess.run([program, "plan", "--hardware", "--gpu-backend", "cpu"], capture_output=True, text=True)
    expect(run.returncode == 0, f"{SHOWN}: exit code {run.returncode}: {run.stderr}")
    expect(file.read_text() == terminal.picture(SHOWN, run.stdout), "docs/demo.svg is not what the program prints: run `make docs`")


def check_drawn():
    if not pathlib.Path("/usr/bin/chromium").exists():
        print("not drawn: chromium is not installed (scripts/setup.sh slow-tests)")
        return
    packages = subprocess.run([source / "scripts/fetch-node-packages.sh"], capture_output=True, text=True, check=True).stdout.strip()
    run = subprocess.run(["node", source / "tests/docs/picture_check.mjs", f"{packages}/node_modules/playwright-core", file],
                         capture_output=True, text=True)
    if run.returncode != 0:
        problems.append(f"Chromium: {run.stderr}")
        return
    drawn = json.loads(run.stdout)
    expect(drawn["errors"] == [], f"Chromium says {drawn['errors']}")
    expect(len(drawn["rows"]) > 20, "Chromium draws too few lines")
    for row in drawn["rows"]:
        expect(row["right"] <= drawn["width"] and row["bottom"] <= drawn["height"], f"{row['text']!r} leaves the picture")
        # Every character is in its column, whatever spaces stand before it.
        for i, x in enumerate(row["starts"]):
            column = (x - row["starts"][0]) / terminal.CHARACTER
            expect(abs(column - i) < 0.1, f"{row['text']!r}: character {i} is drawn in column {column:.1f}")


try:
    root = ElementTree.parse(file).getroot()
    check_form(root)
except (ElementTree.ParseError, OSError) as error:
    problems.append(str(error))
if len(sys.argv) > 2:
    check_current(sys.argv[2])
    check_drawn()
print("\n".join(dict.fromkeys(problems)) or "docs/demo.svg: well-formed and current")
sys.exit(1 if problems else 0)
