"""The engine `cycles`: what a model takes on a board that need not be there, from what it has to do.

Each operator's work is counted in the file (`inside/work.py`) and priced by the profile (`coursekit.cost`), all in
whole numbers, so the figure is the same on every machine whatever else runs. Prices are fitted to published
measurements (`coursekit.profiles.calibration`); the band of a figure is that of its profile, found on models that the
fit had not seen. Energy is the time multiplied by the board's measured active power.
"""

from __future__ import annotations

from coursekit.cost import Cost, Unit, milli_cycles, prices
from coursekit.measure.asking import ask, clean, decode
from coursekit.measure.documents import Step, Work
from coursekit.profiles import Profile
from coursekit.records import Measurement, Record, RunInside, Status

_READER = "the reader of model files"

UNKNOWN_SHARE_PERCENT = 10
"""A figure with more of its cycles than this from work without calibration is shown and not graded."""


class Part(Record, frozen=True, kw_only=True):
    """What one operator takes."""

    operator: str
    name: str
    cycles: int
    microseconds: int
    per_mille: int
    """Its share of the whole model."""
    calibrated: bool
    """False if more than half of its cycles have prices that no measurement supports."""
    work: dict[Unit, int]


class Breakdown(Record, frozen=True, kw_only=True):
    """What a model takes on one board, operator by operator, in the order in which they run."""

    profile: str
    cycles: int
    microseconds: int
    parts: tuple[Part, ...]
    unknown_per_mille: int
    """The share of the cycles whose price no measurement supports."""
    unknown_operators: tuple[str, ...]
    """The operators that they come from, the dearest first."""
    outside: bool
    """True if its activations do not fit into the board's fast memory."""
    note: str = ""
    refusal: str = ""
    """Why the work cannot be counted; then there are no parts."""


class Cycles:
    """Gives `latency_ms` and, where the board's active power is known, `energy_uj`, for one inference of one input.

    Milliseconds to a thousandth and microjoules to a tenth, with the profile's band and status. A figure that rests for
    more than 10 % on work without calibration has the status `uncalibrated`. A profile without prices has neither.
    """

    name = "cycles"
    metrics = ("latency_ms", "energy_uj")

    def measure(self, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
        """Price the model's work on the profile."""
        if profile is None or profile.cost is None:
            return ()
        found = breakdown(model, profile, inside)
        note = _note(found, profile.name)
        refused = bool(found.refusal)
        marked = found.unknown_per_mille > 10 * UNKNOWN_SHARE_PERCENT
        status: Status = "uncalibrated" if marked or refused else profile.status
        figures = [("latency_ms", found.microseconds / 1000, "ms", profile.cost.band)]
        if profile.power:
            tenths = _rounded(found.cycles * profile.power.active_uw * 10, profile.clock_hz)
            figures.append(("energy_uj", tenths / 10, "uJ", profile.power.band))
        return tuple(
            Measurement(
                metric=metric,
                value="unknown" if refused else value,
                unit=unit,
                engine=self.name,
                profile=profile.name,
                band=0.0 if refused else band,
                status=status,
                note=note,
            )
            for metric, value, unit, band in figures
        )


def breakdown(model: bytes, profile: Profile, inside: RunInside) -> Breakdown:
    """Give what each operator of a model takes on a board that has prices.

    Raises `UnreadableWork` for a file that is no model, and `ValueError` if the profile has no prices.
    """
    if profile.cost is None:
        raise ValueError(f"profile {profile.name} has no prices")
    found: Work = decode(ask(inside, "cycles", _READER, model), Work, _READER)
    return price(found, profile.name, profile.cost, profile.clock_hz)


def price(found: Work, profile: str, cost: Cost, clock_hz: int) -> Breakdown:
    """Give what this work takes at these prices and this clock. A cycle and a microsecond begun count by half."""
    priced = prices(cost, found.largest_bytes)
    guessed = {unit: each for unit, each in priced.items() if unit not in cost.calibrated}
    each = [(step, milli_cycles(step.work, priced), milli_cycles(step.work, guessed)) for step in found.steps]
    total = sum(spent for _, spent, _ in each)
    unknown: dict[str, int] = {}
    for step, _, guess in each:
        unknown[step.operator] = unknown.get(step.operator, 0) + guess
    return Breakdown(
        profile=profile,
        cycles=_rounded(total, 1000),
        microseconds=_rounded(1000 * total, clock_hz),
        parts=tuple(_part(step, spent, guess, total, clock_hz) for step, spent, guess in each),
        unknown_per_mille=_rounded(1000 * sum(unknown.values()), total),
        unknown_operators=tuple(name for name, guess in sorted(unknown.items(), key=_dearest) if guess),
        outside="traffic_bytes" in priced,
        note=clean(found.note, 400),
        refusal=clean(found.refusal, 400),
    )


def _part(step: Step, spent: int, guess: int, total: int, clock_hz: int) -> Part:
    return Part(
        operator=step.operator,
        name=clean(step.name),
        cycles=_rounded(spent, 1000),
        microseconds=_rounded(1000 * spent, clock_hz),
        per_mille=_rounded(1000 * spent, total),
        calibrated=2 * guess <= spent,
        work=step.work,
    )


def _dearest(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _rounded(value: int, by: int) -> int:
    """Divide to the nearest whole number, halves up; nothing divided by nothing is nothing."""
    return (2 * value + by) // (2 * by) if by else 0


def _note(found: Breakdown, profile: str) -> str:
    """Say what a reader must know of the figure; empty if nothing."""
    if found.refusal:
        return f"Your model has no latency on {profile}: {found.refusal}"
    notes = [found.note]
    if found.unknown_per_mille > 10 * UNKNOWN_SHARE_PERCENT:
        names = ", ".join(found.unknown_operators[:5])
        notes.append(
            f"Not graded on {profile}: {found.unknown_per_mille / 10:g} % of the cycles are of work that no published "
            f"measurement supports ({names})."
        )
    if found.outside:
        notes.append("Activations do not fit into the board's fast memory and are priced as lying outside.")
    return " ".join(note for note in notes if note)
