#!/usr/bin/env python3
"""Runs the `shimmy` commands that the pages show in blocks of code, as they stand and in order, in a folder for each page that
holds what they name: a small model under their names, texts, a campaign. What needs the Hub, another server, or minutes is
left out, each with its reason (LEFT_OUT); nothing else is. docs/TUTORIAL.md and docs/API.md have tests of their own.

usage: examples.py SOURCE_DIR PROGRAM
"""
import os, pathlib, re, shlex, shutil, signal, struct, subprocess, sys, tempfile, time

source, program = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
TIMEOUT_S = 120
verbose = len(sys.argv) > 3
CONTEXT = 131072  # of the models that the pages speak of; the small model's own is 512
PAGES = ["README.md", "bench/traces/README.md", "docs/LAB.md", "docs/OFFLOADING.md", "docs/QUALITY.md", "docs/TEMPLATES.md",
         *sorted(p.relative_to(source).as_posix() for p in (source / "docs/howto").glob("*.md"))]
LEFT_OUT = [
    (r"^pull |hf:|--repo ", "needs the Hub"),
    (r"^plan --trace qwen3", "its trace is packed; tests/engine/cache_replay_test.cpp unpacks it"),
    (r"^plan --hardware", "takes minutes on a busy machine; tests/e2e/plan_test.cpp"),
    (r"--bind 0\.0\.0\.0:11435", "a port that may be taken"),
    (r"^lab http .*--url", "needs another server"),
    (r"^lab import |^lab compare ", "needs files of llama-bench, or of an earlier campaign; tests/e2e/lab_test.cpp"),
    (r"^quantize .*--target-", "measures for minutes; tests/e2e/quantize_target_test.cpp"),
    (r"^bench .*--depth 0,4096", "measures for minutes; tests/e2e/bench_test.cpp"),
    (r"^tune ", "measures for minutes; tests/e2e/tune_test.cpp"),
    (r"--spec auto", "measures for minutes; tests/e2e/speculation_test.cpp"),
    (r"^generate --model deepseek-moe-16b-Q4_K_M.gguf", "shows a refusal on a card of 2 GiB; tests/e2e/placement_test.cpp"),
]
QUANTIZED = ["Q8_0", "Q4_K_M", "Q2_K"]
HELLASWAG = "A train travels.\n0\nIt arrives.\nIt sleeps.\nIt sings.\nIt cooks.\n"


def commands_of(page):
    text = re.sub(r"\\\n\s*", " ", (source / page).read_text(encoding="utf-8"))
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.M | re.S):
        for line in block.splitlines():
            found = re.match(r"^(?:\$ )?shimmy (.*)", line)
            if found:
                yield re.sub(r"\[[^\]]*\]", "", re.split(r"\s#\s", found[1])[0]).strip()


def left_out(command):
    return next((reason for pattern, reason in LEFT_OUT if re.search(pattern, command)), None)


def shimmy(folder, words, **more):
    return subprocess.run([program, *words], cwd=folder, capture_output=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL,
                          env=environment, text=True, errors="replace", **more)


def with_context(model, n_ctx):
    """The same model, trained (as it says) for a longer context."""
    data = bytearray(model.read_bytes())
    key = b"deepseek.context_length"
    at = data.index(key) + len(key)
    assert struct.unpack_from("<I", data, at)[0] == 4  # u32
    struct.pack_into("<I", data, at + 4, n_ctx)
    return bytes(data)


def make_models(folder):
    """model-f16.gguf and model-TYPE.gguf."""
    (folder / "model-f16.gguf").write_bytes(with_context(source / "models/tiny-moe/tiny-moe-f16.gguf", CONTEXT))
    made = shimmy(folder, ["quantize", "model-f16.gguf", "--types", ",".join(QUANTIZED)])
    if made.returncode != 0:
        sys.exit(f"the models of the examples cannot be made: {made.stderr}")


