#!/usr/bin/env python3
"""bench/peer_cache.py on logs as both programs write them, against figures worked out by hand.

usage: peer_cache_test.py SOURCE_DIR
"""
import pathlib, sys, unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(sys.argv[1]) / "bench"))
import peer_cache

EXPERT = 384 << 10  # bytes
# As llama-perplexity of llama.cpp 0.7.0 printed them for tiny-moe, with a line of a larger batch added.
THEIRS = """0.00.242.667 I impl:    Vulkan0 MoE cache size =     4.88 MiB for 18.00 MiB of host experts
0.42.848.479 I Final estimate: PPL = 1.9218 +/- 0.22966
0.42.859.060 I common_memory_breakdown_print: |   - Vulkan0 (llvmpipe (LLVM 22.1.8, 256 bits)) | 24105 = 20278 + (  11 =     5 +       5 +       0) +        3815 |
0.42.859.694 I llama_moe_cache: ubatch <= 8: hits = 2219, misses = 2921, hit rate = 43.17%, uploaded = 1095.38 MiB
0.42.859.694 I llama_moe_cache: ubatch <= 32: hits = 1, misses = 9, hit rate = 10.00%, uploaded = 3.00 MiB
"""
OURS = """0.40.1 I Final estimate: PPL = 1.9219 +/- 0.22966
0.42.1 I ggml-moe: experts in VRAM: 2300 of 5000 look-ups were hits, 213 uploads (79.9 MiB)
"""


class Counts(unittest.TestCase):
    def test_row(self):
        row = peer_cache.row_of("m", 48, EXPERT, THEIRS, OURS)
        self.assertEqual(row["slots"], 13, "of 384 KiB in 4.88 MiB")
        self.assertEqual((row["hits"], row["lookups"]), (2220, 5150), "batches of all sizes")
        self.assertEqual(row["uploads"], 2929, "1098.38 MiB of 384 KiB")
        self.assertEqual(row["uploads_after_fill"], 2916)
        self.assertEqual((row["own_hits"], row["own_lookups"], row["own_uploads_after_fill"]), (2300, 5000, 200))
        self.assertEqual(peer_cache.markdown([row]).splitlines()[2], "| m | 13 of 48 | 43.1% | 2916 | 46.0% | 200 | 0.07 |")

    def test_device(self):
        self.assertEqual(peer_cache.device_of(THEIRS), "Vulkan0 llvmpipe (LLVM 22.1.8, 256 bits)")
        with self.assertRaisesRegex(ValueError, "used no GPU"):
            peer_cache.device_of(OURS)

    def test_fewer_uploads_than_slots_are_the_first_fill_alone(self):
        row = peer_cache.row_of("m", 48, EXPERT, THEIRS.replace("1095.38", "1.5").replace("3.00", "0"), OURS.replace("213", "12"))
        self.assertEqual((row["uploads_after_fill"], row["own_uploads_after_fill"]), (0, 0))
        self.assertIn("| 0 | - |", peer_cache.markdown([row]))

    def test_what_is_missing_or_differs_is_said(self):
        for theirs, ours, reason in [(THEIRS.replace("llama_moe_cache", "x"), OURS, "llama.cpp counted nothing"),
                                     (THEIRS.replace("cache size", "x"), OURS, "llama.cpp opened no cache"),
                                     (THEIRS, OURS.replace("experts in VRAM", "x"), "the plugin opened no cache"),
                                     (THEIRS, OURS.replace("Final", "x"), "llama-perplexity did not finish: 0.40.1"),
                                     (THEIRS, OURS.replace("1.9219", "1.95"), "m: the perplexities differ by 1.5%")]:
            with self.assertRaisesRegex(ValueError, reason):
                peer_cache.row_of("m", 48, EXPERT, theirs, ours)


unittest.main(argv=sys.argv[:1])
