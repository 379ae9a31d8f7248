"""Giving results back: a page per student beside nbgrader's own feedback, and one table for the class."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from coursekit import course, gradebook, planning, scoring, shelf
from coursekit.errors import CourseError
from coursekit.records import Late, Record, Score
from coursekit.report import html, table


class Reported(Record, frozen=True, kw_only=True):
    """The files of a report."""

    assignment: str
    pages: dict[str, str]
    """Student -> their page, beside nbgrader's."""
    table: str


def report(root: Path, name: str) -> Reported:
    """Write `feedback/STUDENT/NAME/score.html` for every score, nbgrader's feedback, and `scores/NAME.csv`.

    Raises CourseError if nothing has been graded yet, or a score is not the one that was.
    """
    facts, settings = planning.facts(root)
    scores = course.scores(root, name)
    if not scores:
        raise CourseError(f"'{name}' has not been graded.", where=str(root), fix=f"run coursekit grade {name}")
    for score in scores:
        _refuse_changed(root, score)
    late = None if settings.plain else course.assignment(root, name).late or facts.late
    with gradebook.Gradebook(settings) as book:
        marks = book.marks(name)
        final = [_marked(book, score, marks.get(score.student, {}), late, settings.plain) for score in scores]
    pages = {score.student: str(_page(settings, score, facts.title)) for score in final}
    file = root / "scores" / f"{name}.csv"
    course.write(file, table.class_csv(final).encode())
    return Reported(assignment=name, pages=pages, table=str(file))


def _refuse_changed(root: Path, score: Score) -> None:
    """Refuse a score that is not the one that grading sealed: a stopped grading, a disk or a person changed it."""
    kept = shelf.load(shelf.folder(root, score.assignment, score.student))
    file = course.score_file(root, score.student, score.assignment)
    if kept is not None and hashlib.sha256(file.read_bytes()).hexdigest() != kept.score_sha256:
        raise CourseError(
            "it is not the score that was graded.",
            where=str(file.relative_to(root)),
            fix=f"run coursekit grade {score.assignment}",
        )


def _marked(
    book: gradebook.Gradebook, score: Score, marks: Mapping[str, float], late: Late | None, plain: bool
) -> Score:
    """The score with what people marked since, and the penalty on that in the gradebook too."""
    if not marks:
        return score
    final = scoring.with_marks(score, marks, late)
    if plain and final.earned != "unscored" and final.grade is not None:
        penalty = scoring.total(book.late_penalty(score.student, score.assignment).values())
        return msgspec.structs.replace(final, grade=scoring.penalized(final.grade, final.earned, penalty))
    if final.grade is not None and final.grade.penalty != "unscored":
        book.penalize(score.student, score.assignment, final.grade.penalty)
    return final


def _page(settings: gradebook.Settings, score: Score, title: str) -> Path:
    """One student's page, beside nbgrader's feedback where the notebook could be run."""
    folder = settings.feedback / score.student / score.assignment
    if (settings.autograded / score.student / score.assignment).is_dir():
        folder = gradebook.write_feedback(settings, score.student, score.assignment)
    page = folder / "score.html"
    course.write(page, html.page(score, title).encode())
    return page
