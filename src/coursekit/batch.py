"""Grading a class: every submission examined by a process of its own, every result a file before anything else.

A stop at any moment leaves finished scores finished; the next run does what is left (`keeping`). One process writes
the gradebook.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from pathlib import Path

import msgspec

from coursekit import course, gradebook, grading, keeping, planning, pool, sandbox, shelf, warming
from coursekit.examiner import Stopped
from coursekit.records import SandboxName, Score, Submission

Progress = Callable[[str, Score | None], None]
"""Told of each student: when their submission begins (without a score) and when it is done (with one)."""

Explain = Callable[[Sequence[keeping.Decision]], None]
"""Told what was done with each submission, and why."""


def grade_class(
    root: Path,
    name: str,
    *,
    students: Sequence[str] = (),
    jobs: int = 0,
    box: SandboxName = "bwrap",
    force: bool = False,
    explain: Explain = lambda _: None,
    progress: Progress,
) -> list[Score]:
    """Grade what was handed in for an assignment and has not been graded as it is; the scores by student.

    With `force` everything runs. `explain` is told at the end what was done with each submission, and why. Raises
    SandboxError before anything runs if there is no sandbox, CourseError if nothing was released or handed in, or
    another grader is at work.
    """
    with shelf.locked(root), _desk(root, name, box, anew=force) as (settings, desk):
        submissions = course.submissions(settings.submitted, name, students)
        desk.sweep(submissions)
        decisions = {each.student: desk.decide(each, force=force) for each in submissions}
        scores = [_as_kept(desk, each, decisions[each.student], progress) for each in submissions]
        left = [each for each in submissions if decisions[each.student].action in ("check", "run")]
        if left:
            sandbox.require(box)

            def keep(graded: grading.Graded) -> Score:
                decisions[graded.score.student] = _as_done(decisions[graded.score.student], graded)
                return desk.keep(graded)

            scores += run_all(desk.plan, left, jobs, keep, progress)
    explain([decisions[student] for student in sorted(decisions)])
    return sorted((score for score in scores if score is not None), key=lambda score: score.student)


def foresee(
    root: Path, name: str, *, students: Sequence[str] = (), box: SandboxName = "bwrap", force: bool = False
) -> list[keeping.Decision]:
    """What `grade_class` would do with each submission, and why."""
    with _desk(root, name, box) as (settings, desk):
        return [desk.decide(each, force=force) for each in course.submissions(settings.submitted, name, students)]


@contextmanager
def _desk(
    root: Path, name: str, box: SandboxName, *, anew: bool = False
) -> Iterator[tuple[gradebook.Settings, keeping.Desk]]:
    """The class with its gradebook open."""
    _, settings = planning.facts(root)
    plan = msgspec.structs.replace(planning.plan(root, settings, name, box), anew=anew)
    with gradebook.Gradebook(settings) as book:
        yield settings, keeping.Desk(root, settings, plan, book)


def _as_kept(
    desk: keeping.Desk, submission: Submission, decision: keeping.Decision, progress: Progress
) -> Score | None:
    """The score of a submission for which nothing has to run; None if something has to."""
    if decision.action in ("check", "run"):
        return None
    progress(submission.student, None)
    score = desk.score(submission.student) if decision.action == "keep" else desk.again(submission)
    if score is not None:
        progress(submission.student, score)
    return score


def _as_done(decision: keeping.Decision, graded: grading.Graded) -> keeping.Decision:
    """The decision, after what it came to: a check may ask the kept run what it was never asked."""
    if not graded.ran or decision.action == "run":
        return decision
    because = (*decision.because, "a check asks what the kept run was not asked")
    return msgspec.structs.replace(decision, action="run", because=because)


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
