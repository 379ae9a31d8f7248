"""What an operator takes by its board's rates: the longer of its arithmetic and its traffic, and its start.

Times are whole picoseconds and every division rounds up, so that they are the same on every machine and nothing that is
done is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from coursekit.profiles.facts import Roofline
from coursekit.records import Record

PICOSECONDS = 10**12
"""In one second."""

DEAR = 4
"""Arithmetic on a type that the board has no rate for is this much slower than on the slowest that it has one for."""


class Bound(Record, frozen=True, kw_only=True):
    """What bounds one operator, in picoseconds."""

    arithmetic: int
    memory: int
    start: int
    known: bool
    """False if the board has no rate for the type, so that the arithmetic was guessed to be dear."""

    @property
    def total(self) -> int:
        """What the operator takes."""
        return max(self.arithmetic, self.memory) + self.start

    @property
    def guessed(self) -> int:
        """The part of it that no data sheet supports: all but the start, of a type without a rate."""
        return 0 if self.known else max(self.arithmetic, self.memory)

    @property
    def word(self) -> str:
        """What most of its time goes into; empty if it takes none."""
        if not self.total:
            return ""
        if self.start >= max(self.arithmetic, self.memory):
            return "overhead"
        return "arithmetic" if self.arithmetic >= self.memory else "memory"


class Loaded(Protocol):
    """An operator as a roofline sees it: what it computes, on which type, and what it moves."""

    @property
    def dtype(self) -> str:
        """The type of its arithmetic."""

    @property
    def depthwise(self) -> bool:
        """True if each output channel reads one input channel."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates, dense."""

    @property
    def activation_bytes(self) -> int:
        """What it reads and writes of computed tensors."""

    @property
    def weight_bytes(self) -> int:
        """What it reads of constants."""


def bounds(loads: Sequence[Loaded], roofline: Roofline, cache_bytes: int | None = None) -> list[Bound]:
    """Give what bounds each operator.

    With `cache_bytes`, of an accelerator that keeps activations and so many bytes of weights to itself: the weights of
    operators that came too late for it are moved for each inference, and nothing else is.
    """
    found = []
    free = cache_bytes or 0
    for load in loads:
        moved = load.activation_bytes + load.weight_bytes
        if cache_bytes is not None:
            moved = max(0, load.weight_bytes - max(free, 0))
            free -= load.weight_bytes
        found.append(bound(roofline, load.dtype, macs=load.macs, moved=moved, depthwise=load.depthwise))
    return found


def whole(found: Sequence[Bound], roofline: Roofline, ends_bytes: int = 0) -> int:
    """Give what an inference takes in picoseconds: its start, its operators, and what crosses a link at its ends."""
    ends = bound(roofline, "", macs=0, moved=ends_bytes).memory
    return 1000 * roofline.start_ns + sum(each.total for each in found) + ends


def bound(roofline: Roofline, dtype: str, *, macs: int, moved: int, depthwise: bool = False) -> Bound:
    """Give what bounds an operator with so many multiply-accumulates of this type and so many bytes moved.

    One that computes and moves nothing only renames a tensor, and does not start either.
    """
    known = dtype in roofline.macs_per_second
    rates = {name: most * roofline.efficiency_per_mille[name] for name, most in roofline.macs_per_second.items()}
    rate, slower = (rates[dtype], 1) if known else (min(rates.values()), DEAR)
    if depthwise:
        slower, rate = slower * 1000, rate * roofline.depthwise_per_mille
    return Bound(
        arithmetic=_up(macs * slower * 1000 * PICOSECONDS, rate),
        memory=_up(moved * 1000 * PICOSECONDS, roofline.bytes_per_second * roofline.traffic_per_mille),
        start=roofline.operator_ns * 1000 if macs or moved else 0,
        known=known,
    )


def _up(value: int, by: int) -> int:
    return -(-value // by)