def furnish(folder, models):
    for prefix in ("model", "phi-3.5-moe"):
        for kind in ("f16", *QUANTIZED):
            (folder / f"{prefix}-{kind}.gguf").symlink_to(models / f"model-{kind}.gguf")
    for name in ("model.gguf", "small.gguf"):
        (folder / name).symlink_to(models / "model-Q4_K_M.gguf")
    # Found by its name, which a link would not be: links to one file are one model.
    shutil.copy(models / "model-Q4_K_M.gguf", folder / "phi-3.5-moe-instruct-Q4_K_M.gguf")
    text = (source / "models/tiny-moe/eval.txt").read_text()
    for name in ("eval.txt", "calibration.txt"):
        (folder / name).write_text(text[:4500])
    (folder / "task.txt").write_text("Explain gradient descent in simple terms.")
    (folder / "hellaswag_val_full.txt").write_text(HELLASWAG * 2)
    (folder / "my-templates").mkdir()
    shutil.copy(source / "templates/card.md.jinja", folder / "my-templates")


def write_campaign(folder, name):
    """The smallest that a page can mean."""
    (folder / name).write_text(f"""
name = "{pathlib.Path(name).stem}"
out_dir = "out"
placements = ["baseline", "offload"]
repeats = 1
max_tokens = 4
n_ctx = 512
[[models]]
path = "phi-3.5-moe-Q2_K.gguf"
name = "phi"
license = "mit"
quantizations = ["input"]
[quality]
text = "eval.txt"
chunks = 1
[[prompts]]
id = "a"
text = "Hello"
""")


def run_server(folder, words):
    end = words.index("--") if "--" in words else len(words)
    words = words[:end] + ["--bind", "127.0.0.1:0", "--model-dirs", "."] + words[end:]
    server = subprocess.Popen([program, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    said = ""
    for line in server.stderr:
        said += line
        if "http://127.0.0.1:" in line:
            break
    server.send_signal(signal.SIGTERM)
    said += server.communicate(timeout=TIMEOUT_S)[1]
    return server.returncode, said


def run(folder, command):
    words = shlex.split(command)
    if words[0] == "serve":
        return run_server(folder, words)
    done = shimmy(folder, words)
    if words[:2] == ["lab", "init"] and done.returncode == 0:
        write_campaign(folder, words[2])  # what it wrote would measure for an hour
    return done.returncode, done.stderr


problems, n_run, n_left_out = [], 0, 0
with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    environment = {**os.environ, "HOME": str(work / "home"), "SHIMMY_CACHE": str(work / "cache"), "HF_HUB_OFFLINE": "1"}
    for key in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        environment.pop(key, None)
    (work / "models").mkdir()
    make_models(work / "models")
    has_gpu = '"kind": "gpu"' in shimmy(work, ["gpu-info", "--json"]).stdout
    for page in PAGES:
        folder = work / page.replace("/", "-")
        folder.mkdir()
        furnish(folder, work / "models")
        write_campaign(folder, "campaign.toml")
        if page == "docs/TEMPLATES.md" and has_gpu:
            shimmy(folder, ["lab", "run", "campaign.toml"])
        for command in commands_of(page):
            needs_gpu = re.match(r"lab (run|report|bundle|verify|export|status)\b(?!.*--dry-run)", command) and not has_gpu
            if left_out(command) or needs_gpu:
                n_left_out += 1
                continue
            # Names of models of this machine: those in the folder.
            asked = command + (" --model-dirs ." if re.match(r"(chat|generate) phi", command) else "")
            began = time.monotonic()
            try:
                code, said = run(folder, asked)
            except subprocess.TimeoutExpired:
                code, said = "no end", ""
            n_run += 1
            if verbose:
                print(f"{time.monotonic() - began:6.1f} s  {page}: {command}", flush=True)
            if code != 0:
                problems.append(f"{page}: shimmy {command}\n    exit {code}: {said.strip().splitlines()[-1:] }")

print("\n".join(problems) or f"{n_run} commands of the pages were run, {n_left_out} left out with a reason")
sys.exit(1 if problems or n_run < 25 else 0)
