"""Holding the profiles to the published measurements: refit the prices, and check what each profile says of its error.

The same data gives the same prices: the committed CSV is all that is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from coursekit import profiles
from coursekit.cost import Cost, Power, Unit
from coursekit.errors import SpecError
from coursekit.profiles import Profile, Roofline, calibration
from coursekit.profiles.calibration import rooflines
from coursekit.records import Record

INSIDE = 0.8
"""At least this share of models left out by families must lie in the published band."""

_FLOOR = 0.15
"""No band is narrower: no board has nine families of models, and boards of one core and runtime differ by a tenth."""

_HELD = 0.9
"""A band is drawn to hold this share of the left-out models."""

_FEW = 9
"""With fewer models than this the largest error of all is taken, and a quarter more: a next one may well be worse."""

_MOVED = 0.01
"""Prices that differ by less than this from a refit are the same: other machines round the last digit otherwise."""


UNCHECKED = 0.5
"""No roofline that cannot be checked on a published figure has a narrower band."""

_ANCHORED = 0.03
"""An anchor comes out as published to this share; thousandths of a rate and a shared link leave no more."""


class Verdict(Record, frozen=True, kw_only=True):
    """What a profile publishes beside what its measurements say. Errors, bands and shares are fractions of one.

    Of a roofline, `rows` are the figures that it is checked on, and `family_error` is its mean error on them.
    """

    profile: str
    status: str
    rows: int
    families: int
    band: float
    file_error: float | None = None
    """Mean absolute error on models left out one by one; None where there is nothing to leave out."""
    family_error: float | None = None
    largest_error: float | None = None
    inside: float | None = None
    energy_error: float | None = None
    energy_band: float | None = None
    problems: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """True if the profile says what is so."""
        return not self.problems


class Change(Record, frozen=True, kw_only=True):
    """What a refit makes of a profile's prices."""

    profile: str
    before: Cost | None
    after: Cost
    power_before: Power | None
    power_after: Power | None

    @property
    def moved(self) -> dict[Unit, tuple[int, int]]:
        """The prices that a refit changes, as before and after, in thousandths of a cycle."""
        before = self.before.milli_cycles if self.before else {}
        return {
            unit: (before.get(unit, 0), new)
            for unit, new in self.after.milli_cycles.items()
            if _differ(before.get(unit, 0), new)
        }


def verify(folders: Sequence[Path] = ()) -> tuple[Verdict, ...]:
    """Check every profile that has prices or rates against the measurements that the package brings."""
    boards = [profiles.load(name, folders) for name in profiles.names(folders)]
    by_name = {board.name: board for board in boards}
    return tuple(
        _verdict(board, by_name) if board.cost else _bounded(board, board.roofline)
        for board in boards
        if board.cost or board.roofline
    )


def fit(name: str, folders: Sequence[Path] = ()) -> Change:
    """Fit a profile's prices again. Raises `SpecError` if it has no prices or no measurements of its own."""
    board = profiles.load(name, folders)
    rows = calibration.rows(name)
    if board.cost is None or not rows:
        source = f" its prices are those of {board.cost.taken_from}." if board.cost and board.cost.taken_from else ""
        raise SpecError(f"profile '{name}' has no measurements to fit to.{source}")
    after, power = refit(board.cost, board.power, rows)
    return Change(profile=name, before=board.cost, after=after, power_before=board.power, power_after=power)


def refit(cost: Cost, power: Power | None, rows: Sequence[calibration.Row]) -> tuple[Cost, Power | None]:
    """Give prices, errors and bands as these measurements have them, with the prior and the memory as they are."""
    from coursekit.profiles.calibration import fitting  # noqa: PLC0415 - numpy stays out of the command line's start

    prices = fitting.fit(rows, cost.prior, cost.fast_bytes)
    misses = fitting.misses(rows, cost.prior, cost.fast_bytes)
    band = _band(misses.by_family) if misses.by_family else cost.band
    after = msgspec.structs.replace(
        cost,
        milli_cycles=prices,
        calibrated=fitting.calibrated(rows, prices, cost.fast_bytes),
        rows=len(rows),
        band=band,
        file_error=_mean(misses.by_file) or 0.0,
        family_error=_mean(misses.by_family) or 0.0,
        inside=_inside(misses.by_family, band) or 0.0,
    )
    draws = fitting.active_uw(rows)
    if not draws:
        return after, power
    energy = fitting.energy_misses(rows, misses.by_family) if misses.by_family else ()
    return after, Power(active_uw=draws, band=_band(energy) if energy else band)


