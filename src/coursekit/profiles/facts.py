"""The parts of a profile that not every board has, one record for each engine that reads them.

`cost` and `power`, which the engine `cycles` reads, stand in `coursekit.cost`, because the box needs their words too.
"""

from __future__ import annotations

import re
from typing import Literal

from coursekit.errors import SpecError
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
    """A share: windows that differ by more are no measurement. Nor is a comparison where a model against itself is
    known less closely, or is farther from 1."""
    threads: int = 1
    """Threads that the runtime may use on a board."""
    python: str = "python3"
    """The Python on a board that has the runtime; a relative path starts in the account's home."""


RUNTIMES = ("ai-edge-litert", "tflite-runtime", "tensorflow")
"""The packages that can run a model on a board, as `runtime_version` begins."""

_SSH = re.compile(
    r"ssh://(?:(?P<user>[a-z_][a-z0-9_.-]*)@)?"
    r"(?P<host>[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?",
    re.IGNORECASE | re.ASCII,
)


class Address(Record, frozen=True, kw_only=True):
    """Where a board is: what is left out is for the user's own ssh configuration to say."""

    host: str
    user: str = ""
    port: int | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" if self.user else self.host


def address(device: str) -> Address:
    """Read `ssh://USER@HOST:PORT`, where nothing can be taken for an option of ssh. Raises `SpecError` for all else."""
    found = _SSH.fullmatch(device)
    port = int(found["port"] or 22) if found else 0
    if not found or port > 65_535:
        raise SpecError("device is no address of a board.", fix="write it as ssh://USER@HOST:PORT.")
    return Address(
        host=found["host"].strip("[]"), user=found["user"] or "", port=int(found["port"]) if found["port"] else None
    )
