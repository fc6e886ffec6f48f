#!/usr/bin/env python3
"""bench/optimum.py against a trace worked out by hand, and against every choice that there is on short random ones.

usage: optimum_test.py SOURCE_DIR
"""
import itertools, pathlib, random, subprocess, sys, tempfile, unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(SOURCE / "bench"))
import optimum


def all_choices(calls, slots):
    """The fewest uploads for each number of hits, by trying everything."""
    states = {(frozenset(), 0): 0}  # what is held and hits so far, to uploads
    for call in calls:
        after = {}
        for (held, hits), uploads in states.items():
            now = hits + len(held & set(call))
            for n in range(slots + 1):
                for kept in itertools.combinations(sorted(held | set(call)), n):
                    key = frozenset(kept), now
                    cost = uploads + len(set(kept) - held)
                    after[key] = min(after.get(key, cost), cost)
        states = after
    fewest = {}
    for (_, hits), uploads in states.items():
        fewest[hits] = min(fewest.get(hits, uploads), uploads)
    return fewest


class Optimum(unittest.TestCase):
    def test_one_slot_by_hand(self):
        calls = [[e] for e in "AAABAA"]
        self.assertEqual(optimum.least_recently_used(calls, 1), (3, 3))
        self.assertEqual(optimum.fewest_uploads(calls, 1, 3)[0], (4, 1), "B is left out")
        self.assertIsNone(optimum.fewest_uploads(calls, 1, 5))

    def test_the_layer_keeps_what_it_just_used(self):
        self.assertEqual(optimum.least_recently_used([["A", "B"], ["A", "C"], ["A", "B"]], 2), (2, 4))

    def test_against_every_choice(self):
        rng = random.Random(1)
        for _ in range(12):
            calls = [rng.sample("ABCDE", rng.choice((1, 2))) for _ in range(9)]
            for slots in (1, 2):
                fewest = all_choices(calls, slots)
                for worth in (0.3, 0.8, 1.7, 5.2):
                    hits, uploads = optimum.Flow(calls, worth).fill(slots)
                    best = max(worth * h - u for h, u in fewest.items())
                    self.assertAlmostEqual(worth * hits - uploads, best, 6, (calls, slots, worth))
                wanted = max(fewest)
                (hits, uploads), bound = optimum.fewest_uploads(calls, slots, wanted)
                least = min(u for h, u in fewest.items() if h >= wanted)
                self.assertEqual((hits, uploads), (wanted, least), (calls, slots))
                self.assertLessEqual(bound, least + 1e-9)

    def test_of_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            trace = pathlib.Path(folder) / "t.csv"
            lines = ["0,0,0,3,0,7,1,0,100"] + [f"0,1,{i},3,0,{e},1,0,100" for i, e in enumerate((1, 1, 1, 2, 1, 1))]
            trace.write_text("\n".join(["# route_trace v1", "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes", *lines]) + "\n")
            done = subprocess.run([SOURCE / "bench/optimum.py", trace, "--slots", "1"], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.splitlines(), [
            "6 look-ups of 2 experts, 1 slots", "least recently used: 3 hits (50.00%), 3 uploads, 2 after the first fill",
            "the future known:    4 hits (66.67%), 1 uploads, 0 after the first fill; 3 hits need 1 at least"])


unittest.main(argv=sys.argv[:1])
