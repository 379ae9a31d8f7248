"""Where submissions are graded: by processes of this machine, or by the workers of a scheduler.

Both places take a submission and promise what it earned. Neither decides what a fault costs, but for the one that only
a far place has: nobody brought an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Protocol

import msgspec

from coursekit import __version__, examiner, grading, parcel, planning, pool, remote, warming
from coursekit.errors import MachineError, ToolError
from coursekit.ingredients import Ingredients
from coursekit.pool.cluster import EXCLUSIVE, Cluster, Lost
from coursekit.records import Submission

_SPARE_SECONDS = 300.0
"""On a worker: for unpacking, and for packing what was graded."""

Begun = Callable[[str], None]
"""Told of a student whose submission begins, from any thread, and again if it has to begin anew."""


class Place(Protocol):
    """Where submissions are graded."""

    def submit(self, submission: Submission) -> Future[grading.Graded]:
        """Have one graded. The future holds MachineError only if no submission can be graded here any more."""

    def notices(self) -> tuple[str, ...]:
        """What there is to say about this place to whoever grades; more may come."""

    def stop(self) -> None:
        """End what runs, and begin nothing more."""


@contextmanager
def place(
    plan: grading.Plan, jobs: int, scheduler: str, begun: Begun, ahead: warming.Ahead = warming.NOTHING
) -> Iterator[Place]:
    """This machine, or the workers of the scheduler at an address; for as long as the context lasts.

    `ahead` is what is warming on this machine already. Raises MachineError if no scheduler answers, or its workers
    cannot grade this assignment.
    """
    if scheduler:
        far = _Elsewhere(plan, scheduler, begun)
        try:
            yield far
        finally:
            far.close()
        return
    with warming.warmed(plan, ahead) as warm:
        here = _Here(warm, jobs, begun)
        try:
            yield here
        finally:
            here.stop()


class _Here:
    """This machine: a thread waits for each submission's processes."""

    def __init__(self, warm: warming.Warm, jobs: int, begun: Begun) -> None:
        self._warm, self._begun = warm, begun
        self._exclusive = planning.is_timed(warm.plan)
        self._executor = pool.open_pool(jobs)
        self._stop = threading.Event()

    def submit(self, submission: Submission) -> Future[grading.Graded]:
        return self._executor.submit(self._grade, submission)

    def _grade(self, submission: Submission) -> grading.Graded:
        try:
            with pool.lane(self._stop, exclusive=self._exclusive):
                self._begun(submission.student)
                return grading.grade(self._warm.plan, submission, self._stop)
        except (examiner.Stopped, pool.Unwanted):
            raise examiner.Stopped from None
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this submission its score, not the class theirs
            return grading.unscored(self._warm.plan, submission, error)

    def notices(self) -> tuple[str, ...]:
        return self._warm.notices()

    def stop(self) -> None:
        self._stop.set()
        self._executor.shutdown(wait=True, cancel_futures=True)


class _Elsewhere:
    """The workers of a scheduler: each submission travels as bytes, its kept runs with it, and no folder is shared.

    A score is kept by what it depends on as the grader sees it; a run, which may stand for a new one, by what was
    installed where it ran.
    """

    def __init__(self, plan: grading.Plan, address: str, begun: Begun) -> None:
        self._plan, self._begun = plan, begun
        self._said: dict[str, None] = {}
        self._futures: list[Future[bytes]] = []
        self._depends: dict[str, Ingredients] = {}
        shared = parcel.pack_plan(plan)
        self._id = remote.plan_id(shared)
        seconds = max(1, len(plan.notebooks)) * examiner.deadline(plan.assignment) + _SPARE_SECONDS
        timed = planning.is_timed(plan)
        self._cluster = Cluster(address, remote.grade, shared, seconds=seconds, exclusive=timed)
        try:
            self._refuse_misfits()
            self._look_for_workers(timed=timed)
        except BaseException:
            self.close()
            raise

    def _refuse_misfits(self) -> None:
        for worker, wrong in sorted(self._cluster.ask(remote.misfit, __version__, dict(self._plan.tools)).items()):
            if wrong:
                raise ToolError(f"a worker has {wrong}.", where=worker, fix=remote.SAME_VERSIONS)

    def _look_for_workers(self, *, timed: bool) -> None:
        timers = self._cluster.timers()
        if timers is None:
            self._said[f"No worker has joined {self._cluster.address} yet; submissions wait for one."] = None
        elif timed and not timers:
            raise MachineError(
                "this assignment is timed, and no worker may time things.",
                where=self._cluster.address,
                fix=f"start one worker on a machine of its own with --nthreads 1 --resources {EXCLUSIVE}=1",
            )

    def submit(self, submission: Submission) -> Future[grading.Graded]:
        promised: Future[grading.Graded] = Future()
        promised.set_running_or_notify_cancel()

        def done(packed: Future[bytes]) -> None:
            try:
                promised.set_result(self._unpacked(submission, packed))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                promised.set_exception(error)

        packed = self._cluster.submit(
            submission.student,
            lambda: self._pack(submission),
            lambda: self._begun(submission.student),
        )
        self._futures.append(packed)
        packed.add_done_callback(done)
        return promised

    def _pack(self, submission: Submission) -> bytes:
        depends = grading.ingredients(self._plan, submission)  # before the rest is read: what changes is seen later
        self._depends[submission.student] = depends
        return parcel.pack_submission(submission, grading.kept_runs(self._plan, submission, depends))

    def _unpacked(self, submission: Submission, packed: Future[bytes]) -> grading.Graded:
        """What came back. Raises MachineError if the scheduler is gone, Stopped if it was ended here."""
        if packed.cancelled():
            raise examiner.Stopped
        try:
            graded, notices = parcel.unpack_graded(packed.result(), submission)
        except MachineError:
            raise
        except Lost as error:
            return grading.unscored(self._plan, submission, MachineError(str(error)))
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this submission its score, not the class theirs
            return grading.unscored(self._plan, submission, error)
        self._said |= dict.fromkeys(notices)
        return msgspec.structs.replace(graded, ingredients=self._depends[submission.student])

    def notices(self) -> tuple[str, ...]:
        return tuple(self._said)

    def stop(self) -> None:
        for future in self._futures:
            future.cancel()

    def close(self) -> None:
        self.stop()
        self._cluster.close(remote.close, self._id)
