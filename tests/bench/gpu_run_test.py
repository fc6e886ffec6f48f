#!/usr/bin/env python3
"""bench/gpu.py from end to end, on Mesa's software GPU: every shape and way, both kinds of routers, decode and prefill.

usage: gpu_run_test.py SOURCE_DIR SHIMMY
"""
import csv, json, os, pathlib, subprocess, sys, tempfile, unittest

SOURCE, SHIMMY = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
ENV = {**os.environ, "GGML_VK_VISIBLE_DEVICES": "0"}  # makes ggml-vulkan accept a software device
SHAPES = ["phi-3.5-moe", "gpt-oss-20b", "deepseek-moe-16b"]
WAYS = {"stock, --cpu-moe", "plugin, --cpu-moe", "cache of 25%", "cache of 10%", "cache of 50%", "cache of 5%", "stock, all in VRAM"}


def devices():
    done = subprocess.run([SHIMMY, "--json", "gpu-info"], capture_output=True, text=True, env=ENV, check=True)
    return json.loads(done.stdout)["devices"]


class OnASoftwareGpu(unittest.TestCase):
    def test_every_shape_and_way(self):
        gpu = next((device for device in devices() if device["kind"] == "gpu"), None)
        if gpu is None:
            self.skipTest("this machine has no GPU")
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run(
                [SOURCE / "bench/gpu.py", "--bin", SHIMMY.parent, "--device", gpu["name"], "--scale", "small", "--repeats", "1",
                 "--prompt", "12", "--tokens", "8", "--prefill", "32", "--minutes", "60", "--models", folder, "--results",
                 folder, "--name", "run"], capture_output=True, text=True, env=ENV)
            self.assertEqual(run.returncode, 0, run.stderr)
            base = pathlib.Path(folder) / "run"
            lines = base.with_suffix(".csv").read_text().splitlines()
            rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
            text, document = base.with_suffix(".md").read_text(), json.loads(base.with_suffix(".json").read_text())
            for shape in SHAPES:
                self.assertFalse(list(pathlib.Path(folder).glob(f"{shape}*.gguf")), "the file is deleted again")
        self.assertEqual(document["notes"], [], "nothing was left out")
        self.assertEqual("is a software GPU" in text, gpu["software"])
        titles = [model["title"] for model in document["models"]]
        self.assertEqual([title.split(" ")[0] for title in titles], SHAPES)
        for title in titles:
            with self.subTest(title):
                self.check([row for row in rows if row["model"] == title])

    def check(self, rows):
        for routing in ("skewed", "even"):
            decode = {row["way"]: row for row in rows if (row["routing"], row["test"]) == (routing, "decode")}
            self.assertEqual(WAYS - set(decode), set())
            self.assertTrue(any(way.startswith("--n-cpu-moe") for way in decode))
            for way, row in decode.items():
                self.assertEqual((row["prompt_tokens"], row["output_tokens"]), ("12", "8"), way)
                self.assertGreater(float(row["decode_tps"]), 0, way)
                self.assertEqual(int(row["cache_slots"]) > 0, way.startswith("cache"), way)
            self.assertGreater(int(decode["cache of 50%"]["hits"]), 0)
            self.assertGreater(int(decode["cache of 50%"]["cache_bytes"]), int(decode["cache of 10%"]["cache_bytes"]))
        prefill = {row["way"]: row for row in rows if row["test"] == "pp32"}
        self.assertEqual(set(prefill), {"stock, --cpu-moe", "plugin, --cpu-moe", "cache of 25%", "stock, all in VRAM"})
        for way, row in prefill.items():
            self.assertEqual(row["prompt_tokens"], "32", way)
            self.assertGreater(float(row["prefill_tps"]), 0, way)


unittest.main(argv=sys.argv[:1])