def write(change: Change, file: Path) -> None:
    """Put refitted prices into a profile's file, and leave every other line as it is."""
    text = file.read_text(encoding="utf-8")
    text = _replaced(text, "cost", cost_yaml(change.after))
    if change.power_after:
        text = _replaced(text, "power", power_yaml(change.power_after))
    file.write_text(text, encoding="utf-8")


def cost_yaml(cost: Cost) -> str:
    """Write prices as a profile's file has them."""
    lines = ["cost:", "  milli_cycles:"]
    lines += [f"    {unit}: {price:_}" for unit, price in cost.milli_cycles.items()]
    lines.append("  calibrated:")
    lines += [f"    - {unit}" for unit in cost.calibrated]
    if cost.fast_bytes:
        lines.append(f"  fast_bytes: {cost.fast_bytes:_}")
    lines.append(f"  prior: {cost.prior}")
    lines += [f"  band: {cost.band:g}", f"  rows: {cost.rows}"]
    if cost.rows:
        lines += [
            f"  file_error: {cost.file_error:g}",
            f"  family_error: {cost.family_error:g}",
            f"  inside: {cost.inside:g}",
        ]
    if cost.taken_from:
        lines.append(f"  taken_from: {cost.taken_from}")
    return "\n".join(lines) + "\n"


def power_yaml(power: Power) -> str:
    """Write a board's power as a profile's file has it."""
    return f"power:\n  active_uw: {power.active_uw:_}\n  band: {power.band:g}\n"


def _replaced(text: str, field: str, block: str) -> str:
    found, count = re.subn(rf"^{field}:\n(?: .*\n)+", lambda _: block, text, count=1, flags=re.MULTILINE)
    if not count:
        raise SpecError(f"there is no field '{field}' to replace.")
    return found


def _verdict(board: Profile, boards: dict[str, Profile]) -> Verdict:
    cost = board.cost
    assert cost is not None  # noqa: S101 - the caller chose boards with prices
    if cost.taken_from:
        problems = _borrowed(board, cost, boards)
        return Verdict(profile=board.name, status=board.status, rows=0, families=0, band=cost.band, problems=problems)
    rows = calibration.rows(board.name)
    if not rows:
        problem = "it has prices, no measurements here, and names no profile that they are taken from"
        return Verdict(profile=board.name, status=board.status, rows=0, families=0, band=cost.band, problems=(problem,))
    return _measured(board, cost, rows)


def _bounded(board: Profile, stated: Roofline | None) -> Verdict:
    """Hold a roofline to the published figures that its efficiencies were not taken from."""
    assert stated is not None  # noqa: S101 - the caller chose boards with rates
    rows = rooflines.rows(board.name)
    checks = [row for row in rows if not row.anchor]
    misses = [rooflines.miss(board, row) for row in checks]
    verdict = Verdict(
        profile=board.name,
        status=board.status,
        rows=len(checks),
        families=len({row.family for row in checks}),
        band=stated.band,
        family_error=_mean(misses),
        largest_error=max(map(abs, misses), default=None),
        inside=_inside(misses, stated.band) if misses else None,
    )
    problems = []
    if verdict.family_error is None:
        if stated.band < UNCHECKED:
            problems.append(f"its band is {stated.band:.1%} and there is no published figure to check it on")
    elif verdict.family_error > stated.band:
        problems.append(f"its band is {stated.band:.1%} and its error is {verdict.family_error:.1%}")
    if verdict.inside is not None and verdict.inside < INSIDE:
        problems.append(f"only {verdict.inside:.0%} of checked models lie in its band of {stated.band:.1%}")
    problems += [
        f"its rates for {row.dtype} are not those that give {row.model}'s published figure"
        for row in rows
        if row.anchor and abs(rooflines.miss(board, row)) > _ANCHORED
    ]
    if board.status != "datasheet":
        problems.append("its rates are of data sheets, so its status must be datasheet")
    return msgspec.structs.replace(verdict, problems=tuple(problems))


