"""The scores of a class as CSV: numbers stay numbers, and no cell can be a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from coursekit.records import Score, Unscored
from coursekit.report.phrases import clean

_FIXED = ("student", "submitted_at", "days_late", "status", "earned", "possible", "penalty", "grade")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - some spreadsheets fold the wide forms


def class_csv(scores: Sequence[Score]) -> str:
    """Give one line per submission, and a column for each check and each cell that a person marks.

    `status` is scored, unscored, or waiting while a mark is missing. A check that a submission does not have is an
    empty field.
    """
    checks = dict.fromkeys(check.id for score in scores for check in score.checks)
    by_hand = dict.fromkeys(
        name for score in scores for name in (*(cell.id for cell in score.marked), *(cell.id for cell in score.waiting))
    )
    ids = [*checks, *(name for name in by_hand if name not in checks)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_text(name) for name in (*_FIXED, *ids)])
    for score in scores:
        writer.writerow(_row(score, ids))
    return out.getvalue()


def _row(score: Score, ids: Sequence[str]) -> list[str]:
    grade = score.grade
    fields = {check.id: _number(check.earned) for check in score.checks}
    fields |= {cell.id: "waiting" for cell in score.waiting}
    fields |= {cell.id: _number(cell.earned) for cell in score.marked}
    return [
        _text(score.student),
        grade.submitted_at.isoformat() if grade and grade.submitted_at else "",
        str(grade.days_late) if grade else "",
        "waiting" if score.status == "scored" and score.waiting else score.status,
        _number(score.earned),
        _number(score.possible),
        _number(grade.penalty) if grade else "",
        _number(grade.earned if grade else score.earned),
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
