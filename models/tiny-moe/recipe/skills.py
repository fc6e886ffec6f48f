"""What the four skill modules share: the sample record and slot filling."""
import hashlib
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Sample:
    skill: str
    prompt: str
    answer: str
    key: str  # names the combination; held-out combinations never reach training


def is_held_out(key, percent):
    """Decide by a hash of the key, so the split needs no stored list."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < percent


def read_blocks(name):
    """Yield (title, {field: [values]}) for each '# title' block of a data file.

    A field is one 'name: value' line, or 'name:' followed by lines up to 'end'.
    """
    blocks = (DATA / name).read_text(encoding="utf-8").split("\n# ")
    for block in blocks:
        lines = iter(block.removeprefix("# ").rstrip("\n").split("\n"))
        title, fields = next(lines), {}
        for line in lines:
            field, _, value = line.partition(":")
            if field and not value:
                value = "\n".join(iter(lambda: next(lines), "end"))
            if field:
                fields.setdefault(field, []).append(value.removeprefix(" "))
        yield title, fields


def upper_first(text):
    return text[:1].upper() + text[1:]
