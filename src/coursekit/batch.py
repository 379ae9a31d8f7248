"""Grading a class: every submission examined by a process of its own, every result a file before anything else.

A stop at any moment leaves finished scores finished; the next run writes the same again. One process writes the
gradebook.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path

import msgspec

from coursekit import course, gradebook, grading, planning, pool, sandbox, scoring, warming
from coursekit.errors import CourseError
from coursekit.examiner import Stopped
from coursekit.records import SandboxName, Score, Submission

Progress = Callable[[str, Score | None], None]
"""Told of each student: when their submission begins (without a score) and when it is done (with one)."""


def grade_class(
    root: Path,
    name: str,
    *,
    students: Sequence[str] = (),
    jobs: int = 0,
    box: SandboxName = "bwrap",
    progress: Progress,
) -> list[Score]:
    """Grade what was handed in for an assignment; the scores by student.

    Raises SandboxError before anything runs if there is no sandbox, CourseError if nothing was released or handed in.
    """
    _, settings = planning.facts(root)
    submissions = course.submissions(settings.submitted, name, students)
    plan = planning.plan(root, settings, name, box)
    sandbox.require(box)
    with gradebook.Gradebook(settings) as book:

        def keep(graded: grading.Graded) -> Score:
            return _keep(root, settings, plan, book, graded)

        return run_all(plan, submissions, jobs, keep, progress)


def run_all(
    plan: grading.Plan,
    submissions: Sequence[Submission],
    jobs: int,
    keep: Callable[[grading.Graded], Score],
    progress: Progress,
) -> list[Score]:
    """Grade submissions side by side; `keep` is called in this thread, once per result, as they come."""
    stop = threading.Event()
    scores: list[Score] = []
    with warming.warmed(plan) as warm, pool.open_pool(jobs) as executor:
        futures = [executor.submit(_one, warm, submission, stop, progress) for submission in submissions]
        try:
            for future in as_completed(futures):
                score = keep(future.result())
                scores.append(score)
                progress(score.student, score)
        except BaseException:
            stop.set()  # Ctrl-C, a full disk, a lost database: what runs is ended, what is kept stays
            executor.shutdown(wait=True, cancel_futures=True)
            raise
    return sorted(scores, key=lambda score: score.student)


def _one(plan: grading.Plan, submission: Submission, stop: threading.Event, progress: Progress) -> grading.Graded:
    """One submission, graded or with a score that is not there."""
    if stop.is_set():
        raise Stopped
    progress(submission.student, None)
    try:
        return grading.grade(plan, submission, stop)
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours costs this submission its score, not the class theirs
        return grading.unscored(plan, submission, error)


def _keep(
    root: Path, settings: gradebook.Settings, plan: grading.Plan, book: gradebook.Gradebook, graded: grading.Graded
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
        return _record(root, settings, plan, book, graded)
    except CourseError as error:
        reason = f"It cannot be kept: {error.what.rstrip('.')}. The instructor has to mend this: {error.fix}"
        score = msgspec.structs.replace(score, status="unscored", earned="unscored", reason=reason, grade=None)
        course.write_score(root, score)
        return score


def _record(
    root: Path, settings: gradebook.Settings, plan: grading.Plan, book: gradebook.Gradebook, graded: grading.Graded
) -> Score:
    """Write the executed notebooks and the gradebook; the score, after nbgrader's own penalty if it takes one."""
    score, folder = graded.score, settings.submitted / graded.score.student / graded.score.assignment
    if graded.executed:
        gradebook.write_autograded(settings, score.student, score.assignment, graded.executed, folder)
    book.record(score, plan.cells, graded.executed, graded.submitted_at)
    if settings.plain:
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
