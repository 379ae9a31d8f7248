"""Grading on a worker of another machine: a submission comes as bytes, and what it earned goes back as bytes.

A worker opens a plan once: unpacked into a folder that only it may enter, with warm interpreters of its own. Both are
gone when the class is graded, or when nobody has asked for some minutes, as after a grader that was killed.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from coursekit import __version__, examiner, grading, parcel, planning, pool, sandbox, shelf, warming
from coursekit.errors import ToolError
from coursekit.pool.cluster import Post

SAME_VERSIONS = "install the same versions there, from the same requirements.lock"
_KEPT_SECONDS = 300.0


def grade(plan: bytes, submission: bytes, post: Post) -> tuple[bytes, str]:
    """The score of one submission, packed; and why another machine may do better, if this one failed.

    Raises examiner.Stopped when nobody waits for it any more.
    """
    with tempfile.TemporaryDirectory(prefix="coursekit-", dir=post.folder, ignore_cleanup_errors=True) as scratch:
        handed_in = parcel.unpack_submission(submission, Path(scratch))
        try:
            with _opened(plan, post.folder) as warm:
                with pool.lane(post.stop, exclusive=planning.is_timed(warm.plan)):
                    post.begin()
                    plan_here = parcel.with_runs(warm.plan, Path(scratch))
                    graded = grading.grade(plan_here, handed_in, post.stop)
                notices = warm.notices()
        except (examiner.Stopped, pool.Unwanted):
            raise examiner.Stopped from None
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this submission its score, not the class theirs
            graded, notices = grading.unscored(parcel.facts(plan), handed_in, error), ()
    return parcel.pack_graded(graded, notices), graded.score.reason if graded.machine else ""


def misfit(coursekit: str, tools: Mapping[str, str]) -> str:
    """What is of another version here than with the grader, so that figures could differ; else nothing."""
    mine = {"coursekit": __version__, **planning.tools()}
    theirs = {"coursekit": coursekit, **tools}
    return ", ".join(
        f"{name} {mine.get(name, 'absent')} instead of {version}"
        for name, version in theirs.items()
        if mine.get(name, "absent") != version
    )


def close(name: str) -> None:
    """Let go of a plan, now or as soon as no submission is graded by it."""
    with _CHANGING:
        if name in _open:
            _open[name].wanted = False
            _leave(name, _open[name])


def plan_id(plan: bytes) -> str:
    """What `close` calls a plan."""
    return hashlib.sha256(plan).hexdigest()


# --- the plans that are open in this process --------------------------------------------------------------------------


class _Open:
    """A plan that was opened here, its warm interpreters, and what has to end with it."""

    def __init__(self, data: bytes, below: Path) -> None:
        self.users, self.wanted = 0, True
        self.timer: threading.Timer | None = None
        shelf.sweep_scratch()  # of a worker that was killed here
        with ExitStack() as ends:
            folder = ends.enter_context(
                tempfile.TemporaryDirectory(prefix="coursekit-", dir=below, ignore_cleanup_errors=True)
            )
            version, plan = parcel.unpack_plan(data, Path(folder))
            wrong = misfit(version, plan.tools)
            if wrong:
                raise ToolError(f"a worker has {wrong}.", fix=SAME_VERSIONS)
            sandbox.require(plan.sandbox)
            self.warm = ends.enter_context(warming.warmed(planning.here(plan)))
            self.end = ends.pop_all().close


_CHANGING = threading.Lock()
_open: dict[str, _Open] = {}


@contextmanager
def _opened(data: bytes, below: Path) -> Iterator[warming.Warm]:
    """The plan, opened by the first who asks for it. Raises MachineError if this machine cannot follow it."""
    name = plan_id(data)
    with _CHANGING:
        if name not in _open:
            _open[name] = _Open(data, below)
        mine = _open[name]
        mine.users += 1
        if mine.timer:
            mine.timer.cancel()
    try:
        yield mine.warm
    finally:
        with _CHANGING:
            mine.users -= 1
            _leave(name, mine)


def _leave(name: str, mine: _Open) -> None:
    """End a plan that nobody uses and nobody wants; one that nobody uses is not wanted for long."""
    if mine.users:
        return
    if mine.timer:
        mine.timer.cancel()
    if not mine.wanted:
        _open.pop(name, None)
        mine.end()
        return
    mine.timer = threading.Timer(_KEPT_SECONDS, close, [name])
    mine.timer.daemon = True
    mine.timer.start()
