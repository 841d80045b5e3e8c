"""Seeds derived by hashing, so that every random draw is a function of its name and place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for one named use of `seed`; different names give unrelated seeds.

    Hashing (SHA-256) makes the result the same on every platform and library version.

    >>> derive(0, "order", 1) == derive(0, "order", 1)
    True
    >>> derive(0, "order", 1) == derive(0, "order", 2)
    False
    """
    text = ":".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def shuffled(seed: int, keys: Sequence[str | int]) -> list[int]:
    """Positions of `keys` in a fixed random order: sorted by the hash of seed and key.

    Unlike a generator's permutation it depends on no library's stream, and adding a key moves
    no other key past another.

    >>> sorted(shuffled(0, ["a", "b", "c"]))
    [0, 1, 2]
    """
    hashes = [derive(seed, key) for key in keys]
    return sorted(range(len(keys)), key=hashes.__getitem__)
