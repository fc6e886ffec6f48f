#!/usr/bin/env python3
"""How few uploads a cache of experts would need that knew the future: for a recorded routing (`--expert-trace`,
GGML_MOE_TRACE) and so many slots, the fewest with which it hits as often as least recently used does.

A cache uploads an expert only after it was missed, and may leave a miss out. Every choice of what stays is then a set of
paths through time, one for each slot: from a use of an expert to its next use (a hit), or to another expert (an upload).
The best set is a flow of least cost, which is found exactly. Counting is that of `shimmy plan --trace`: one look-up per
distinct expert of a layer and token; what a layer missed enters after the layer. Single tokens count, prompts do not.

usage: optimum.py TRACE.csv --slots N [--hits N]
"""

import argparse
import collections
import csv
import heapq
import sys

STEPS = 12  # halvings of what a hit is worth
NEVER = float("inf")


def read_calls(path):
    """The distinct experts of every layer of every single token, in the order of the file."""
    calls = {}
    with open(path, newline="") as file:
        rows = csv.reader(line for line in file if not line.startswith(("#", "turn,")))
        for row in rows:
            turn, phase, step, layer, _, expert = map(int, row[:6])
            if phase == 1:
                calls.setdefault((turn, step, layer), {})[layer, expert] = None
    return [list(call) for call in calls.values()]


def least_recently_used(calls, slots):
    """(hits, uploads) of a cache that uploads every miss."""
    held, hits, uploads = collections.OrderedDict(), 0, 0
    for call in calls:
        for expert in call:
            hits += expert in held
            uploads += expert not in held
            held[expert] = None
            held.move_to_end(expert)
        while len(held) > slots:
            held.popitem(last=False)
    return hits, uploads


class Flow:
    """Nodes 0..len(calls) are time, where slots are free; each look-up has one where its expert was just used, and one
    where it stays. An arc is [to, room, cost, index of its reverse]."""

    def __init__(self, calls, worth):
        self.end = len(calls)
        lookups = [(at, expert) for at, call in enumerate(calls) for expert in call]
        self.first = self.end + 1
        self.arcs = [[] for _ in range(self.first + 2 * len(lookups))]
        self.order, self.uploads, self.hits = [], [], []
        for at in range(self.end):
            self.add(at, at + 1, len(lookups), 0.0)
        next_use = {}
        for i in range(len(lookups) - 1, -1, -1):
            at, expert = lookups[i]
            used, stays = self.first + 2 * i, self.first + 2 * i + 1
            self.uploads.append(self.add(at, stays, 1, 1.0))
            if expert in next_use:
                self.hits.append(self.add(stays, self.first + 2 * next_use[expert], 1, -worth))
            self.add(used, stays, 1, 0.0)
            self.add(used, at, 1, 0.0)  # the slot is free again
            next_use[expert] = i
        i = self.first
        for at, call in enumerate(calls):
            self.order += [*range(i, i + 2 * len(call), 2), at, *range(i + 1, i + 2 * len(call), 2)]
            i += 2 * len(call)
        self.order.append(self.end)

    def add(self, a, b, room, cost):
        arc = [b, room, cost, len(self.arcs[b])]
        self.arcs[a].append(arc)
        self.arcs[b].append([a, 0, -cost, len(self.arcs[a]) - 1])
        return arc

    def first_distances(self):
        distance = [NEVER] * len(self.arcs)
        distance[0] = 0.0
        for node in self.order:
            for to, room, cost, _ in self.arcs[node]:
                if room > 0 and distance[node] + cost < distance[to]:
                    distance[to] = distance[node] + cost
        return [0.0 if d == NEVER else d for d in distance]

    def cheapest_path(self, potential):
        distance, before, queue = [NEVER] * len(self.arcs), [None] * len(self.arcs), [(0.0, 0)]
        distance[0] = 0.0
        while queue:
            d, node = heapq.heappop(queue)
            if d > distance[node] + 1e-12:
                continue
            for arc in self.arcs[node]:
                to, room, cost, _ = arc
                if room > 0 and d + cost + potential[node] - potential[to] < distance[to] - 1e-12:
                    distance[to] = d + cost + potential[node] - potential[to]
                    before[to] = (node, arc)
                    heapq.heappush(queue, (distance[to], to))
        return distance, before

    def fill(self, slots):
        """(hits, uploads) with the most worth * hits - uploads."""
        potential = self.first_distances()
        for _ in range(slots):
            distance, before = self.cheapest_path(potential)
            potential = [p + min(d, distance[self.end]) for p, d in zip(potential, distance)]
            if potential[self.end] - potential[0] > -1e-9:
                break  # another slot gains nothing
            node = self.end
            while node != 0:
                node, arc = before[node]
                arc[1] -= 1
                self.arcs[arc[0]][arc[3]][1] += 1
        return sum(arc[1] == 0 for arc in self.hits), sum(arc[1] == 0 for arc in self.uploads)


def fewest_uploads(calls, slots, hits):
    """(hits, uploads) of a choice with at least so many hits, and a number of uploads that none with so many is below;
    None if no choice hits so often."""
    low, high = 0.0, 64.0  # what a hit is worth, in uploads
    best = Flow(calls, high).fill(slots)
    if best[0] < hits:
        return None
    bound = best[1] + high * (hits - best[0])
    for _ in range(STEPS):
        worth = (low + high) / 2
        found = Flow(calls, worth).fill(slots)
        bound = max(bound, found[1] + worth * (hits - found[0]))
        if found[0] >= hits:
            best, high = min(best, found, key=lambda pair: pair[1]), worth
        else:
            low = worth
    return best, max(0.0, bound)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace")
    parser.add_argument("--slots", type=int, required=True, help="experts that there is room for")
    parser.add_argument("--hits", type=int, help="hits that are wanted (default: those of least recently used)")
    args = parser.parse_args()
    calls = read_calls(args.trace)
    if not calls:
        sys.exit(f"optimum: {args.trace} has no single tokens")
    n, distinct = sum(map(len, calls)), len({expert for call in calls for expert in call})
    hits, uploads = least_recently_used(calls, args.slots)
    print(f"{n} look-ups of {distinct} experts, {args.slots} slots")
    print(f"least recently used: {hits} hits ({100 * hits / n:.2f}%), {uploads} uploads, {max(0, uploads - args.slots)} after the first fill")
    wanted = hits if args.hits is None else args.hits
    best = fewest_uploads(calls, args.slots, wanted)
    if best is None:
        sys.exit(f"optimum: no cache of {args.slots} slots hits {wanted} times")
    (found, found_uploads), bound = best
    print(f"the future known:    {found} hits ({100 * found / n:.2f}%), {found_uploads} uploads, {max(0, found_uploads - args.slots)} after the first "
          f"fill; {wanted} hits need {bound:.0f} at least")


if __name__ == "__main__":
    main()
