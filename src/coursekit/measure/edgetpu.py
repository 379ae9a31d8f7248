"""The engine `edgetpu`: what of a model Google's compiler maps to an Edge TPU, by its documentation.

The compiler itself is not run. It maps operators from the start of the model to the first that it cannot map; that one
and all after it stay on the computer that the device is plugged into. Its weights are kept in on-chip memory as far as
they fit, and sent over the link for each inference as far as they do not. Limits on an operator's parameters, such as
the length of a softmax, are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from coursekit.measure.asking import UNKNOWN, ask, clean, decode
from coursekit.measure.documents import Place, Places
from coursekit.measure.roofline import explain, latency
from coursekit.profiles import Profile
from coursekit.records import Breakdown, Measurement, Record, RunInside, Status

_READER = "the reader of model files"

_CONVERSIONS = {"QUANTIZE", "DEQUANTIZE"}
"""Operators at the ends of a model with float inputs and outputs; the compiler leaves them where they are."""

NONE = "none"
"""The value of `cpu_operators` where all operators are mapped."""

INDICATIVE = "Indicative: the compiler was not run, and activations inside the Edge TPU are taken to cost nothing."


class Mapping(Record, frozen=True, kw_only=True):
    """What the compiler makes of a model."""

    mapped: tuple[Place, ...]
    left: tuple[Place, ...]
    """What stays on the computer but for conversions of inputs and outputs."""
    conversions: tuple[Place, ...]
    reason: str
    """Why the first operator that is left was not mapped; empty if none is."""

    @property
    def weight_bytes(self) -> int:
        """The weights of the whole model: leaving an operator on the computer makes no room."""
        return sum(place.load.weight_bytes for place in (*self.mapped, *self.left, *self.conversions))


class EdgeTPUEngine:
    """Gives how much of a model an Edge TPU takes, and an indicative `latency_ms`.

    `tpu_operators` counts the operators that are mapped, `cpu_operators` names those that are not, or is `none`;
    `tpu_cache_free_bytes` is what the model's weights leave of the on-chip memory, and negative where some must be sent
    over the link for each inference. All have the status `datasheet`. A latency is `uncalibrated`, which is never
    graded, where operators other than conversions at the ends are left on the computer: it does not hold their time.
    """

    name = "edgetpu"
    metrics = ("tpu_operators", "cpu_operators", "tpu_cache_free_bytes", "latency_ms")

    def measure(self, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
        """Map the model's operators and say what that means; nothing on a profile without an Edge TPU."""
        if profile is None or profile.edgetpu is None:
            return ()
        found: Places = decode(ask(inside, "edgetpu", _READER, model), Places, _READER)
        if found.refusal:
            note = f"Your model has no figures on {profile.name}: {clean(found.refusal, 400)}"
            return tuple(self._figure(metric, UNKNOWN, "", note, profile) for metric in self.metrics)
        split = mapping(found.places, frozenset(profile.edgetpu.operators))
        names = sorted({clean(place.load.operator) for place in (*split.left, *split.conversions)})
        free = profile.edgetpu.cache_bytes - split.weight_bytes
        figures: list[tuple[str, int | str, str, str]] = [
            ("tpu_operators", len(split.mapped), "operators", split.reason),
            ("cpu_operators", ", ".join(names[:20]) or NONE, "", split.reason),
            ("tpu_cache_free_bytes", free, "bytes", _streamed(-free)),
        ]
        said = tuple(self._figure(*each, profile) for each in figures)
        timed = _explained(found, split, profile)
        return said if timed is None else (*said, latency(timed))

    def _figure(self, metric: str, value: int | str, unit: str, note: str, profile: Profile) -> Measurement:
        known: Status = "uncalibrated" if value == UNKNOWN else "datasheet"
        return Measurement(
            metric=metric, value=value, unit=unit, engine=self.name, profile=profile.name, status=known, note=note
        )

    def breakdown(self, model: bytes, profile: Profile | None, inside: RunInside) -> Breakdown | None:
        """Give what each mapped operator takes, in nanoseconds; None on a profile without an Edge TPU or rates."""
        if profile is None or profile.edgetpu is None or profile.roofline is None:
            return None
        found: Places = decode(ask(inside, "edgetpu", _READER, model), Places, _READER)
        return _explained(found, mapping(found.places, frozenset(profile.edgetpu.operators)), profile)


def mapping(places: Sequence[Place], operators: frozenset[str]) -> Mapping:
    """Split a model where the compiler does: at the first operator that it cannot map.

    A model with float inputs and outputs begins and ends with conversions; they are not mapped and end nothing.
    """
    last = len(places)
    start = next((number for number in range(last) if not _converts(places[number])), last)
    end = next((number for number in range(last, start, -1) if not _converts(places[number - 1])), start)
    cut, reason = end, ""
    for number in range(start, end):
        if reason := _reason(places[number], operators):
            cut = number
            break
    return Mapping(
        mapped=tuple(places[start:cut]),
        left=tuple(places[cut:end]),
        conversions=(*places[:start], *places[end:]),
        reason=reason,
    )


def _converts(place: Place) -> bool:
    """True for a conversion from or to what an Edge TPU does not compute with."""
    return place.load.operator in _CONVERSIONS and bool(place.obstacle)


def _reason(place: Place, operators: frozenset[str]) -> str:
    """Say why the compiler does not map this operator; empty if it does."""
    name = clean(place.load.operator)
    if place.load.operator not in operators:
        return f"{name} and all operators after it stay on the CPU: the Edge TPU compiler does not map {name}."
    if place.obstacle:
        return f"{name} and all operators after it stay on the CPU: it {clean(place.obstacle)}."
    return ""


def _streamed(short: int) -> str:
    return (
        f"{short:,} bytes of weights do not fit on the chip and must be sent for each inference." if short > 0 else ""
    )


def _explained(found: Places, split: Mapping, profile: Profile) -> Breakdown | None:
    """Give what the mapped part takes; refused where nothing is mapped, not graded where more than conversions is left.

    Inputs and outputs cross the link for each inference, and so do the weights of the operators that came too late for
    the on-chip memory.
    """
    if profile.roofline is None or profile.edgetpu is None:
        return None
    whole = explain(
        [place.load for place in split.mapped],
        profile,
        EdgeTPUEngine.name,
        ends_bytes=found.input_bytes + found.output_bytes,
        said=INDICATIVE,
        refusal=found.refusal or ("" if split.mapped else split.reason or "It has no operators."),
    )
    if split.left and not whole.refusal:
        note = f"Not graded on {profile.name}: what stays on the CPU is not in it. {split.reason} {whole.note}"
        return msgspec.structs.replace(whole, status="uncalibrated", note=note)
    return whole
