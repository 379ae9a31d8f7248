"""Giving results back: a page per student beside nbgrader's own feedback, and one table for the class."""

from __future__ import annotations

from pathlib import Path

from coursekit import course, gradebook, planning
from coursekit.errors import CourseError
from coursekit.records import Record, Score
from coursekit.report import html, table


class Reported(Record, frozen=True, kw_only=True):
    """The files of a report."""

    assignment: str
    pages: dict[str, str]
    """Student -> their page, beside nbgrader's."""
    table: str


def report(root: Path, name: str) -> Reported:
    """Write `feedback/STUDENT/NAME/score.html` for every score, nbgrader's feedback, and `scores/NAME.csv`.

    Raises CourseError if nothing has been graded yet.
    """
    facts, settings = planning.facts(root)
    scores = course.scores(root, name)
    if not scores:
        raise CourseError(f"'{name}' has not been graded.", where=str(root), fix=f"run coursekit grade {name}")
    pages = {score.student: str(_page(settings, score, facts.title)) for score in scores}
    with gradebook.Gradebook(settings) as book:
        marks = book.marks(name)
    file = root / "scores" / f"{name}.csv"
    course.write(file, table.class_csv(scores, marks).encode())
    return Reported(assignment=name, pages=pages, table=str(file))


def _page(settings: gradebook.Settings, score: Score, title: str) -> Path:
    """One student's page, beside nbgrader's feedback where the notebook could be run."""
    folder = settings.feedback / score.student / score.assignment
    if (settings.autograded / score.student / score.assignment).is_dir():
        folder = gradebook.write_feedback(settings, score.student, score.assignment)
    page = folder / "score.html"
    course.write(page, html.page(score, title).encode())
    return page
