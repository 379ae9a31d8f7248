"""Grading a class: every submission examined by a process of its own, every result a file before anything else.

A stop at any moment leaves finished scores finished; the next run does what is left (`keeping`). One process writes
the gradebook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from pathlib import Path

import msgspec

from coursekit import course, dispatch, gradebook, grading, keeping, planning, sandbox, shelf, warming
from coursekit.records import SandboxName, Score, Submission

Progress = Callable[[str, Score | None], None]
"""Told of each student: when their submission begins (without a score) and when it is done (with one).

One whose score is kept is done without having begun.
"""

Explain = Callable[[Sequence[keeping.Decision]], None]
"""Told what was done with each submission, and why."""

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
    force: bool = False,
    cold: bool = False,
    scheduler: str = "",
    ahead: warming.Ahead = warming.NOTHING,
    progress: Progress,
    explain: Explain = unheard,
    notice: Notice = unheard,
) -> list[Score]:
    """Grade what was handed in for an assignment and has not been graded as it is; the scores by student.

    With `force` everything runs; with `cold` kernels start cold; with `scheduler` what runs does so on its workers.
    `ahead` is what is warming on this machine already.
    `explain` is told at the end what was done with each submission, and why. Raises SandboxError before anything runs
    if there is no sandbox, CourseError if nothing was released or handed in, or another grader is at work.
    """
    with shelf.locked(root), _desk(root, name, box, anew=force, cold=cold) as (settings, desk):
        submissions = course.submissions(settings.submitted, name, students)
        desk.sweep(submissions)
        decisions = {each.student: desk.decide(each, force=force) for each in submissions}

        def keep(graded: grading.Graded) -> Score:
            decisions[graded.score.student] = _as_done(decisions[graded.score.student], graded)
            return desk.keep(graded)

        try:
            kept = [_as_kept(desk, each, decisions[each.student], progress) for each in submissions]
            scores = [score for score in kept if score is not None]
            left = [each for each in submissions if decisions[each.student].action in ("check", "run")]
            if left and not scheduler:
                sandbox.require(box)
            if left:
                scores += run_all(
                    desk.plan,
                    left,
                    jobs,
                    keep,
                    progress,
                    scheduler=scheduler,
                    ahead=ahead,
                    turn=desk.turn,
                    notice=notice,
                )
        finally:
            desk.flush()
    explain([decisions[student] for student in sorted(decisions)])
    return sorted(map(desk.settled, scores), key=lambda score: score.student)


def foresee(
    root: Path, name: str, *, students: Sequence[str] = (), box: SandboxName = "bwrap", force: bool = False
) -> list[keeping.Decision]:
    """What `grade_class` would do with each submission, and why."""
    with _desk(root, name, box) as (settings, desk):
        return [desk.decide(each, force=force) for each in course.submissions(settings.submitted, name, students)]


@contextmanager
def _desk(
    root: Path, name: str, box: SandboxName, *, anew: bool = False, cold: bool = False
) -> Iterator[tuple[gradebook.Settings, keeping.Desk]]:
    """The class with its gradebook open."""
    _, settings = planning.facts(root)
    plan = msgspec.structs.replace(planning.plan(root, settings, name, box), anew=anew, cold=cold)
    with gradebook.Gradebook(settings) as book:
        yield settings, keeping.Desk(root, settings, plan, book)


def _as_kept(
    desk: keeping.Desk, submission: Submission, decision: keeping.Decision, progress: Progress
) -> Score | None:
    """The score of a submission for which nothing has to run; None if something has to."""
    if decision.action in ("check", "run"):
        return None
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
    *,
    scheduler: str = "",
    ahead: warming.Ahead = warming.NOTHING,
    turn: Callable[[], None] = unheard,
    notice: Notice = unheard,
) -> list[Score]:
    """Grade submissions side by side, here or by the workers of a scheduler.

    `keep` is called in this thread, once per submission, as results come; `turn` every second or so. `ahead` is what is
    warming on this machine already.
    """
    scores: list[Score] = []
    said: set[str] = set()
    with dispatch.place(plan, jobs, scheduler, lambda student: progress(student, None), ahead) as place:
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
