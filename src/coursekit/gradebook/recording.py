"""What one score writes into nbgrader's database, cell by cell, by the rules of its own SaveAutoGrades.

A mark, a comment or extra credit that a person gave is never touched; where there is a mark, the cell is flagged for
another look, as nbgrader does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import nbgrader.api as nb

from coursekit.cellgrades import check_ids, unanswered
from coursekit.records import Check, GradedCell, Score

NO_RESPONSE = "No response."
"""nbgrader's own comment on an answer that is as it was handed out."""


def record(
    book: nb.Gradebook,
    score: Score,
    cells: Mapping[str, Sequence[GradedCell]],
    executed: Mapping[str, Mapping[str, Any]],
    submitted_at: datetime | None,
    *,
    penalties: Mapping[str, float] | None,
) -> None:
    """Write one score and commit it; nbgrader's MissingEntry if the database lacks what the score is about."""
    time = {} if submitted_at is None else {"timestamp": submitted_at}
    book.update_or_create_student(score.student)
    with book.db.no_autoflush:  # nbgrader builds a new submission up before it adds it, which SQLAlchemy warns of
        submission = book.update_or_create_submission(score.assignment, score.student, **time)
    ids = check_ids(cells)
    checks = {check.id: check for check in score.checks}
    for notebook in submission.notebooks:
        graded = cells.get(notebook.name, ())
        mine = {
            cell.id: checks[ids[notebook.name, cell.id]] for cell in graded if ids[notebook.name, cell.id] in checks
        }
        _write(notebook, score, graded, mine, executed.get(notebook.name))
    book.db.commit()
    if penalties is None:
        penalties = spread(_penalty(score), {notebook.name: notebook.score for notebook in submission.notebooks})
    for notebook in submission.notebooks:
        notebook.late_submission_penalty = penalties.get(notebook.name)
    book.db.commit()


def automatic(book: nb.Gradebook, name: str, students: Sequence[str] = ()) -> list[Any]:
    """Give (student, notebook, cell, automatic points) for each graded cell of an assignment, or of some students."""
    found = (
        book.db.query(nb.SubmittedAssignment.student_id, nb.Notebook.name, nb.BaseCell.name, nb.Grade.auto_score)
        .select_from(nb.Grade)
        .join(nb.SubmittedNotebook, nb.Grade.notebook_id == nb.SubmittedNotebook.id)
        .join(nb.SubmittedAssignment, nb.SubmittedNotebook.assignment_id == nb.SubmittedAssignment.id)
        .join(nb.Notebook, nb.SubmittedNotebook.notebook_id == nb.Notebook.id)
        .join(nb.BaseCell, nb.Grade.cell_id == nb.BaseCell.id)
        .join(nb.Assignment, nb.SubmittedAssignment.assignment_id == nb.Assignment.id)
        .filter(nb.Assignment.name == name)
    )
    return list(found.filter(nb.SubmittedAssignment.student_id.in_(students)) if students else found)


def submissions(book: nb.Gradebook, name: str, students: Sequence[str]) -> list[Any]:
    """Give what these students handed in for an assignment, as it is recorded."""
    found = book.db.query(nb.SubmittedAssignment).join(
        nb.Assignment, nb.SubmittedAssignment.assignment_id == nb.Assignment.id
    )
    return list(found.filter(nb.Assignment.name == name, nb.SubmittedAssignment.student_id.in_(students)))


def spread(penalty: float, scores: Mapping[str, float]) -> dict[str, float]:
    """Give the notebooks' shares of a penalty, in proportion to their scores, and never more than a score."""
    total = sum(score for score in scores.values() if score > 0)
    if penalty <= 0 or total <= 0:
        return {}
    share = min(1.0, penalty / total)
    return {name: score * share for name, score in scores.items() if score > 0}


def _penalty(score: Score) -> float:
    if score.grade is None or score.grade.penalty == "unscored":
        return 0.0
    return score.grade.penalty


def _write(
    notebook: nb.SubmittedNotebook,
    score: Score,
    graded: Sequence[GradedCell],
    checks: Mapping[str, Check],
    executed: Mapping[str, Any] | None,
) -> None:
    """Write grades and comments of one notebook; one that was not handed in earns nothing, as under nbgrader."""
    untouched = {cell.id for cell in graded} if executed is None else unanswered(graded, executed)
    grades = {grade.name: grade for grade in notebook.grades}
    comments = {comment.name: comment for comment in notebook.comments}
    for cell in graded:
        if (cell.grade or cell.task) and cell.id not in grades:
            raise nb.MissingEntry(f"no grade for the cell {cell.id} of {notebook.name}")
        if cell.grade or (cell.task and executed is None):
            check = checks.get(cell.id)
            held = check is not None and check.id in {each.id for each in score.waiting}
            _write_grade(grades[cell.id], _auto_score(cell, check, score, untouched), held=held)
        if cell.id in comments and executed is not None:
            comments[cell.id].auto_comment = NO_RESPONSE if cell.id in untouched else None


def _write_grade(grade: nb.Grade, auto_score: float | None, *, held: bool) -> None:
    grade.auto_score = auto_score
    grade.needs_manual_grade = auto_score is None or grade.manual_score is not None or held


def _auto_score(cell: GradedCell, check: Check | None, score: Score, untouched: set[str]) -> float | None:
    """Give the points the grader gives a cell, or None if a person must look."""
    if score.status == "unscored":
        return None
    if cell.manual:
        return 0.0 if cell.id in untouched else None
    if check is None or check.outcome == "broken" or check.earned == "unscored":
        return None
    return check.earned
