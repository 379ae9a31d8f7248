"""The parts of a profile that not every board has, one record for each engine that reads them.

`cost` and `power`, which the engine `cycles` reads, stand in `coursekit.cost`, because the box needs their words too.
"""

from __future__ import annotations

from coursekit.records import Record


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

    accelerator: str
    """As Vela names it: ethos-u55-128."""
    system_config: str
    """A section of `ethos-u.ini` beside the profiles."""
    memory_mode: str
    """Another section of it: where weights and activations lie."""
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
