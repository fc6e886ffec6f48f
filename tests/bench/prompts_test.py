#!/usr/bin/env python3
"""bench/prompts.cpp on one layer: what crosses the link and how the graph is split, with and without the plugin.

usage: prompts_test.py MOE_PROMPTS
"""
import json, os, subprocess, sys, unittest

MOE_PROMPTS = sys.argv[1]
ENV = {**os.environ, "GGML_MOE_GPU_MIN_BATCH": "128"}  # not what this machine would measure
MATRIX = 2048 * 768 * 128 * 144 // 256  # bytes of Q4_K


def rows(*options):
    run = subprocess.run([MOE_PROMPTS, "--tokens", "32,128,512", "--layers", "1", "--repeats", "1", "--json", *options], check=True,
                         capture_output=True, text=True, env=ENV)
    document = json.loads(run.stdout)
    return document["conditions"], {row["tokens"]: row for row in document["rows"]}


class Prompts(unittest.TestCase):
    def check(self, by_tokens):
        for tokens in (128, 512):
            row = by_tokens[tokens]
            self.assertEqual(row["plugin_link_bytes"], row["stock_link_bytes"], "streamed in both cases")
            self.assertEqual(row["plugin_splits"], row["stock_splits"])
            self.assertGreater(row["stock_link_bytes"], 2.9 * MATRIX)
        self.assertGreater(by_tokens[32]["stock_link_bytes"], 2 * MATRIX, "stock streams the experts that are used")
        self.assertLess(by_tokens[32]["plugin_link_bytes"], MATRIX // 10, "the plugin computes these")

    def test_without_a_cache(self):
        conditions, by_tokens = rows()
        self.assertEqual((conditions["cache_percent"], conditions["n_layers"]), (0, 1))
        self.check(by_tokens)

    def test_with_a_cache(self):
        conditions, by_tokens = rows("--cache", "25")
        self.assertEqual(conditions["cache_percent"], 25)
        for tokens in (128, 512):
            self.assertEqual(by_tokens[tokens]["plugin_link_bytes"], by_tokens[tokens]["stock_link_bytes"])
            self.assertEqual(by_tokens[tokens]["plugin_splits"], by_tokens[tokens]["stock_splits"])


unittest.main(argv=sys.argv[:1])
