"""A small byte-level BPE tokenizer, trained on the corpus.

It must agree with llama.cpp's "gpt2" tokenizer and its "smollm" pre-tokenizer:
digits stand alone, then words with their leading space, runs of punctuation and
white space. Text between two matches is a piece of its own.
"""
import argparse
import collections
import heapq
import json
import re
from pathlib import Path

import corpus

BOS, END, USER, ASSISTANT = "<|bos|>", "<|end|>", "<|user|>", "<|assistant|>"
SPECIALS = [BOS, END, USER, ASSISTANT]
LETTER, OTHER = r"[^\W\d_]", r"(?:[^\s\w]|_)"
PIECES = re.compile(rf"'s|'t|'re|'ve|'m|'ll|'d| ?{LETTER}+| ?{OTHER}+|\s+(?!\S)")


def byte_alphabet():
    """Byte value -> printable character, as GPT-2 spells bytes in its vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(hidden)}}


ALPHABET = byte_alphabet()


def split_pieces(text):
    """Cut text into the pieces inside which merges may happen."""
    pieces = []
    for part in re.split(r"(\d)", text):
        end = 0
        for match in PIECES.finditer(part):
            pieces += [part[end:match.start()], match.group()]
            end = match.end()
        pieces.append(part[end:])
    return [p for p in pieces if p]


def spell(piece):
    return [ALPHABET[b] for b in piece.encode("utf-8")]


def merge_pair(symbols, pair):
    """Replace every occurrence of the pair, from left to right."""
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def train_merges(piece_counts, count):
    """Learn merges greedily by frequency; ties go to the smaller pair."""
    words = [(spell(piece), n) for piece, n in sorted(piece_counts.items())]
    pair_counts, places = collections.Counter(), collections.defaultdict(set)
    for w, (symbols, n) in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            pair_counts[pair] += n
            places[pair].add(w)
    heap = [(-n, pair) for pair, n in pair_counts.items()]
    heapq.heapify(heap)
    merges = []
    while heap and len(merges) < count:
        negative, pair = heapq.heappop(heap)
        if pair_counts[pair] != -negative or not negative:
            continue  # an outdated entry; the current one is elsewhere in the heap
        merges.append(pair)
        changed = set()
        for w in places.pop(pair):
            symbols, n = words[w]
            for old in zip(symbols, symbols[1:]):
                pair_counts[old] -= n
                changed.add(old)
            symbols = merge_pair(symbols, pair)
            words[w] = (symbols, n)
            for new in zip(symbols, symbols[1:]):
                pair_counts[new] += n
                places[new].add(w)
                changed.add(new)
        for touched in changed:
            heapq.heappush(heap, (-pair_counts[touched], touched))
    return merges


class Tokenizer:
    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.tokens = SPECIALS + sorted(ALPHABET.values()) + [a + b for a, b in self.merges]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.ranks = {pair: i for i, pair in enumerate(self.merges)}
        self.bos, self.end, self.user, self.assistant = (self.ids[s] for s in SPECIALS)
        self.cache = {}

    @classmethod
    def load(cls, path):
        return cls(json.loads(Path(path).read_text(encoding="utf-8"))["merges"])

    def save(self, path):
        Path(path).write_text(json.dumps({"merges": self.merges}), encoding="utf-8")

    def encode(self, text):
        """Plain text to ids; special tokens are never read from text."""
        return [i for piece in split_pieces(text) for i in self.encode_piece(piece)]

    def encode_piece(self, piece):
        if piece not in self.cache:
            symbols = spell(piece)
            while len(symbols) > 1:
                pair = min(zip(symbols, symbols[1:]), key=lambda p: self.ranks.get(p, len(self.ranks)))
                if pair not in self.ranks:
                    break
                symbols = merge_pair(symbols, pair)
            self.cache[piece] = [self.ids[s] for s in symbols]
        return self.cache[piece]

    def encode_chat(self, turns):
        """[(prompt, answer), ...] to ids; an answer of None leaves the turn open."""
        ids = [self.bos]
        for prompt, answer in turns:
            ids += [self.user, *self.encode(prompt), self.end, self.assistant]
            if answer is not None:
                ids += [*self.encode(answer), self.end]
        return ids

    def decode(self, ids):
        byte_of = {c: b for b, c in ALPHABET.items()}
        text = "".join(self.tokens[i] for i in ids if i >= len(SPECIALS))
        return bytes(byte_of[c] for c in text).decode("utf-8", "replace")


def main():
    parser = argparse.ArgumentParser(description="Train the tokenizer on corpus samples.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocab-size", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=30000)
    args = parser.parse_args()
    counts = collections.Counter()
    for sample in corpus.training_samples(args.samples):
        counts.update(split_pieces(corpus.plain_text(sample)))
    merges = train_merges(counts, args.vocab_size - len(SPECIALS) - len(ALPHABET))
    tokenizer = Tokenizer(merges)
    tokenizer.save(args.out)
    print(f"{args.out}: {len(tokenizer.tokens)} tokens, {len(counts)} distinct pieces")


if __name__ == "__main__":
    main()
