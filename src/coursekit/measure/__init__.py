"""What can be known about a model file: figures from engines, and its outputs.

An engine is an entry point of the group `coursekit.engines`. It never opens a model itself: a model file is hostile
input, so the engine names a module of its own that runs in a box and decodes what that prints. The same file, profile
and versions give the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from coursekit.errors import SpecError, ToolError, UnreadableWork
from coursekit.measure.asking import UNKNOWN, once
from coursekit.records import Breakdown, Measurement, RunInside

if TYPE_CHECKING:  # the programs in the box import this package too, and need neither
    import numpy as np
    import numpy.typing as npt

    from coursekit.profiles import Profile

__all__ = [
    "UNKNOWN",
    "Comparing",
    "Engine",
    "Explaining",
    "breakdown",
    "compare",
    "engines",
    "measure",
    "once",
    "predict",
]

IMPORTS = (
    "ai_edge_litert.interpreter",
    "ai_edge_litert.schema_py_generated",
    "tflite_micro.python.tflite_micro.runtime",
    "coursekit.measure.documents",
    "coursekit.measure.inside.answer",
    "coursekit.measure.inside.counting",
    "coursekit.measure.inside.running",
    "coursekit.measure.inside.work",
)
"""What the programs in the box import, for an interpreter that is kept warm."""

_BEGINNINGS = {
    b"PK": ("a .keras or .zip file", "convert it with tf.lite.TFLiteConverter."),
    b"\x89HDF": ("an HDF5 file", "convert it with tf.lite.TFLiteConverter."),
    b"version https://git-lfs": ("a pointer of Git LFS", "hand in the file itself."),
}


class Engine(Protocol):
    """Turns a model into figures, each with its unit, exact or with a band."""

    name: str
    metrics: tuple[str, ...]

    def measure(self, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
        """Give the figures that this engine has for the model, on the profile if one is given.

        Raises `UnreadableWork` with a sentence for the student if the model cannot be read, and `ToolError` if a
        package or program that the engine needs is missing.
        """


@runtime_checkable
class Explaining(Engine, Protocol):
    """An engine that can say which operator takes how much of its `latency_ms`."""

    def breakdown(self, model: bytes, profile: Profile | None, inside: RunInside) -> Breakdown | None:
        """Give what each operator takes on the profile; None if this engine has no latency there."""


@runtime_checkable
class Comparing(Engine, Protocol):
    """An engine that times two models against each other, and cannot say what one takes."""

    def compare(self, model: bytes, reference: bytes, profile: Profile, inside: RunInside) -> Measurement:
        """Give `latency_ratio`, the model's time by the reference's, with its interval.

        Raises `MachineError` where the machine cannot time anything now, which is nobody's fault but the machine's.
        """


def engines() -> dict[str, Engine]:
    """Give every installed engine by its name, in order of the names."""
    found: dict[str, Engine] = {}
    for point in sorted(entry_points(group="coursekit.engines"), key=lambda point: point.name):
        try:
            found[point.name] = point.load()()
        except (ImportError, AttributeError, TypeError) as error:
            raise ToolError(f"the engine '{point.name}' cannot be loaded: {error}", where=point.value) from error
    return found


def measure(
    model: bytes, profile: Profile | None, inside: RunInside, metrics: Sequence[str] | None = None
) -> tuple[Measurement, ...]:
    """Give the figures of a model.

    With `metrics`, exactly these in this order, or the error that says why one cannot be had: `UnreadableWork` if the
    model is the reason, `ToolError` if a package is missing, `SpecError` if nothing gives such a figure. Without,
    everything that any engine can say; a figure that cannot be had has the value `unknown` and a note that says why. A
    figure that is asked for must be one that can be graded: an `uncalibrated` one is refused with its note.
    """
    _refuse_other_files(model)
    if metrics is None:
        return tuple(figure for engine in engines().values() for figure in _all_of(engine, model, profile, inside))
    found: dict[str, Measurement] = {}
    for engine in _needed(metrics, profile):
        found |= {figure.metric: figure for figure in engine.measure(model, profile, inside)}
    return tuple(_asked_for(metric, found, profile) for metric in metrics)


def breakdown(model: bytes, profile: Profile, inside: RunInside) -> Breakdown | None:
    """Give what each operator of a model takes on a board, from the engine that gives its latency there.

    None where the board has no latency, or one that is known only as a whole. Raises `UnreadableWork` as `measure`.
    """
    _refuse_other_files(model)
    engine = engines().get(profile.engines.get("latency_ms", ""))
    return engine.breakdown(model, profile, inside) if isinstance(engine, Explaining) else None


def compare(model: bytes, reference: bytes, profile: Profile, inside: RunInside) -> Measurement | None:
    """Give the model's time by the reference's as timed on the profile's machine; None if nothing is timed there."""
    _refuse_other_files(model)
    _refuse_other_files(reference)
    engine = engines().get(profile.engines.get("latency_ratio", ""))
    return engine.compare(model, reference, profile, inside) if isinstance(engine, Comparing) else None


