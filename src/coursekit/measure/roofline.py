"""The engine `roofline`: what a model takes on a device that is known by its data sheet.

What each operator computes and moves is counted in the file (`inside/roofline.py`) and bounded by the profile's rates
(`coursekit.profiles.rooflines`), all in whole numbers, so the figure is the same on every machine. How far such
figures are off is checked on published measurements (`coursekit.profiles.calibration.rooflines`), and the band says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from coursekit.measure.asking import UNKNOWN, ask, clean, decode, rounded
from coursekit.measure.cycles import UNKNOWN_SHARE_PERCENT
from coursekit.measure.documents import Demand, Load
from coursekit.profiles import Profile
from coursekit.profiles.rooflines import Bound, bounds, whole
from coursekit.records import Breakdown, Measurement, Part, RunInside, Status

_READER = "the reader of model files"

NOTE = "A roofline from data sheets, not a measurement."


class RooflineEngine:
    """Gives `latency_ms` for one inference of one input, milliseconds to a nanosecond, with the profile's band.

    A figure that rests for more than 10 % on types that the device has no rate for has the status `uncalibrated`. A
    profile without rates has none, and one of an Edge TPU has its figures from the engine `edgetpu`.
    """

    name = "roofline"
    metrics = ("latency_ms",)

    def measure(self, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
        """Bound the model's work by the profile's rates."""
        found = self.breakdown(model, profile, inside)
        return () if found is None else (latency(found),)

    def breakdown(self, model: bytes, profile: Profile | None, inside: RunInside) -> Breakdown | None:
        """Give what each operator takes, in nanoseconds, and what bounds it; None on a device without rates."""
        if profile is None or profile.roofline is None or profile.edgetpu is not None:
            return None
        found: Demand = decode(ask(inside, "roofline", _READER, model), Demand, _READER)
        return explain(found.loads, profile, self.name, refusal=found.refusal)


def latency(found: Breakdown) -> Measurement:
    """Give the figure that a breakdown adds up to."""
    return Measurement(
        metric="latency_ms",
        value=UNKNOWN if found.refusal else found.nanoseconds / 1_000_000,
        unit="ms",
        engine=found.engine,
        profile=found.profile,
        band=0.0 if found.refusal else found.band,
        status=found.status,
        note=found.refusal or found.note,
    )


def explain(
    loads: Sequence[Load], profile: Profile, engine: str, *, ends_bytes: int = 0, said: str = "", refusal: str = ""
) -> Breakdown:
    """Give what these operators take together, and what a reader must know of it.

    `ends_bytes` is what crosses the link of an accelerator at the ends of an inference.
    """
    assert profile.roofline is not None  # noqa: S101 - engines ask only for devices with rates
    cache = profile.edgetpu.cache_bytes if profile.edgetpu else None
    found = list(zip(loads, bounds(loads, profile.roofline, cache), strict=True))
    total = whole([each for _, each in found], profile.roofline, ends_bytes)
    guesses: dict[str, int] = {}
    for load, each in found:
        guesses[load.operator] = guesses.get(load.operator, 0) + each.guessed
    per_mille = rounded(1000 * sum(guesses.values()), total)
    names = tuple(
        clean(name) for name, guess in sorted(guesses.items(), key=lambda entry: (-entry[1], entry[0])) if guess
    )
    notes = [NOTE, clean(said, 400)]
    status: Status = "datasheet"
    if refusal:
        refusal = f"Your model has no latency on {profile.name}: {clean(refusal, 400)}"
    if refusal or per_mille > 10 * UNKNOWN_SHARE_PERCENT:
        status = "uncalibrated"
        types = sorted({clean(load.dtype) for load, each in found if each.guessed})
        notes.append(
            f"Not graded on {profile.name}: {per_mille / 10:g} % of the time is of work on numbers that it has no rate "
            f"for ({', '.join(types[:5])} in {', '.join(names[:5])})."
        )
    return Breakdown(
        profile=profile.name,
        engine=engine,
        parts=tuple(_part(load, each, total) for load, each in found),
        nanoseconds=rounded(total, 1000),
        band=profile.roofline.band,
        status=status,
        note=" ".join(note for note in notes if note),
        refusal=refusal,
        unsupported_per_mille=per_mille,
        unsupported=names,
    )


def _part(load: Load, each: Bound, total: int) -> Part:
    work = {"macs": load.macs, "activation_bytes": load.activation_bytes, "weight_bytes": load.weight_bytes}
    return Part(
        operator=clean(load.operator),
        name=clean(load.name),
        nanoseconds=rounded(each.total, 1000),
        per_mille=rounded(1000 * each.total, total),
        bound=each.word,
        calibrated=2 * each.guessed <= each.total,
        work={unit: count for unit, count in work.items() if count},
    )
