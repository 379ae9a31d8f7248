"""The parts of a profile that not every board has, one record for each engine that reads them.

`cost` and `power`, which the engine `cycles` reads, stand in `coursekit.cost`, because the box needs their words too.
"""

from __future__ import annotations

from typing import Literal

from coursekit.records import Record

Accelerator = Literal["ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256"]
"""The Ethos-U55s by their multiply-accumulates in a cycle, as Vela names them."""


class Reserve(Record, frozen=True, kw_only=True):
    """What the application, its stacks and the runtime's code keep for themselves; a model cannot have it."""

    flash_bytes: int
    ram_bytes: int


class Roofline(Record, frozen=True, kw_only=True):
    """The rates that bound an operator: it takes the longer of its arithmetic and its traffic, and its start."""

    macs_per_second: dict[str, int]
    """Type of the numbers -> multiply-accumulates per second that the whole device can do by its data sheet."""
    efficiency_per_mille: dict[str, int]
    """Type -> the share of that rate that the runtime reaches in dense layers, in thousandths."""
    depthwise_per_mille: int
    """The share of a dense layer's rate that a depthwise one reaches."""
    bytes_per_second: int
    """What the memory that holds weights and activations moves by its data sheet; on an accelerator behind a link that
    keeps activations to itself, what the link moves."""
    traffic_per_mille: int
    """The share of it that the runtime reaches."""
    operator_ns: int
    """What starting one operator takes, in nanoseconds."""
    start_ns: int = 0
    """What starting one inference takes, in nanoseconds."""
    band: float
    """Published half-width of the error band, as a share of the figure."""


class Vela(Record, frozen=True, kw_only=True):
    """What Arm's compiler for Ethos-U is told."""

    accelerator: Accelerator
    system_config: str
    """A section System_Config.NAME of `ethos-u.ini` beside the profiles: clock, ports, memories.

    NAME begins with Ethos_U55, because Vela takes the width of the ports from it.
    """
    memory_mode: str
    """A section Memory_Mode.NAME of it: where weights and activations lie."""
    band: float
    """Published half-width of the error band, as a share of the figure."""


class EdgeTPU(Record, frozen=True, kw_only=True):
    """What Google's compiler for the Edge TPU maps, by its documentation."""

    operators: tuple[str, ...]
    """The operators that it maps, by their names in a model file."""
    cache_bytes: int
    """On-chip memory for weights; what does not fit is sent again for each inference."""


class Timing(Record, frozen=True, kw_only=True):
    """How models are timed on a machine that is there."""

    seconds: float
    """How long one window lasts on a board, or all pairs together on the grader's own machine, at least."""
    repeats: int
    """Windows, or pairs of runs, at least."""
    spread: float
    """A share: windows that differ by more, or a comparison of a model with itself that does, are no measurement."""
