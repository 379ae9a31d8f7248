"""How figures become points, checks a score, and a score a grade.

Rounding, stated once: points that are computed (between pass and full marks, and what lateness takes off) are rounded
to hundredths; sums of points are rounded to millionths, which only removes the dust of binary fractions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from coursekit.figures import figure
from coursekit.records import (
    Assignment,
    Band,
    Check,
    Grade,
    Late,
    Marked,
    Measurement,
    Outcome,
    Provenance,
    Run,
    Score,
    Target,
    Unscored,
    Waiting,
)

PASS_SHARE = 0.6
"""The share of the points that a figure exactly at its pass mark earns."""

_DAY = timedelta(days=1)


# --- One target ------------------------------------------------------------------------------------------------------


def band_points(value: float, target: Target) -> float:
    """Give the points for a figure: none below pass, 60 % at pass, all at full, linear in between; never falling."""
    band, better = _band(target)
    if better * value < better * band.pass_:
        return 0.0
    if better * value >= better * band.full:
        return target.points
    share = PASS_SHARE + (1 - PASS_SHARE) * (value - band.pass_) / (band.full - band.pass_)
    return min(round(share * target.points, 2), target.points)


def clears(interval: tuple[float, float], target: Target) -> bool:
    """Say whether a timed figure can be graded: every value in its interval earns all points, or every value none."""
    low, high = (band_points(end, target) for end in interval)
    return low == high and low in {0.0, target.points}


def judge(target: Target, measurement: Measurement, hidden: bool) -> Check:
    """Give the check that a measured target is, with a hint that says how far the figure is from its marks.

    A figure that is no number cannot be judged: that is the grader's fault, and the check is broken.
    """
    value = measurement.value
    outcome: Outcome
    points: float | Unscored
    if isinstance(value, str) or not math.isfinite(value):
        outcome, points = "broken", "unscored"
        hint = f"{target.metric} came out as {value}, which cannot be compared with the marks."
    else:
        points = band_points(value, target)
        outcome = "passed" if points > 0 else "failed"
        hint = "" if points == target.points else f"{_distance(target, value)} {target.hint}".strip()
    return Check(
        id=target.id,
        sentence=sentence(target),
        outcome=outcome,
        points=target.points,
        earned=points,
        hint=hint,
        hidden=hidden,
        measurement=measurement,
        target=target,
    )


def sentence(target: Target) -> str:
    """Give what a student reads about a target: its title, or its metric and marks in words."""
    if target.title:
        return target.title
    on = f" on {target.profile}" if target.profile else ""
    return f"{target.metric}{on} is {_marks(target)}."


def _band(target: Target) -> tuple[Band, int]:
    """Give the marks, and 1 if a higher figure is better or -1 if a lower one is."""
    if target.at_least is not None:
        return target.at_least, 1
    if target.at_most is not None:
        return target.at_most, -1
    raise ValueError(f"target '{target.id}' has no marks")


def _marks(target: Target) -> str:
    band, better = _band(target)
    most = "at least" if better > 0 else "at most"
    if band.pass_ == band.full:
        return f"{most} {figure(band.full)}"
    return f"{most} {figure(band.pass_)}; {figure(band.full)} earns all points"


def _distance(target: Target, value: float) -> str:
    """Say what was measured and what the marks are."""
    band, better = _band(target)
    most = "at least" if better > 0 else "at most"
    shown = figure(value, band.pass_, band.full)
    if band.pass_ == band.full:
        return f"{target.metric} is {shown}; {most} {figure(band.full)} earns all."
    return (
        f"{target.metric} is {shown}; "
        f"{most} {figure(band.pass_)} earns {100 * PASS_SHARE:.0f} %, {figure(band.full)} earns all."
    )


# --- One submission --------------------------------------------------------------------------------------------------


def after_needs(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Give the checks; a target that needs one which did not pass is blocked, as is what needs that target.

    A need that is not among the checks, such as a hidden one in a student's own check, is not asked for.
    """
    asked = {check.id for check in checks}
    passed = {check.id for check in checks if check.outcome == "passed"}
    while falls := {check.id for check in checks if check.id in passed and _missed(check, asked - passed)}:
        passed -= falls
    return tuple(
        check if check.outcome != "passed" or check.id in passed else _blocked(check, _missed(check, asked - passed))
        for check in checks
    )


def _missed(check: Check, not_passed: set[str]) -> list[str]:
    """Give the ids of what a target needs and has not got."""
    return [name for name in check.target.needs if name in not_passed] if check.target else []


def _blocked(check: Check, missed: Sequence[str]) -> Check:
    names = " and ".join(f"'{name}'" for name in missed)
    hint = f"It counts only once {names} {'has' if len(missed) == 1 else 'have'} passed."
    return msgspec.structs.replace(check, outcome="blocked", earned=0.0, hint=hint)


def earned(checks: Iterable[Check], broken: str = "") -> float | Unscored:
    """Give the sum of the points, or the word if a check or the machine broke."""
    points = [check.earned for check in checks]
    numbers = [point for point in points if point != "unscored"]
    return "unscored" if broken or len(numbers) < len(points) else total(numbers)


