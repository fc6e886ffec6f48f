#!/usr/bin/env python3
"""bench/tune.py without measuring: a stand-in for shimmy whose settings multiply the time.

usage: tune_test.py SOURCE_DIR
"""
import argparse, contextlib, io, json, pathlib, sys, tempfile, unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(SOURCE / "bench"))
import tune

# Two threads are twice as fast; a small batch is 20% slower; "off" cannot run, and what writes answers is not for bench.
STAND_IN = """#!/usr/bin/env python3
import json, sys
words = sys.argv[1:]
values = lambda *pairs: [{"value": v, "options": o} for v, o in pairs]
if words[0] == "tune":
    print(json.dumps({"command": [sys.argv[0], "bench", "--json", "--", "--x"], "host": {"cpu": "A CPU", "n_cores": 2}, "device": {"name": "CPU"},
        "goal": {"n_prompt": 100, "n_answer": 10}, "measured": {"n_prompt": 50, "n_gen": 10}, "n_measured": 9, "noise": 0.01, "settings": [
        {"setting": "threads", "kept": "2", "values": values(("1", []), ("2", ["--threads", "2"]))},
        {"setting": "ubatch", "kept": "512", "values": values(("512", []), ("64", ["--ubatch", "64"]))},
        {"setting": "plugin", "kept": KEPT, "values": values(("on", []), ("off", ["--off"]))},
        {"setting": "speculation", "kept": "ngram-mod", "values": values(("off", []), ("ngram-mod", ["--spec", "ngram-mod"]))}]}))
elif "--off" in words or "--spec" in words:
    print(json.dumps({"error": {"message": "not with this"}})); sys.exit(1)
else:
    assert words.index("--") > max(words.index(w) for w in words if w.startswith("--") and w not in ("--", "--x")), words
    ms = 40.0 * (0.5 if "--threads" in words else 1) * (1.2 if "--ubatch" in words else 1)
    print(json.dumps({"tests": [{"prompt_ms": [ms, 9 * ms], "gen_ms": [ms, ms]}]}))
"""


def compare(kept):
    """The row of a tune that keeps this value of the setting that may not run, and what is said meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        shimmy = pathlib.Path(folder) / "shimmy"
        shimmy.write_text(STAND_IN.replace("KEPT", repr(kept)))
        shimmy.chmod(0o755)
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            row = tune.compare("m", "m.gguf", str(shimmy), argparse.Namespace(goal="chat", minutes=1, given=[]))
    return row, said.getvalue()


class Comparison(unittest.TestCase):
    def test_the_pick_beside_the_grid(self):
        row, said = compare("on")
        self.assertEqual((row["n_grid"], row["n_tune"]), (8, 9))
        self.assertEqual(row["default_ms"], 40 * 100 / 50 + 40)
        self.assertEqual(row["pick_ms"], 60)
        self.assertEqual(row["pick_over_best"], 1)
        self.assertEqual(row["default_over_best"], 2)
        self.assertEqual(row["best"], "--threads 2")
        self.assertIn("m: --threads 2 --off: cannot be measured: not with this\n", said)
        self.assertNotIn("--spec", said)

    def test_a_pick_that_cannot_run(self):
        with self.assertRaisesRegex(SystemExit, r"m: tune's pick \(--threads 2 --off\) could not be measured"):
            compare("off")


unittest.main(argv=sys.argv[:1])
