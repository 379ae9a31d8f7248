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
    parity: Count | None
    """The most that an output differs from LiteRT's, in steps of its last bit; None if they cannot be compared."""
    parity_note: str = ""
    """Why they cannot be compared; empty if they were."""


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
