"""Grading a class: every submission examined by a process of its own, every result a file before anything else.

A stop at any moment leaves finished scores finished; the next run writes the same again. One process writes the
gradebook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path

import msgspec

from coursekit import course, dispatch, gradebook, grading, planning, sandbox, scoring
from coursekit.errors import CourseError
from coursekit.records import SandboxName, Score, Submission

Progress = Callable[[str, Score | None], None]
"""Told of each student: when their submission begins (without a score) and when it is done (with one)."""

Notice = Callable[[str], None]
"""Told, once, what whoever grades should know and no score depends on."""

_TURN_SECONDS = 0.5


def unheard(*_: object) -> None:
    """Nobody is listening."""


def grade_class(
    root: Path,
    name: str,
    *,
    students: Sequence[str] = (),
    jobs: int = 0,
    box: SandboxName = "bwrap",
    scheduler: str = "",
    progress: Progress,
    notice: Notice = unheard,
) -> list[Score]:
    """Grade what was handed in for an assignment; the scores by student.

    Raises SandboxError before anything runs if there is no sandbox, CourseError if nothing was released or handed in.
    """
    _, settings = planning.facts(root)
    submissions = course.submissions(settings.submitted, name, students)
    plan = planning.plan(root, settings, name, box)
    if not scheduler:
        sandbox.require(box)
    refused: dict[str, Score] = {}

    def refuse(score: Score, error: CourseError) -> None:
        refused[score.student] = _refuse(root, score, error)

    with gradebook.Gradebook(settings) as book:
        batches = gradebook.Batches(book, refuse)

        def keep(graded: grading.Graded) -> Score:
            return _keep(root, settings, plan, book, batches, graded)

        try:
            scores = run_all(
                plan, submissions, jobs, keep, progress, scheduler=scheduler, turn=batches.turn, notice=notice
            )
        finally:
            batches.flush()
    return [refused.get(score.student, score) for score in scores]


def run_all(
    plan: grading.Plan,
    submissions: Sequence[Submission],
    jobs: int,
    keep: Callable[[grading.Graded], Score],
    progress: Progress,
    *,
    scheduler: str = "",
    turn: Callable[[], None] = unheard,
    notice: Notice = unheard,
) -> list[Score]:
    """Grade submissions side by side, here or by the workers of a scheduler.

    `keep` is called in this thread, once per submission, as results come; `turn` every second or so.
    """
    scores: list[Score] = []
    said: set[str] = set()
    with dispatch.place(plan, jobs, scheduler, lambda student: progress(student, None)) as place:
        waiting = {place.submit(submission) for submission in submissions}
        try:
            while waiting:
                done, waiting = wait(waiting, _TURN_SECONDS, FIRST_COMPLETED)
                for future in done:
                    score = keep(future.result())
                    scores.append(score)
                    progress(score.student, score)
                turn()
                _tell(place.notices(), said, notice)
        except BaseException:
            place.stop()  # Ctrl-C, a full disk, a lost database: what runs is ended, what is kept stays
            raise
        _tell(place.notices(), said, notice)
    return sorted(scores, key=lambda score: score.student)


def _tell(notices: Sequence[str], said: set[str], notice: Notice) -> None:
    """Say each of these once."""
    for sentence in notices:
        if sentence not in said:
            said.add(sentence)
            notice(sentence)


def _keep(
    root: Path,
    settings: gradebook.Settings,
    plan: grading.Plan,
    book: gradebook.Gradebook,
    batches: gradebook.Batches,
    graded: grading.Graded,
) -> Score:
    """Write one result: the score, then what nbgrader keeps. One that nbgrader cannot keep costs nobody else theirs."""
    score = graded.score
    course.write_score(root, score)
    log = course.score_file(root, score.student, score.assignment).with_name("grader.log")
    if graded.log:
        course.write(log, graded.log.encode())
    else:
        log.unlink(missing_ok=True)
    try:
        return _record(root, settings, plan, book, batches, graded)
    except CourseError as error:
        return _refuse(root, score, error)


def _refuse(root: Path, score: Score, error: CourseError) -> Score:
    """The score that is not there because nbgrader has no place for it, written."""
    reason = f"It cannot be kept: {error.what.rstrip('.')}. The instructor has to mend this: {error.fix}"
    score = msgspec.structs.replace(score, status="unscored", earned="unscored", reason=reason, grade=None)
    course.write_score(root, score)
    return score


def _record(
    root: Path,
    settings: gradebook.Settings,
    plan: grading.Plan,
    book: gradebook.Gradebook,
    batches: gradebook.Batches,
    graded: grading.Graded,
) -> Score:
    """Write the executed notebooks and soon the gradebook; the score, after nbgrader's own penalty if it takes one."""
    score, folder = graded.score, settings.submitted / graded.score.student / graded.score.assignment
    if graded.executed:
        gradebook.write_autograded(settings, score.student, score.assignment, graded.executed, folder)
    if not settings.plain:
        batches.add(gradebook.Entry(score, plan.cells, graded.executed, graded.submitted_at))
    else:  # at once: nbgrader's policy looks at what is recorded
        book.record(score, plan.cells, graded.executed, graded.submitted_at)
        score = _with_nbgraders_penalty(book, score, graded)
        course.write_score(root, score)
    return score


def _with_nbgraders_penalty(book: gradebook.Gradebook, score: Score, graded: grading.Graded) -> Score:
    """The score with the penalty that the course's own nbgrader plugin takes."""
    if score.earned == "unscored":
        return score
    penalty = scoring.total(book.late_penalty(score.student, score.assignment).values())
    grade = scoring.lateness(None, graded.submitted_at, None, score.earned)
    return msgspec.structs.replace(score, grade=scoring.penalized(grade, score.earned, penalty))
