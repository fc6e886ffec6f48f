#!/usr/bin/env python3
"""Runs every ```sh block of docs/TUTORIAL.md as it stands, in order, in one shell. The model of this repository lies in the
cache under the name of the one that the tutorial downloads. A block that starts with `shimmy serve` stays in the background.
The lines of a ```text block must appear in the output of the block before it.

usage: tutorial.py SOURCE_DIR PROGRAM
"""
import os, pathlib, re, shutil, socket, subprocess, sys, tempfile, time, urllib.request

source, program = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
text = (source / "docs/TUTORIAL.md").read_text()
repo, quantization = re.search(r"shimmy pull (\S+?):(\w+)", text).groups()
COMMIT = "1" * 40
problems = []


def put_into_cache(cache):
    folder = cache / ("models--" + repo.replace("/", "--"))
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(COMMIT)
    shutil.copy(source / "models/tiny-moe/tiny-moe-f16.gguf", snapshot / f"model-{quantization}.gguf")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def ready(url, server):
    for _ in range(600):
        if server.poll() is not None:
            return False
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def squeezed(lines):
    return [" ".join(line.split()) for line in lines.splitlines()]


def check_shown(shown, output):
    """Columns and ends of lines may be left out of what is shown."""
    lines = squeezed(output)
    for line in squeezed(shown):
        if line and not any(have.startswith(line) for have in lines):
            problems.append(f"the tutorial shows {line!r}, which is not printed")


with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    put_into_cache(work / "cache")
    port = free_port()
    environment = {**os.environ, "HOME": str(work), "HF_HUB_CACHE": str(work / "cache"), "HF_HUB_OFFLINE": "1",
                   "SHIMMY_CACHE": str(work / "shimmy"), "SHIMMY_BIND_ADDRESS": f"127.0.0.1:{port}", "no_proxy": "127.0.0.1",
                   "PATH": f"{program.parent}:{os.environ['PATH']}"}
    server, variables, n_blocks, output = None, "", 0, ""
    for language, block in re.findall(r"^```(sh|text)\n(.*?)^```", text, re.M | re.S):
        block = block.replace("127.0.0.1:11435", f"127.0.0.1:{port}").replace("--duration 10", "--duration 2")
        if language == "text":
            check_shown(block, output)
            continue
        n_blocks += 1
        script = f"set -eu\n{variables}{block}"
        if block.startswith("shimmy serve"):
            server = subprocess.Popen(["bash", "-c", script.replace("shimmy serve", "exec shimmy serve")], cwd=work,
                                      env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if not ready(f"http://127.0.0.1:{port}/health", server):
                problems.append("the server of the tutorial does not get ready")
            continue
        run = subprocess.run(["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True, timeout=120)
        output = run.stdout + run.stderr
        if run.returncode != 0 or '"error"' in run.stdout:
            problems.append(f"exit code {run.returncode}: {block}{output}")
        variables += "".join(f"{line}\n" for line in block.splitlines() if re.match(r"[A-Z_]+=", line))
    if server:
        server.terminate()
        if server.wait(timeout=60) not in (0, -15, 130, 143):
            problems.append(f"the server ended with {server.returncode}")

print("\n".join(problems) or f"{n_blocks} commands of the tutorial work")
sys.exit(1 if problems or n_blocks < 8 else 0)