def _measured(board: Profile, cost: Cost, rows: Sequence[calibration.Row]) -> Verdict:
    from coursekit.profiles.calibration import fitting  # noqa: PLC0415 - numpy stays out of the command line's start

    misses = fitting.misses(rows, cost.prior, cost.fast_bytes)
    energy = fitting.energy_misses(rows, misses.by_family) if board.power and misses.by_family else ()
    verdict = Verdict(
        profile=board.name,
        status=board.status,
        rows=len(rows),
        families=len({row.model.family for row in rows}),
        band=cost.band,
        file_error=_mean(misses.by_file),
        family_error=_mean(misses.by_family),
        largest_error=max(map(abs, misses.by_family), default=None),
        inside=_inside(misses.by_family, cost.band),
        energy_error=_mean(energy),
        energy_band=board.power.band if board.power else None,
    )
    return msgspec.structs.replace(verdict, problems=_problems(board, cost, rows, verdict))


def _problems(board: Profile, cost: Cost, rows: Sequence[calibration.Row], found: Verdict) -> tuple[str, ...]:
    """Say where the profile claims more than its measurements give."""
    problems = []
    for what, error in (("files", found.file_error), ("families", found.family_error)):
        if error is not None and error > cost.band:
            problems.append(f"its band is {cost.band:.1%} and its error on left-out {what} is {error:.1%}")
    if found.inside is not None and found.inside < INSIDE:
        problems.append(f"only {found.inside:.0%} of left-out models lie in its band of {cost.band:.1%}")
    if found.energy_error is not None and found.energy_band is not None and found.energy_error > found.energy_band:
        problems.append(f"its energy band is {found.energy_band:.1%} and the error is {found.energy_error:.1%}")
    if found.family_error is None and board.status == "calibrated":
        problems.append("it says it is calibrated, and there is no second model to try it on")
    for what, stated, error in (
        ("file_error", cost.file_error, found.file_error),
        ("family_error", cost.family_error, found.family_error),
    ):
        if error is not None and abs(stated - error) > 0.0015:
            problems.append(f"it states a {what} of {stated:.1%}, and it is {error:.1%}")
    after, _ = refit(cost, board.power, rows)
    if (
        set(after.calibrated) != set(cost.calibrated)
        or Change(profile=board.name, before=cost, after=after, power_before=None, power_after=None).moved
    ):
        problems.append(
            "its prices are not those that its measurements give; `coursekit profiles fit` shows the change"
        )
    return tuple(problems)


def _borrowed(board: Profile, cost: Cost, boards: dict[str, Profile]) -> tuple[str, ...]:
    """Say where a profile without measurements differs from the one that its prices are taken from."""
    source = boards.get(cost.taken_from)
    if source is None or source.cost is None:
        return (f"its prices are taken from '{cost.taken_from}', which has none",)
    problems = []
    if cost.milli_cycles != source.cost.milli_cycles or cost.calibrated != source.cost.calibrated:
        problems.append(f"its prices are not those of {cost.taken_from}")
    if cost.band < source.cost.band:
        problems.append(f"its band is narrower than that of {cost.taken_from}, which was measured")
    if board.status != "scaled":
        problems.append("its prices are another board's, so its status must be scaled")
    return tuple(problems)


def _band(misses: Sequence[float]) -> float:
    """Give the band that holds nine in ten of these errors, and more than all if they are few, in whole per cent."""
    errors = sorted(map(abs, misses))
    few = len(errors) < _FEW
    held = 1.25 * errors[-1] if few else errors[min(len(errors), math.ceil(_HELD * (len(errors) + 1))) - 1]
    return max(_FLOOR, math.ceil(100 * held) / 100)


def _mean(misses: Sequence[float]) -> float | None:
    return round(sum(map(abs, misses)) / len(misses), 4) if misses else None


def _inside(misses: Sequence[float], band: float) -> float | None:
    return round(sum(abs(miss) <= band for miss in misses) / len(misses), 4) if misses else None


def _differ(before: int, after: int) -> bool:
    return abs(before - after) > _MOVED * max(before, after) and abs(before - after) > 1
