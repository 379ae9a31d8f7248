"""Damaged and doctored copies of small models, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

ABSURD = (0, -1, 1, 2, 127, 2**31 - 1, -(2**31), 2**30, -4, 4, 65_536, 1_000_000)
"""Values that are put where an offset, a length or a size may stand."""


def cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Keep the beginning only."""
    return data[: int(rng.integers(8, len(data)))]


def flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Turn a few bits over."""
    for place in rng.integers(8, len(data), int(rng.integers(1, 9))):
        data[place] ^= 1 << int(rng.integers(8))
    return data


def scribble(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Write a few random bytes anywhere, the offset of the root included."""
    for place in rng.integers(0, len(data), int(rng.integers(1, 9))):
        if not 4 <= place < 8:
            data[place] = int(rng.integers(256))
    return data


def overwrite(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Put absurd numbers where 32-bit numbers stand."""
    for _ in range(int(rng.integers(1, 4))):
        place = 4 * int(rng.integers(2, len(data) // 4))
        value = ABSURD[int(rng.integers(len(ABSURD)))]
        data[place : place + 4] = value.to_bytes(4, "little", signed=True)
    return data


def nudge(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Move what a 32-bit number points at by a little."""
    place = 4 * int(rng.integers(2, len(data) // 4))
    value = int.from_bytes(data[place : place + 4], "little") + int(rng.integers(-16, 17))
    data[place : place + 4] = (value % 2**32).to_bytes(4, "little")
    return data


def swap(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Exchange two stretches: vectors and tables change places."""
    size = 4 * int(rng.integers(1, 9))
    one, other = (4 * int(rng.integers(2, max(3, (len(data) - size) // 4))) for _ in range(2))
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]
    return data


def append(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Put noise behind the file, or a part of it once more."""
    more = rng.bytes(int(rng.integers(1, 500))) if rng.integers(2) else bytes(data[int(rng.integers(len(data))) :])
    return data + more


KINDS: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (
    cut,
    flip,
    scribble,
    overwrite,
    nudge,
    swap,
    append,
)


def mutants(wholes: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Give so many damaged copies of these models, of every kind of damage in turn."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        whole = wholes[int(rng.integers(len(wholes)))]
        yield bytes(KINDS[number % len(KINDS)](bytearray(whole), rng))