def total(points: Iterable[float]) -> float:
    """Give the sum of points without the dust of binary fractions."""
    return round(math.fsum(points), 6)


def score(
    assignment: Assignment,
    student: str,
    checks: Sequence[Check],
    *,
    waiting: Sequence[Waiting] = (),
    withheld: int = 0,
    notes: Sequence[str] = (),
    run: Run | None = None,
    grade: Grade | None = None,
    provenance: Provenance | None = None,
    broken: str = "",
) -> Score:
    """Give the score of one submission; `broken` says why the machine could not do its work, if it could not.

    What can be earned (`possible`) counts the checks; cells that wait for a person are listed beside it. If anything
    broke there is no score, and the reason names whose move it is.
    """
    checks = after_needs(checks)
    points = earned(checks, broken)
    return Score(
        assignment=assignment.name,
        title=assignment.title,
        student=student,
        status="unscored" if points == "unscored" else "scored",
        reason=_reason(checks, broken) if points == "unscored" else "",
        earned=points,
        possible=total(check.points for check in checks),
        checks=checks,
        waiting=tuple(waiting),
        withheld=withheld,
        notes=tuple(notes),
        run=run,
        grade=grade,
        provenance=provenance,
    )


def _reason(checks: Iterable[Check], broken: str) -> str:
    """Say why there is no score, and that it is not for the student to act."""
    if broken:
        return f"The grading machine could not do its work: {broken.rstrip('.')}. The instructor has to mend this."
    names = [f"'{check.id}'" for check in checks if check.earned == "unscored"]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    which = f"The check {listed}" if len(names) == 1 else f"The checks {listed}"
    return f"{which} broke, which says nothing about the work. The instructor has to mend this."


def with_marks(score_: Score, marks: Mapping[str, float], late: Late | None) -> Score:
    """Give the score with what people marked: answers that waited, and checks whose points they set.

    The penalty for lateness is taken off the new sum.
    """
    checks = tuple(_overruled(check, marks[check.id]) if check.id in marks else check for check in score_.checks)
    known = {check.id for check in checks}
    marked = tuple(
        Marked(id=cell.id, points=cell.points, earned=marks[cell.id])
        for cell in score_.waiting
        if cell.id in marks and cell.id not in known
    )
    points = earned(checks, "" if checks else score_.reason)
    if points != "unscored":
        points = total((points, *(cell.earned for cell in marked)))
    old = score_.grade
    grade = lateness(old.due, old.submitted_at, late, points) if old else None
    return msgspec.structs.replace(
        score_,
        status="unscored" if points == "unscored" else "scored",
        reason=score_.reason if points == "unscored" else "",
        earned=points,
        possible=total((*(check.points for check in checks), *(cell.points for cell in marked))),
        checks=checks,
        marked=marked,
        waiting=tuple(cell for cell in score_.waiting if cell.id not in marks),
        grade=msgspec.structs.replace(grade, extended=old.extended) if old and grade else grade,
    )


def _overruled(check: Check, mark: float) -> Check:
    """Give a check with the points that a person set; what the grader found stays beside them."""
    told = f"A person set these points. {check.hint}".strip()
    return msgspec.structs.replace(check, earned=mark, hint=told)


# --- Lateness --------------------------------------------------------------------------------------------------------


def lateness(
    due: datetime | None,
    submitted_at: datetime | None,
    late: Late | None,
    earned: float | Unscored,
    extension: datetime | None = None,
) -> Grade:
    """Give the grade after lateness; an extension takes the place of the due time.

    Every day begun counts. Past the policy's last day nothing is accepted. Without a policy lateness is stated and
    costs nothing; work whose time is not known is not late. A time without a zone is UTC, as in nbgrader's files.
    """
    until = extension or due
    days = _days_begun(until, submitted_at)
    penalty: float | Unscored = "unscored"
    if earned != "unscored":
        penalty = _penalty(days, late, earned)
    return Grade(
        due=until,
        submitted_at=submitted_at,
        days_late=days,
        penalty=penalty,
        earned="unscored" if earned == "unscored" or penalty == "unscored" else total((earned, -penalty)),
        extended=extension is not None,
    )


def penalized(grade: Grade, points: float, penalty: float) -> Grade:
    """Give the grade with a penalty that somebody else worked out, as nbgrader's own plugins do; never below zero."""
    return msgspec.structs.replace(grade, penalty=penalty, earned=max(0.0, total((points, -penalty))))


def _days_begun(until: datetime | None, submitted_at: datetime | None) -> int:
    if until is None or submitted_at is None:
        return 0
    return max(0, -((_utc(until) - _utc(submitted_at)) // _DAY))


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _penalty(days: int, late: Late | None, points: float) -> float:
    """Give the points that so many days cost: never more than there are, never less than none."""
    if not days or late is None or points <= 0:
        return 0.0
    if days > late.days:
        return points
    return min(points, round(points * late.percent_per_day * days / 100, 2))
