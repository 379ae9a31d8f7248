"""What the programs in the box answer: the only words that cross its wall, decoded strictly on this side."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from coursekit.cost import Unit
from coursekit.records import Record

MODEL_FILE = "model.tflite"
INPUT_FILE = "x.npy"
SYSTEMS_FILE = "ethos-u.ini"
REFERENCE_FILE = "reference.tflite"

MAX_COUNT = 2**53
"""No honest count of bytes or operations comes near; beyond it a JSON reader would round."""

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Positive = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Loops = Annotated[int, Meta(ge=1, le=2**30)]


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


class Pair(Record, frozen=True, kw_only=True, tag="pair"):
    """One pair of runs: the CPU time of each sample in nanoseconds, and how many inferences a sample holds."""

    model_loops: Loops
    reference_loops: Loops
    models: tuple[Positive, Positive, Positive, Positive]
    """Model, reference, reference, model."""
    same: tuple[Positive, Positive, Positive, Positive]
    """The reference, and a second copy of it in the model's place: copy, reference, reference, copy."""
    cpu: Annotated[str, Meta(max_length=200)]
    """The processor, as the machine calls it."""
    load_percent: Count
    """How many processes wanted to run in the last minute, in hundredths."""


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


class NpuStep(Record, frozen=True, kw_only=True):
    """What one operator takes on an NPU, by what it waits for there; the cycles of an operator are their sum."""

    operator: str
    name: str
    macs: Count
    arithmetic: Count
    """Cycles in which the NPU's arithmetic takes longest."""
    sram: Count
    """Cycles in which reading and writing SRAM takes longest."""
    flash: Count
    """Cycles in which reading flash takes longest."""
    cpu: bool
    """True if the compiler leaves it to the processor: it then has no cycles, and yet takes time."""

    @property
    def cycles(self) -> int:
        """All cycles that it takes on the NPU."""
        return self.arithmetic + self.sram + self.flash


class Left(Record, frozen=True, kw_only=True):
    """An operator of the compiled file that is not the NPU's."""

    operator: str
    values: Count
    """How many computed values it reads and makes."""


class Compiled(Record, frozen=True, kw_only=True, tag="compiled"):
    """What an NPU's compiler makes of a model."""

    version: str
    """The compiler's."""
    cycles: Count
    macs: Count
    stated_macs: Count | None
    """What the file has to multiply and accumulate; None if it cannot be counted."""
    sram_bytes: Count
    flash_bytes: Count
    steps: tuple[NpuStep, ...]
    left: tuple[Left, ...]


class Load(Record, frozen=True, kw_only=True):
    """One operator as a roofline sees it: what it computes and what it moves."""

    operator: str
    name: str
    """The name of the tensor that it makes, which is where converters leave the layer's."""
    dtype: str
    """The type of its arithmetic: that of the activations that it reads."""
    depthwise: bool
    """True if each output channel reads one input channel, which leaves wide arithmetic idle."""
    macs: Count
    """Multiply-accumulates, dense."""
    activation_bytes: Count
    """What it reads and writes of computed tensors."""
    weight_bytes: Count
    """What it reads of constants."""


class Demand(Record, frozen=True, kw_only=True, tag="demand"):
    """What a model computes and moves for one inference, in the order in which it does it."""

    loads: tuple[Load, ...] = ()
    refusal: str = ""
    """Why it cannot be counted; empty if it can."""


class Place(Record, frozen=True, kw_only=True):
    """One operator as a compiler for an accelerator looks at it."""

    load: Load
    obstacle: str = ""
    """What its tensors are that no accelerator of 8-bit numbers takes; empty if nothing."""


class Places(Record, frozen=True, kw_only=True, tag="places"):
    """The operators of a model in the order in which they run, and what goes in and out of it."""

    places: tuple[Place, ...] = ()
    input_bytes: Count = 0
    output_bytes: Count = 0
    refusal: str = ""
    """Why they cannot be known; empty if they can."""


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
