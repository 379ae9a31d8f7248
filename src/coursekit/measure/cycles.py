"""The engine `cycles`: what a model takes on a board that need not be there, from what it has to do.

Each operator's work is counted in the file (`inside/work.py`) and priced by the profile (`coursekit.cost`), all in
whole numbers, so the figure is the same on every machine whatever else runs. Prices are fitted to published
measurements (`coursekit.profiles.calibration`); the band of a figure is that of its profile, found on models that the
fit had not seen. Energy is the time multiplied by the board's measured active power.
"""

from __future__ import annotations

from coursekit.cost import Cost, milli_cycles, prices
from coursekit.measure.asking import UNKNOWN, ask, clean, decode, rounded
from coursekit.measure.documents import Step, Work
from coursekit.profiles import Profile
from coursekit.records import Breakdown, Measurement, Part, RunInside, Status

_READER = "the reader of model files"

UNKNOWN_SHARE_PERCENT = 10
"""A figure with more of its cycles than this from work without calibration is shown and not graded."""


class Cycles:
    """Gives `latency_ms` and, where the board's active power is known, `energy_uj`, for one inference of one input.

    Milliseconds to a thousandth and microjoules to a tenth, with the profile's band and status. A figure that rests for
    more than 10 % on work without calibration has the status `uncalibrated`. A profile without prices has neither.
    """

    name = "cycles"
    metrics = ("latency_ms", "energy_uj")

    def measure(self, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
        """Price the model's work on the profile."""
        found = self.breakdown(model, profile, inside)
        if found is None or profile is None or profile.clock_hz is None:
            return ()
        cycles = found.cycles or 0
        figures = [("latency_ms", rounded(1_000_000 * cycles, profile.clock_hz) / 1000, "ms", found.band)]
        if profile.power:
            tenths = rounded(cycles * profile.power.active_uw * 10, profile.clock_hz)
            figures.append(("energy_uj", tenths / 10, "uJ", profile.power.band))
        return tuple(
            Measurement(
                metric=metric,
                value=UNKNOWN if found.refusal else value,
                unit=unit,
                engine=self.name,
                profile=profile.name,
                band=0.0 if found.refusal else band,
                status=found.status,
                note=found.refusal or found.note,
            )
            for metric, value, unit, band in figures
        )

    def breakdown(self, model: bytes, profile: Profile | None, inside: RunInside) -> Breakdown | None:
        """Give what each operator of a model takes, in cycles and nanoseconds; None on a board without prices."""
        if profile is None or profile.cost is None or profile.clock_hz is None:
            return None
        found: Work = decode(ask(inside, "cycles", _READER, model), Work, _READER)
        return price(found, profile.name, profile.cost, profile.clock_hz, profile.status)


def price(found: Work, profile: str, cost: Cost, clock_hz: int, status: Status) -> Breakdown:
    """Give what this work takes at these prices and this clock. A cycle or nanosecond begun counts by half."""
    priced = prices(cost, found.largest_bytes)
    guessed = {unit: each for unit, each in priced.items() if unit not in cost.calibrated}
    each = [(step, milli_cycles(step.work, priced), milli_cycles(step.work, guessed)) for step in found.steps]
    total = sum(spent for _, spent, _ in each)
    unsupported: dict[str, int] = {}
    for step, _, guess in each:
        unsupported[step.operator] = unsupported.get(step.operator, 0) + guess
    per_mille = rounded(1000 * sum(unsupported.values()), total)
    names = tuple(name for name, guess in sorted(unsupported.items(), key=_dearest) if guess)
    marked = bool(found.refusal) or per_mille > 10 * UNKNOWN_SHARE_PERCENT
    refusal = f"Your model has no latency on {profile}: {clean(found.refusal, 400)}" if found.refusal else ""
    return Breakdown(
        profile=profile,
        engine=Cycles.name,
        cycles=rounded(total, 1000),
        nanoseconds=rounded(1_000_000 * total, clock_hz),
        parts=tuple(_part(step, spent, guess, total, clock_hz) for step, spent, guess in each),
        band=cost.band,
        status="uncalibrated" if marked else status,
        note=_note(clean(found.note, 400), per_mille, names, profile, outside="traffic_bytes" in priced),
        refusal=refusal,
        unsupported_per_mille=per_mille,
        unsupported=names,
    )


def _part(step: Step, spent: int, guess: int, total: int, clock_hz: int) -> Part:
    return Part(
        operator=step.operator,
        name=clean(step.name),
        cycles=rounded(spent, 1000),
        nanoseconds=rounded(1_000_000 * spent, clock_hz),
        per_mille=rounded(1000 * spent, total),
        calibrated=2 * guess <= spent,
        work={str(unit): count for unit, count in step.work.items()},
    )


def _dearest(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _note(said: str, per_mille: int, names: tuple[str, ...], profile: str, *, outside: bool) -> str:
    """Say what a reader must know of the figure; empty if nothing."""
    notes = [said]
    if per_mille > 10 * UNKNOWN_SHARE_PERCENT:
        notes.append(
            f"Not graded on {profile}: {per_mille / 10:g} % of the cycles are of work that no published "
            f"measurement supports ({', '.join(names[:5])})."
        )
    if outside:
        notes.append("Activations do not fit into the board's fast memory and are priced as lying outside.")
    return " ".join(note for note in notes if note)
