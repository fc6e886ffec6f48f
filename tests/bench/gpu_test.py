#!/usr/bin/env python3
"""bench/gpu.py without a GPU: routers in a synthetic file, N at equal VRAM, what a short time leaves out, and the tables of
given runs, against figures worked out by hand.

usage: gpu_test.py SOURCE_DIR SHIMMY
"""
import pathlib, struct, subprocess, sys, tempfile, unittest

sys.dont_write_bytecode = True
SOURCE, SHIMMY = pathlib.Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, str(SOURCE / "bench"))
import gguf_router, gpu

N_EMBD, N_EXPERT = 256, 64


class RoutersOfAFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def synth(self, shape):
        toml, model = self.folder / "small.toml", self.folder / "small.gguf"
        toml.write_text(gpu.small_shape((SOURCE / f"shapes/{shape}.toml").read_text()))
        (self.folder / gpu.VOCAB.name).write_bytes(gpu.VOCAB.read_bytes())
        subprocess.run([SHIMMY, "synth", "--shape", toml, "--out", model], check=True, capture_output=True)
        return model

    def test_only_rows_of_routers_are_scaled(self):
        model = self.synth("deepseek-moe-16b")
        before = model.read_bytes()
        header = gguf_router.Header(model)
        self.assertEqual(header.metadata["general.architecture"], "deepseek")
        self.assertEqual(header.metadata["deepseek.expert_count"], N_EXPERT)
        routers = gguf_router.Routers(model, seed=1)
        self.assertEqual(len(routers.bytes["even"]), 3, "the first of four layers is dense")
        self.assertEqual(model.read_bytes(), before, "reading writes nothing")
        routers.write("skewed")
        after = model.read_bytes()
        orders = []
        for layer in (1, 2, 3):
            dims, type_, offset = header.tensors[f"blk.{layer}.ffn_gate_inp.weight"]
            self.assertEqual((dims, type_), ([N_EMBD, N_EXPERT], gguf_router.GGML_TYPE_F32))
            old, new = (struct.unpack_from(f"{N_EMBD * N_EXPERT}f", data, offset) for data in (before, after))
            found = []
            for expert in range(N_EXPERT):
                factors = [b / a for a, b in zip(old[expert * N_EMBD:][:N_EMBD], new[expert * N_EMBD:][:N_EMBD]) if a]
                self.assertAlmostEqual(min(factors), max(factors), 5, "one factor for a row")
                found.append(round(1 / factors[0]))
            self.assertEqual(sorted(found), list(range(1, N_EXPERT + 1)))
            orders.append(found)
            after = after[:offset] + before[offset:offset + 4 * N_EMBD * N_EXPERT] + after[offset + 4 * N_EMBD * N_EXPERT:]
        self.assertNotEqual(orders[0], orders[1], "every layer has its own favourites")
        self.assertEqual(after, before, "and nothing else is touched")
        self.assertEqual(gguf_router.Routers(model, seed=1).bytes["even"], routers.bytes["skewed"])
        routers.write("even")
        self.assertEqual(model.read_bytes(), before)

    def test_small_shapes_are_made(self):
        for shape, _, _ in gpu.MODELS:
            self.assertIn("blk.3.ffn_gate_inp.weight", gguf_router.Header(self.synth(shape)).tensors, shape)

    def test_other_files_are_refused(self):
        other = self.folder / "other.gguf"
        other.write_bytes(b"GGML" + bytes(100))
        with self.assertRaisesRegex(ValueError, "not a GGUF file"):
            gguf_router.Routers(other)

    def test_another_type_is_refused(self):
        name = b"blk.0.ffn_gate_inp.weight"
        header = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", len(name)) + name + struct.pack("<IQQIQ", 2, 4, 2, 1, 0)
        file = self.folder / "f16.gguf"
        file.write_bytes(header + bytes(100))
        with self.assertRaisesRegex(ValueError, "type 1 and 2 dimensions, expected F32"):
            gguf_router.Routers(file)


class Choices(unittest.TestCase):
    def test_layers_at_equal_vram(self):
        layers = [0, 100, 100, 100, 100]  # the first is dense
        self.assertEqual(gpu.layers_at_equal_vram(layers, 100), (4, 100))
        self.assertEqual(gpu.layers_at_equal_vram(layers, 240), (3, 200))
        self.assertEqual(gpu.layers_at_equal_vram(layers, 250), (2, 300), "the larger of two equally near")
        self.assertIsNone(gpu.layers_at_equal_vram(layers, 40), "no layer is nearer")
        self.assertEqual(gpu.layers_at_equal_vram([10, 30, 50], 70), (1, 80), "layers of different sizes")

    def test_cells(self):
        cells = gpu.cells_of([102400] * 8, True, [512])
        skewed = [cell.way.name for cell in cells if cell.routing == "skewed"]
        self.assertEqual(skewed, ["stock, --cpu-moe", "plugin, --cpu-moe", "cache of 25%", "--n-cpu-moe 6 of 8", "cache of 10%",
                                  "--n-cpu-moe 7 of 8", "stock, all in VRAM", "cache of 50%", "--n-cpu-moe 4 of 8", "cache of 5%"])
        self.assertEqual(cells[2].way.flags, ("--cpu-moe", "--moe-cache", "200KiB"))
        self.assertEqual(cells[5].way.expert_share, 12.5)
        self.assertEqual(len(cells), len(set(cells)))
        self.assertNotIn(gpu.BASELINE, [cell.way for cell in gpu.cells_of([100] * 8, False, [512])])

    def test_what_is_left_out(self):
        pending = [0, 1, 2, 0, 1, 2]  # two rounds
        self.assertEqual(gpu.affordable(pending, [2, 3, 5], 20), set())
        self.assertEqual(gpu.affordable(pending, [2, 3, 5], 19), {2})
        self.assertEqual(gpu.affordable(pending, [2, 3, 5], 9), {1, 2})
        self.assertEqual(gpu.affordable(pending, [2, 3, 5], 3), {0, 1, 2})


