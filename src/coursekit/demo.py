"""A class of six made-up submissions, graded before one's eyes: what coursekit does, in two minutes.

The submissions are the reference of `quantize` with cells replaced, each with one thing right or wrong. They live in a
course of their own, made anew each time, so that a real one is never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coursekit import batch, course, planning, proving, release, reporting, scaffold
from coursekit.errors import CourseError
from coursekit.records import Case, Record, SandboxName, Score

ASSIGNMENT = "quantize"
FOLDER = "demo"
_MARKER = "assignments/course.yaml"
_LATE_STUDENT, _LATE_HOURS = "mediocre", 30


class Shown(Record, frozen=True, kw_only=True):
    """What the demonstration left behind."""

    folder: str
    scores: tuple[Score, ...]
    pages: dict[str, str]
    table: str
    gradebook: str


def demo(
    root: Path,
    *,
    jobs: int = 0,
    box: SandboxName = "bwrap",
    progress: batch.Progress,
    notice: batch.Notice = batch.unheard,
) -> Shown:
    """Release the assignment, hand in six submissions, grade and report them, in `demo/` below the course."""
    cases = course.cases(root, ASSIGNMENT, "demo")
    if not cases:
        raise CourseError(f"there are no made-up submissions in autograder/{ASSIGNMENT}/demo.", where=str(root))
    folder = _fresh(root)
    release.release(folder, ASSIGNMENT)
    _, settings = planning.facts(folder)
    _hand_in(folder, settings.submitted, cases)
    scores = batch.grade_class(folder, ASSIGNMENT, jobs=jobs, box=box, progress=progress, notice=notice)
    reported = reporting.report(folder, ASSIGNMENT)
    return Shown(
        folder=str(folder),
        scores=tuple(scores),
        pages=reported.pages,
        table=reported.table,
        gradebook=str(folder / "gradebook.db"),
    )


def _fresh(root: Path) -> Path:
    """An empty demonstration course. Raises CourseError if something else is in its place."""
    folder = root / FOLDER
    if folder.exists() and not (folder / _MARKER).is_file():
        raise CourseError("this folder is in the way and is not an earlier demonstration.", where=str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    with proving.copied(root, ASSIGNMENT) as copy:
        shutil.copytree(copy, folder)
    (folder / _MARKER).write_text("title: A demonstration\nterm: today\n")
    (folder / scaffold.NBGRADER_FILE).write_text(scaffold.NBGRADER)
    return folder


def _hand_in(folder: Path, submitted: Path, cases: Mapping[str, Case]) -> None:
    """Hand in each case an hour before it is due; one comes too late, to show what that costs."""
    due = course.assignment(folder, ASSIGNMENT).due or datetime.now(UTC)
    for submission in proving.hand_in(folder, ASSIGNMENT, submitted, cases):
        hours = _LATE_HOURS if submission.student == _LATE_STUDENT else -1
        when = (due + timedelta(hours=hours)).astimezone(UTC)
        (Path(submission.folder) / "timestamp.txt").write_text(f"{when:%Y-%m-%d %H:%M:%S.%f %Z}\n")
