"""What the programs in the box answer: the only words that cross its wall, decoded strictly on this side."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from coursekit.cost import Unit
from coursekit.records import Record

MODEL_FILE = "model.tflite"
INPUT_FILE = "x.npy"

MAX_COUNT = 2**53
"""No honest count of bytes or operations comes near; beyond it a JSON reader would round."""

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Positive = Annotated[int, Meta(ge=1, le=MAX_COUNT)]


class Problem(Record, frozen=True, kw_only=True, tag="problem"):
    """The model cannot be read or run: a sentence for the student, and what to do about it."""

    what: str
    fix: str = ""


class Missing(Record, frozen=True, kw_only=True, tag="missing"):
    """A Python package that this measurement needs is not installed."""

    package: str
    extra: str
    """The extra of coursekit that brings it."""


class Anatomy(Record, frozen=True, kw_only=True, tag="anatomy"):
    """What stands in a model file."""

    weight_bytes: Count
    parameters: Count
    operators: Count
    macs: Count | None
    """None if they cannot be counted; then `macs_note` says why."""
    macs_note: str
    zero_channels: Count
    float_tensors: Count
    dtypes: tuple[str, ...]
    inputs: tuple[str, ...]
    """The types of the inputs."""
    outputs: tuple[str, ...]
    custom_operators: tuple[str, ...]


class Runs(Record, frozen=True, kw_only=True, tag="runs"):
    """LiteRT runs the model; these are the shapes of its inputs and outputs."""

    inputs: tuple[tuple[Count, ...], ...]
    outputs: tuple[tuple[Count, ...], ...]


class Arena(Record, frozen=True, kw_only=True, tag="arena"):
    """TensorFlow Lite Micro runs the model in this much memory, in bytes."""

    total: Count
    head: Count
    tail: Count


class CannotRun(Record, frozen=True, kw_only=True, tag="cannot run"):
    """The file can be read and the runtime cannot run it."""

    reason: str


class Step(Record, frozen=True, kw_only=True):
    """One operator and its work."""

    operator: str
    name: str
    """The name of the tensor that it makes, which is where converters leave the layer's."""
    work: dict[Unit, Count]


class Work(Record, frozen=True, kw_only=True, tag="work"):
    """What a model has to do, in the order in which it does it."""

    steps: tuple[Step, ...] = ()
    largest_bytes: Count = 0
    note: str = ""
    refusal: str = ""
    """Why its work cannot be counted; empty if it can."""


# --- What a board answers: `onboard.py` writes these words as plain JSON ----------------------------------------------


class Window(Record, frozen=True, kw_only=True):
    """One stretch of inferences of one input."""

    inferences: Positive
    nanoseconds: Positive
    input: Count
    """A checksum of the input."""


class Timed(Record, frozen=True, kw_only=True, tag="timed"):
    """The board ran the model, window by window."""

    machine: str
    """What its firmware calls it, its architecture and its kernel."""
    governor: str
    """What sets its clock; empty where nothing says so."""
    windows: tuple[Window, ...]


class NoRuntime(Record, frozen=True, kw_only=True, tag="no runtime"):
    """The board does not have the runtime that the profile names."""

    found: tuple[str, ...]
    """Those it has, each with its version."""


class Crashed(Record, frozen=True, kw_only=True, tag="crashed"):
    """The process in which the model was opened ended by this signal."""

    signal: Count


class TooSlow(Record, frozen=True, kw_only=True, tag="too slow"):
    """The model was not done after this many seconds."""

    seconds: Count
