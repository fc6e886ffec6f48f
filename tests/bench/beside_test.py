#!/usr/bin/env python3
"""bench/beside.py on the embedded model, a few tokens: each way has its rate in each row, and no busy program is left.

usage: beside_test.py SOURCE_DIR BIN_DIR
"""
import os, pathlib, re, subprocess, sys, unittest

SOURCE, BIN = map(pathlib.Path, sys.argv[1:3])
CELL = re.compile(r"(\d+\.\d) \((\d+\.\d) to (\d+\.\d)\)")


class Beside(unittest.TestCase):
    def test_a_row_for_each_number_of_busy_programs(self):
        marked = {**os.environ, "BESIDE_TEST": str(os.getpid())}
        out = subprocess.check_output(
            [SOURCE / "bench/beside.py", SOURCE / "models/tiny-moe/tiny-moe-f16.gguf", "--bin", BIN, "--busy", "0", "1", "--rounds", "1",
             "--tokens", "2", "--wait", "short=100"], text=True, env=marked)
        head, _, *rows = out.splitlines()
        self.assertEqual(head, "| busy programs | shimmy | libgomp's own | short |")
        self.assertEqual([row.split("|")[1].strip() for row in rows], ["0", "1"])
        for row in rows:
            cells = CELL.findall(row)
            self.assertEqual(len(cells), 3, row)
            for median, least, most in cells:
                self.assertTrue(0 < float(least) <= float(median) <= float(most), row)
        mark = f"BESIDE_TEST={os.getpid()}".encode()
        for process in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                self.assertNotIn(mark, process.read_bytes(), process)
            except OSError:  # another user's, or gone
                pass


unittest.main(argv=sys.argv[:1])
