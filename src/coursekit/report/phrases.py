"""What every view says about a score, and how text that came from a submission is made harmless.

Views may show these strings as they are, but must still escape them for their own medium.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from coursekit.figures import figure, points
from coursekit.records import Band, Check, Failure, Grade, Measurement, Outcome, Run, Score, Target

Word = Outcome | Literal["marked", "waiting"]
"""What became of a check, or of a cell that a person marks."""

SYMBOLS: dict[Word, str] = {
    "passed": "✓",
    "failed": "✗",
    "blocked": "○",
    "broken": "!",
    "marked": "=",
    "waiting": "…",
}
"""One column wide in every font; never shown without the word, or a legend that has it."""

MAX_TITLE = 120
MAX_SENTENCE = 300
MAX_HINT = 1_000
MAX_SOURCE = 800
MAX_FAILURES = 5
MAX_NOTES = 12

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


# --- Text from outside -----------------------------------------------------------------------------------------------


def clean(text: str, limit: int = MAX_SENTENCE) -> str:
    """Give the text on one line, without control, escape and invisible characters, and no longer than the limit."""
    return _cut(" ".join(_visible(text[: 8 * limit]).split()), limit)


def clean_block(text: str, limit: int = MAX_SOURCE) -> str:
    """Give the text with its lines and indentation kept, otherwise as harmless and as bounded as `clean` does."""
    lines = [_visible(line).rstrip() for line in text[: 8 * limit].expandtabs(4).split("\n")]
    return _cut("\n".join(lines).strip("\n"), limit)


def _visible(text: str) -> str:
    """Drop what a terminal would obey and what an eye cannot see; direction marks are among it."""
    text = _ESCAPES.sub("", text)
    return "".join(" " if char in "\t\n\r" else char for char in text if char in "\t\n\r" or _is_visible(char))


def _is_visible(char: str) -> bool:
    return unicodedata.category(char) not in _INVISIBLE


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


# --- One score -------------------------------------------------------------------------------------------------------


def title(score: Score) -> str:
    """Give the name of the assignment as students know it."""
    return clean(score.title or score.assignment, MAX_TITLE)


def counts(score: Score) -> list[tuple[Word, int]]:
    """Give how many checks had each outcome, and how many cells wait for a person; only what there is."""
    found: Counter[Word] = Counter(check.outcome for check in score.checks)
    found["marked"] = len(score.marked)
    found["waiting"] = len(score.waiting)
    return [(word, found[word]) for word in SYMBOLS if found[word]]


def share(check: Check) -> str:
    """Give what a check earned out of what it is worth."""
    earned = "-" if check.earned == "unscored" else points(check.earned)
    return f"{earned} / {points(check.points)}"


def moment(time: datetime) -> str:
    """Give a time to the minute, with its zone."""
    zone = time.strftime("%z")
    offset = f"UTC{zone[:3]}:{zone[3:5]}" if zone.strip("+-0") else "UTC"
    return f"{time:%Y-%m-%d %H:%M} {offset}"


def lateness(grade: Grade) -> str:
    """Say when the work was due and handed in, and what that costs."""
    due = "There is no due time." if grade.due is None else f"Due {moment(grade.due)}"
    if grade.due is not None:
        due += ", with an extension." if grade.extended else "."
    if grade.submitted_at is None:
        return f"{due} When it was handed in is not known, so it counts as on time."
    handed_in = f"{due} Handed in {moment(grade.submitted_at)}"
    if not grade.days_late:
        return f"{handed_in}{', on time' if grade.due else ''}."
    days = "1 day" if grade.days_late == 1 else f"{grade.days_late} days"
    if grade.penalty == "unscored":
        return f"{handed_in}, {days} late."
    cost = "this costs nothing"
    if grade.penalty:
        cost = f"this takes {points(grade.penalty)} points off and leaves {points(grade.earned)}"
    if grade.penalty and grade.earned == 0:
        cost = "too late to earn points"
    return f"{handed_in}, {days} late: {cost}."


def measured(measurement: Measurement, target: Target | None = None) -> str:
    """Give a figure with its unit, its error band and its confidence interval."""
    if isinstance(measurement.value, str):
        return clean(measurement.value, 80)
    unit = "" if measurement.unit == "1" else clean(measurement.unit, 20)
    band = f"±{figure(100 * measurement.band)} %" if measurement.band else ""
    sure = ""
    if measurement.interval:
        low, high = measurement.interval
        sure = f"(95 %: {figure(low)} to {figure(high)})"
    return " ".join(part for part in (figure(measurement.value, *_marks(target)), unit, band, sure) if part)


def origin(measurement: Measurement) -> list[str]:
    """Say on which profile, how surely and by which engine a figure was found."""
    where = [f"on {clean(measurement.profile, 80)}"] if measurement.profile else []
    note = [clean(measurement.note, 200)] if measurement.note else []
    return [*where, measurement.status, f"by {clean(measurement.engine, 40)}", *note]


def _marks(target: Target | None) -> tuple[float, ...]:
    band = marks(target)
    return (band.pass_, band.full) if band else ()


def marks(target: Target | None) -> Band | None:
    """Give the pass and full marks of a target, whichever way it points."""
    return (target.at_most or target.at_least) if target else None


# --- Around the checks -----------------------------------------------------------------------------------------------


def remarks(score: Score) -> Iterator[str]:
    """Give what is to be said about the score as a whole, the gravest first."""
    if score.reason:
        yield clean(score.reason)
    if score.run and score.run.reason:
        yield clean(score.run.reason)
    if score.run and score.run.sandbox == "none":
        yield "The notebook was run without a sandbox."
    if score.grade:
        yield lateness(score.grade)
    if score.waiting:
        total = points(sum(cell.points for cell in score.waiting))
        cells = "1 answer waits" if len(score.waiting) == 1 else f"{len(score.waiting)} answers wait"
        yield f"{cells} for a person to mark, for up to {total} points more."
    if score.withheld:
        checks = "1 hidden check was" if score.withheld == 1 else f"{score.withheld} hidden checks were"
        yield f"{checks} not run here."


def notes(score: Score) -> list[str]:
    """Give what was put right in the notebook before it ran."""
    return [clean(note) for note in score.notes[:MAX_NOTES]]


def failures(run: Run | None) -> list[Failure]:
    """Give the first cells that raised, with everything in them made harmless."""
    found = run.failures[:MAX_FAILURES] if run else ()
    return [
        Failure(
            cell=failure.cell,
            name=clean(failure.name, 80),
            message=clean(failure.message, 300),
            source=clean_block(failure.source),
        )
        for failure in found
    ]


def more_failures(run: Run | None) -> str:
    """Say how many more cells raised than are shown; empty if none."""
    more = len(run.failures) - MAX_FAILURES if run else 0
    return "" if more <= 0 else "1 more cell raised." if more == 1 else f"{more} more cells raised."
