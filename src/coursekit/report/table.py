"""The scores of a class as CSV: numbers stay numbers, and no cell can be a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from coursekit.records import Score, Unscored
from coursekit.report.phrases import clean

_FIXED = ("student", "submitted_at", "days_late", "status", "earned", "possible", "penalty", "grade")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - some spreadsheets fold the wide forms


def class_csv(scores: Sequence[Score], marks: Mapping[str, Mapping[str, float]]) -> str:
    """Give one line per submission, and a column for each check and each cell that a person marks.

    `marks` are the points given by hand: student -> cell -> points. `earned`, `possible` and `penalty` are those of the
    score; `grade` adds the marks given so far. `status` is scored, unscored, or waiting while a mark is missing. A
    check that a submission does not have is an empty field.
    """
    checks = dict.fromkeys(check.id for score in scores for check in score.checks)
    waiting = dict.fromkeys(cell.id for score in scores for cell in score.waiting)
    ids = [*checks, *(name for name in waiting if name not in checks)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_text(name) for name in (*_FIXED, *ids)])
    for score in scores:
        writer.writerow(_row(score, ids, marks.get(score.student, {})))
    return out.getvalue()


def _row(score: Score, ids: Sequence[str], marks: Mapping[str, float]) -> list[str]:
    grade = score.grade
    given = {cell.id: marks[cell.id] for cell in score.waiting if cell.id in marks}
    missing = len(given) < len(score.waiting)
    fields: dict[str, str] = {cell.id: "waiting" for cell in score.waiting}
    fields |= {check.id: _number(check.earned) for check in score.checks}
    fields |= {name: _number(mark) for name, mark in given.items()}
    final = grade.earned if grade else score.earned
    return [
        _text(score.student),
        grade.submitted_at.isoformat() if grade and grade.submitted_at else "",
        str(grade.days_late) if grade else "",
        "waiting" if score.status == "scored" and missing else score.status,
        _number(score.earned),
        _number(score.possible),
        _number(grade.penalty) if grade else "",
        _number(final if final == "unscored" else final + sum(given.values())),
        *(fields.get(name, "") for name in ids),
    ]


def _number(value: float | Unscored) -> str:
    """Give a number without separators, to millionths; the word as it is."""
    if value == "unscored":
        return value
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _text(value: str) -> str:
    """Give text that a spreadsheet shows and does not compute: an apostrophe goes before what would begin a formula."""
    shown = clean(value)  # tabs and line breaks at its beginning, which spreadsheets skip, are gone with this
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
