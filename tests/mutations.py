"""Damaged files: bytes changed, cut off, put twice, or filled with what parsers stumble over."""

from __future__ import annotations

import random

STUMBLES = (
    b"[" * 5000,
    b'{"a":' * 5000,
    b"\x00" * 9,
    b'"\\ud800"',
    b"\xff\xfe",
    b"1e999",
    b"-",
    b"null",
    b"&a [*a]",
    b"%",
)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Damage data in one way or several, at random."""
    mutated = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(mutated)) if mutated else 0
        match chance.randrange(6):
            case 0:
                del mutated[at:]
            case 1:
                mutated[at:at] = chance.choice(STUMBLES)
            case 2:
                mutated[at : at + chance.randint(1, 40)] = mutated[: chance.randint(0, 40)]
            case _:
                for place in range(at, min(at + chance.randint(1, 8), len(mutated))):
                    mutated[place] = chance.randrange(256)
    return bytes(mutated)
