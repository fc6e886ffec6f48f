"""Makes the routing of a synthetic model uneven, by scaling rows of its routers in the file.

Trained routers prefer some experts; random ones hardly do. A row that is scaled by a small factor wins less often: the
logit of its expert shrinks towards 0, which others exceed.
"""

import array
import random
import re
import struct

GGUF_VERSIONS = (2, 3)
GGML_TYPE_F32 = 0
SCALARS = {0: "B", 1: "b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "?", 10: "<Q", 11: "<q", 12: "<d"}  # by value type
STRING, ARRAY = 8, 9
ZIPF = 1.0  # the quarter of the experts that is used most gets 62% (2 of 16) to 78% (6 of 64) of the uses of independent tokens


class Header:
    """`tensors`: name to (dimensions, type, offset in the file). `metadata`: scalars and strings."""

    def __init__(self, path):
        with open(path, "rb") as self.file:
            if self.file.read(4) != b"GGUF" or self.scalar("<I") not in GGUF_VERSIONS:
                raise ValueError(f"{path} is not a GGUF file of version 2 or 3")
            n_tensors, n_values = self.scalar("<Q"), self.scalar("<Q")
            self.metadata = {self.string(): self.value(self.scalar("<I")) for _ in range(n_values)}
            tensors = {}
            for _ in range(n_tensors):
                name, n_dims = self.string(), self.scalar("<I")
                dims = [self.scalar("<Q") for _ in range(n_dims)]
                tensors[name] = (dims, self.scalar("<I"), self.scalar("<Q"))
            alignment = self.metadata.get("general.alignment", 32)
            data = -(-self.file.tell() // alignment) * alignment
        self.tensors = {name: (dims, type_, data + offset) for name, (dims, type_, offset) in tensors.items()}

    def scalar(self, format_):
        return struct.unpack(format_, self.file.read(struct.calcsize(format_)))[0]

    def string(self):
        return self.file.read(self.scalar("<Q")).decode("utf-8", "replace")

    def value(self, type_):
        if type_ == STRING:
            return self.string()
        if type_ == ARRAY:
            element, n = self.scalar("<I"), self.scalar("<Q")
            for _ in range(n):
                self.value(element)
            return None
        return self.scalar(SCALARS[type_])


def factors(n_expert, rng):
    """1, 1/2, 1/3, … in a random order."""
    result = [(1 + rank) ** -ZIPF for rank in range(n_expert)]
    rng.shuffle(result)
    return result


class Routers:
    """The routers of a file, as they were made ("even") and with scaled rows ("skewed"). Only these bytes are written."""

    def __init__(self, path, seed=42):
        self.path, self.bytes = path, {"even": {}, "skewed": {}}  # routing to {offset: bytes}
        rng = random.Random(seed)
        found = {}
        for name, tensor in Header(path).tensors.items():
            if match := re.fullmatch(r"blk\.(\d+)\.ffn_gate_inp\.weight", name):
                found[int(match[1])] = (name, *tensor)
        if not found:
            raise ValueError(f"{path} has no routers (blk.N.ffn_gate_inp.weight)")
        with open(path, "rb") as file:
            for layer in sorted(found):
                name, dims, type_, offset = found[layer]
                if type_ != GGML_TYPE_F32 or len(dims) != 2:
                    raise ValueError(f"{path}: {name} has type {type_} and {len(dims)} dimensions, expected F32 (0) and 2")
                n_embd, n_expert = dims
                file.seek(offset)
                rows = array.array("f", file.read(4 * n_embd * n_expert))
                self.bytes["even"][offset] = rows.tobytes()
                for expert, factor in enumerate(factors(n_expert, rng)):
                    for i in range(expert * n_embd, (expert + 1) * n_embd):
                        rows[i] *= factor
                self.bytes["skewed"][offset] = rows.tobytes()

    def write(self, routing):
        with open(self.path, "r+b") as file:
            for offset, data in self.bytes[routing].items():
                file.seek(offset)
                file.write(data)