def document(token_ms, prefill_tps, hits=0):
    return {"n_prompt_tokens": 128, "n_output_tokens": len(token_ms), "prefill_tps": prefill_tps, "token_ms": token_ms,
            "load_ms": 1.0, "memory": {"vram_bytes": 3 << 29}, "n_threads": 16, "shimmy_version": "1", "llama_cpp_version": "2",
            "expert_cache": {"bytes": 7, "slots": 2, "lookups": 200, "hits": hits, "uploads": 10} if hits else None,
            "expert_use": [{"layer": l, "expert": e, "hits": n} for l in (1, 2) for e, n in enumerate((50, 30, 10, 10))]}


class Tables(unittest.TestCase):
    def test_rates(self):
        # Four tokens; the second half begins with the third: one interval of 20 ms. In all, three in 220 ms.
        self.assertEqual(gpu.decode_rates([100, 200, 300, 320]), (50.0, 3 / 220 * 1000))
        self.assertEqual(gpu.decode_rates([1, 2, 3]), (None, None))
        self.assertEqual(gpu.top_quarter_share(document([], 1)["expert_use"]), 50.0)
        self.assertIsNone(gpu.top_quarter_share([]))

    def results(self, software):
        cache = gpu.cache_way(25, 400)
        runs = []
        for round_, (stock_ms, cache_ms) in enumerate([(20, 10), (25, 20), (40, 10)], 1):  # 50, 40, 25 and 100, 50, 100 tokens/s
            for way, ms, hits in ((gpu.STOCK, stock_ms, 0), (cache, cache_ms, 150)):
                given = document([0, 5, 100, 100 + ms], 200.0 * round_, hits)
                runs.append({"row": gpu.csv_row("m", gpu.Cell("even", "decode", way), round_, given), "document": given})
        ways = {way.name: gpu.asdict(way) for way in (gpu.STOCK, gpu.PLUGIN, cache)}
        device = {"description": "Card", "backend": "CUDA", "memory_total_bytes": 8 << 30, "software": software}
        return {"warning": gpu.SOFTWARE.format(gpu="Card") if software else None,
                "machine": {"date": "now", "gpu": device, "cpu": "Processor", "n_cores": 16, "ram_bytes": 64 << 30,
                            "nvidia_smi": "Card, 550, 8192 MiB, 4, 16"},
                "settings": {"threads": 0, "tokens": 4, "prompt": 128}, "notes": ["m: pp512: no time for round 3"], "runs": runs,
                "models": [{"title": "m", "size_bytes": 3 << 30, "expert_bytes": 2 << 30, "n_expert": 4, "n_expert_used": 2,
                            "n_ctx": 512, "ways": ways}]}

    def test_tables(self):
        text = gpu.markdown(self.results(False))
        # Rounds: 100 / 50, 50 / 40, 100 / 25.
        for line in ["| stock, --cpu-moe | 0% | 1.50 | - | - | 40.0 (25.0–50.0) | 1.00 (1.00–1.00) | 3 |",
                     "| cache of 25% | 25% | 1.50 | 75% | 0.050 | 100.0 (50.0–100.0) | 2.00 (1.25–4.00) | 3 |",
                     "| way | 128 tokens |", "| cache of 25% | 400.0 (200.0–600.0) |", "* m: pp512: no time for round 3",
                     "**Decode, even routers.** The most used quarter of each layer's experts had 50% of the uses."]:
            self.assertIn(line, text.splitlines())
        self.assertIn("nvidia-smi: Card, 550", text)
        self.assertNotIn("| plugin", text, "a way without runs has no line")
        self.assertNotIn("software", text)

    def test_a_software_gpu_is_named_in_every_file(self):
        with tempfile.TemporaryDirectory() as folder:
            base = pathlib.Path(folder) / "x"
            gpu.write(base, self.results(True))
            for suffix in (".md", ".csv", ".json"):
                self.assertIn("Card is a software GPU", base.with_suffix(suffix).read_text())
            self.assertEqual(len(base.with_suffix(".csv").read_text().splitlines()), 8, "a comment, the fields, six runs")


unittest.main(argv=sys.argv[:1])