def predict(model: bytes, x: npt.NDArray[Any], inside: RunInside) -> npt.NDArray[np.float32]:
    """Give the model's outputs for each row of `x` as float32, as `coursekit.measure.litert.predict` says."""
    from coursekit.measure.litert import predict as run  # noqa: PLC0415 - numpy stays out of the command line's start

    _refuse_other_files(model)
    return run(model, x, inside)


def _refuse_other_files(model: bytes) -> None:
    """Refuse what does not even begin like a model, before a box is made for it."""
    if not model:
        raise UnreadableWork("Your model file is empty.")
    for beginning, (kind, fix) in _BEGINNINGS.items():
        if model.startswith(beginning):
            raise UnreadableWork(f"Your model is not a TensorFlow Lite file: it is {kind}.", fix=fix)
    if len(model) < 8 or model[4:8] != b"TFL3":
        raise UnreadableWork(
            "Your model is not a TensorFlow Lite file.",
            fix="hand in the bytes that tf.lite.TFLiteConverter's convert() returns.",
        )


def _all_of(engine: Engine, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
    """Give all figures of one engine; if a package is missing, or the model stops this engine, say so in their place.

    A file that cannot even be read has no figures at all, which the engine `flatbuffer` says.
    """
    try:
        return engine.measure(model, profile, inside)
    except (ToolError, UnreadableWork) as error:
        if isinstance(error, UnreadableWork) and engine.name == "flatbuffer":
            raise
        note = f"{error} {error.fix}".strip()
        theirs = [each for each in engine.metrics if not profile or profile.engines.get(each) == engine.name]
        return tuple(
            Measurement(
                metric=metric,
                value=UNKNOWN,
                unit="",
                engine=engine.name,
                profile=profile.name if profile else None,
                note=note,
            )
            for metric in (theirs or engine.metrics)
        )


def _needed(metrics: Sequence[str], profile: Profile | None) -> list[Engine]:
    """Give the engines that have these metrics; where several have one, the profile's choice."""
    installed = engines()
    chosen: dict[str, Engine] = {}
    for metric in metrics:
        having = {name: engine for name, engine in installed.items() if metric in engine.metrics}
        if not having:
            from coursekit.decoding import near  # noqa: PLC0415 - YAML is not needed in the box

            known = sorted(metric for engine in installed.values() for metric in engine.metrics)
            raise SpecError(f"there is no metric called '{metric}'.", fix=near(metric, known))
        name = profile.engines.get(metric) if profile else None
        if name and name not in having:
            raise SpecError(f"profile '{profile.name if profile else ''}' names the engine '{name}' for {metric}.")
        name = name or next(iter(having))
        chosen[name] = having[name]
    return list(chosen.values())


def _asked_for(metric: str, found: dict[str, Measurement], profile: Profile | None) -> Measurement:
    if metric not in found:
        what = f"profile '{profile.name}' has no {metric}." if profile else f"{metric} needs a profile."
        raise SpecError(what, fix="name a profile of a board that has it.")
    if found[metric].value == UNKNOWN:
        raise UnreadableWork(found[metric].note)
    if found[metric].status == "uncalibrated":
        raise UnreadableWork(found[metric].note)
    return found[metric]
