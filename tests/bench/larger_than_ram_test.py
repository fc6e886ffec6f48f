#!/usr/bin/env python3
"""bench/larger_than_ram.py: what it makes of given runs, against figures worked out by hand, and the embedding that it scales.

usage: larger_than_ram_test.py SOURCE_DIR
"""
import pathlib, struct, sys, tempfile, unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(sys.argv[1]) / "bench"))
import larger_than_ram as bench


def runs(routing, rates):
    """Rounds of (first prompt, next prompt, decode) of stock and of the plugin."""
    made = []
    for stock, plugin in rates:
        made.append({"routing": routing, "way": "in RAM", "decode_tps": 20.0, "disk_rate": 1e9})
        for way, (first, following, decode) in (("stock", stock), ("plugin", plugin)):
            made.append({"routing": routing, "way": way, "first_prefill_tps": first, "prefill_tps": following, "decode_tps": decode,
                         "token_ms": [float(ms) for ms in range(1, 101)], "hit_rate": 0.5, "bytes_per_token": 160e6})
    return made


class Table(unittest.TestCase):
    results = {"runs": runs("even", [((10, 20, 1), (15, 60, 5)), ((10, 22, 2), (25, 70, 6)), ((12, 24, 3), (20, 50, 4))])}

    def test_medians_of_rounds_and_percentiles_of_all_tokens(self):
        made = bench.summary(self.results, "even")
        self.assertEqual(made["rounds"], 3)
        self.assertEqual(made["plugin"], {"first_prefill_tps": 20, "prefill_tps": 60, "decode_tps": 5, "token_ms": [51, 91, 100]})
        self.assertEqual(made["stock"]["decode_tps"], 2)

    def test_what_the_disk_gives(self):
        made = bench.summary(self.results, "even")
        self.assertAlmostEqual(made["disk_ms"], 160)  # 160 MB at 1 GB/s
        self.assertAlmostEqual(made["of_the_disk"], 0.8)  # of 6.25 tokens/s
        self.assertAlmostEqual(made["of_the_slower"], 0.8)  # 50 ms with all of it in RAM

    def test_where_computing_takes_longer_than_the_disk(self):
        results = {"runs": [run | ({"bytes_per_token": 10e6} if "bytes_per_token" in run else {}) for run in self.results["runs"]]}
        made = bench.summary(results, "even")
        self.assertAlmostEqual(made["of_the_disk"], 0.05)
        self.assertAlmostEqual(made["of_the_slower"], 0.25)

    def test_table(self):
        lines = bench.markdown(self.results).splitlines()
        self.assertEqual(len(lines), 4, "nothing was measured with skewed routing")
        self.assertEqual(lines[2], "| even | stock | 10 | 22 | 2 | 51, 91, 100 | | | |")
        self.assertEqual(lines[3], "| even | plugin | 20 (2.0×) | 60 (2.7×) | 5 (2.5×) | 51, 91, 100 | 50% | 160 MB | 80% |")


class Embedding(unittest.TestCase):
    def test_scales_are_multiplied_and_nothing_else(self):
        def string(text):
            return struct.pack("<Q", len(text)) + text.encode()

        header = b"GGUF" + struct.pack("<IQQ", 3, 2, 0)
        for name, offset in (("token_embd.weight", 0), ("other.weight", 160)):
            header += string(name) + struct.pack("<IQQIQ", 2, 32, 4, 8, offset)
        header += bytes(-len(header) % 32)
        block = struct.pack("<e32b", 0.25, *range(-16, 16))
        zero = struct.pack("<e32b", 0, *range(32))
        with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
            file.write(header + 3 * block + zero + bytes(24) + 4 * block)
            file.flush()
            bench.scale_embedding(file.name)
            data = pathlib.Path(file.name).read_bytes()
        scaled = struct.pack("<e32b", 256, *range(-16, 16))
        self.assertEqual(data, header + 3 * scaled + zero + bytes(24) + 4 * block)


unittest.main(argv=sys.argv[:1])
