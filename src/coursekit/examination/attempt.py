"""One attempt at one submission: its notebook runs in a box, its artifacts are read, its functions can be called.

This is what a trusted pytest process holds on to while it asks its questions. The kernel starts when the attempt
begins and ends with it; what it made is read once, so that every metric is measured on the same bytes. A kept run may
stand for a new one: then a kernel starts only when a function is asked what it was never asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from coursekit import notebook, shelf
from coursekit.errors import MissingWork, StudentError
from coursekit.examination.answers import Answers, Question
from coursekit.examination.watching import watched
from coursekit.plainfile import read_below
from coursekit.records import Artifact, Collected, Failure, Limits, Run
from coursekit.sandbox.kernel import Answer, CellResult, Kernel
from coursekit.shelf import KeptRun
from coursekit.tasks import Task

_MOST_RESTARTS = 2
_SHOWN = 500
_SHOWN_LINES = 3


class Attempt:
    """The run of one submission, begun by `begin` and ended by `end`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.kernel: Kernel | None = None
        self.artifacts: dict[str, bytes] = {}
        self.executed: dict[str, Any] | None = None
        self.run = Run(state="not run", reason=task.refusal, sandbox=task.sandbox)
        self.ran = False
        self.answers = Answers()
        self._restarts = 0
        self._late = False
        self._taken: KeptRun | None = None

    # --- the run ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Run the notebook, or take up its kept run, and read what it made.

        Raises MachineError if there is no box to run it in.
        """
        began = time.monotonic()
        if not self.task.refusal and not self._take_up():
            self._run_notebook()
        collected = {
            "artifact": self._collect(self.task.assignment.artifact),
            "baseline": self._collect(self.task.assignment.baseline),
        }
        self.run = _replaced(self.run, **collected, **self._used())
        if self._taken is None:
            self.run = _replaced(self.run, wall_seconds=round(time.monotonic() - began, 3))

    def _take_up(self) -> bool:
        """Put the kept run in the place of a new one, if there is one of the same key that ended by itself."""
        kept = shelf.read_run(Path(self.task.kept)) if self.task.kept else None
        if kept is None or not kept.whole or kept.key != self.task.run_key:
            return False
        self._taken, self.run, self.executed = kept, kept.run, json.loads(kept.executed)
        self.answers = Answers(kept.answers)
        return True

    def _used(self) -> dict[str, Any]:
        """What the run used; of a kept one, what it used then."""
        if self.kernel is None or self._taken is not None:
            return {}
        watch = self.kernel.box.watch
        watch.look()
        return {"cpu_seconds": round(self.kernel.cpu_seconds, 3), "peak_memory_bytes": watch.peak_memory_bytes}

    def kept(self) -> KeptRun | None:
        """The run as it may be kept, once it has ended; None if there was none or it is not to be kept."""
        if not self.task.run_key or self.executed is None:
            return None
        made = (self.task.assignment.artifact, self.task.assignment.baseline)
        paths = {each.path for each in made if each is not None and each.made_by == "notebook"}
        return KeptRun(
            key=self.task.run_key,
            whole=self.run.state == "finished" and not self._late,
            run=self.run,
            executed=json.dumps(self.executed).encode(),
            artifacts={path: data for path, data in self.artifacts.items() if path in paths},
            answers=self.answers.given,
        )

    def _run_notebook(self) -> None:
        nb = json.loads(Path(self.task.notebook).read_bytes())
        self.kernel = self._start()
        self.ran = True
        failures: list[Failure] = []
        reason = ""
        left = self.task.assignment.limits.seconds
        for number, cell in enumerate(notebook.code_cells(nb), start=1):
            if reason:
                break
            began = time.monotonic()
            result = self._run_graded(cell, left)
            left -= time.monotonic() - began
            cell["outputs"] = result.outputs
            # A cell in which the kernel ended has no number: it did not come to its end, whatever it printed before.
            cell["execution_count"] = None if result.stopped else number
            self._late = self._late or result.late
            if result.error is not None:
                hidden = 0 < self.task.hidden_from <= number
                failures.append(_failure(number, cell, result, hidden=hidden))
            if result.stopped:
                reason = f"Code cell {number} was stopped: {result.stopped}."
        self.executed = nb
        self.run = _replaced(
            self.run, state="stopped" if reason else "finished", reason=reason, failures=tuple(failures)
        )

    def _start(self) -> Kernel:
        files = {name: self._file(Path(path)) for name, path in self.task.files.items()}
        return Kernel(self.task.sandbox, self.task.assignment.limits, files, self.task.zygotes.kernels)

    def _file(self, path: Path) -> bytes:
        """A file for the box: ours as it is, the student's without following a link that may have come meanwhile."""
        submission = Path(self.task.submission)
        if path.is_relative_to(submission):
            return read_below(submission, str(path.relative_to(submission)), self.task.assignment.limits.disk_bytes)
        return path.read_bytes()

    def _run_graded(self, cell: Mapping[str, Any], left: float) -> CellResult:
        """Run a cell, with questions around it if it tests something: whether its outputs can be believed."""
        name = notebook.grade_id(dict(cell))
        if name not in self.task.watched or self.kernel is None or self.kernel.stopped:
            return self._run_cell(cell["source"], left)
        run = lambda source, expression: self._run_cell(source, left, expression)  # noqa: E731 - a name for a line
        found = watched(self.kernel, cell["source"], *self.task.watched[name], run)
        self._late = self._late or found.late
        if found.doubt:
            self.run = _replaced(self.run, doubts=self.run.doubts | {name: found.doubt})
        return found.result

    def _run_cell(self, source: str, left: float, expression: str = "") -> CellResult:
        assert self.kernel is not None  # noqa: S101 - for the type checker: it was started above
        limits = self.task.assignment.limits
        in_all = f"the notebook ran for more than {limits.seconds:g} seconds in all"
        if left <= 0:
            return CellResult(outputs=[], stopped=in_all)
        result = self.kernel.run_cell(source, min(limits.cell_seconds, left), expression)
        if result.late and left < limits.cell_seconds:
            return msgspec.structs.replace(result, stopped=in_all)
        return result

    # --- artifacts ------------------------------------------------------------------------------------------------

    def _collect(self, artifact: Artifact | None) -> Collected | None:
        """Read a declared artifact, from the box or from what was handed in."""
        if artifact is None:
            return None
        try:
            if artifact.made_by == "student":
                data = read_below(Path(self.task.submission), artifact.path, artifact.max_bytes)
            elif self._taken is not None:
                return self._collect_kept(artifact, self._taken)
            elif self.kernel is None or self.kernel.stopped:
                problem = f"The notebook did not get to make '{artifact.path}'. {self.run.reason}".strip()
                return Collected(path=artifact.path, problem=problem)
            else:
                data = self.kernel.read(artifact.path, artifact.max_bytes)
        except MissingWork as error:
            first = next(iter(self.run.failures), None)
            why = f" Code cell {first.cell} raised {first.name} before it could be made." if first else ""
            return Collected(path=artifact.path, problem=f"{error}{why}")
        except StudentError as error:
            return Collected(path=artifact.path, problem=str(error))
        if not data:
            return Collected(path=artifact.path, problem=f"'{artifact.path}' is empty.")
        self.artifacts[artifact.path] = data
        return Collected(path=artifact.path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    def _collect_kept(self, artifact: Artifact, kept: KeptRun) -> Collected | None:
        """An artifact as the kept run left it."""
        if artifact.path in kept.artifacts:
            self.artifacts[artifact.path] = kept.artifacts[artifact.path]
        both = (kept.run.artifact, kept.run.baseline)
        return next((each for each in both if each is not None and each.path == artifact.path), None)

    # --- questions ------------------------------------------------------------------------------------------------

    def ask(self, question: Question, before: Sequence[Question]) -> Answer:
        """Call a function of the notebook in a kernel.

        A kernel that an earlier call ended is run again, at most twice; so is the notebook of a kept run. There what
        the same check was told from memory is asked first, so that the kernel is where it was then.
        """
        if self.executed is None:
            return Answer(stopped=self.run.reason)
        if self.kernel is None:
            self._rerun()
        elif self.kernel.stopped and self.run.state == "finished" and self._restarts < _MOST_RESTARTS:
            self._restarts += 1
            self._rerun()
        assert self.kernel is not None  # noqa: S101 - for the type checker: `_rerun` made one
        for earlier in before:
            self.kernel.call(*earlier)
        return self.kernel.call(*question)

    def _rerun(self) -> None:
        """The same notebook in a fresh box, for the sake of the checks that are left."""
        assert self.executed is not None  # noqa: S101 - for the type checker: `ask` made sure
        if self.kernel is not None:
            self.kernel.close()
        self.kernel = self._start()
        self.ran = True
        left = self.task.assignment.limits.seconds
        for cell in notebook.code_cells(self.executed):
            began = time.monotonic()
            if self._run_cell(cell["source"], left).stopped:
                return
            left -= time.monotonic() - began

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nothing of the student's runs meanwhile: whatever their notebook left running would disturb a clock."""
        alive = self.kernel is not None and not self.kernel.stopped
        with self.kernel.box.paused() if self.kernel and alive else contextlib.nullcontext():
            yield

    def end(self) -> None:
        """End the box. What checks used in it is not noted: a function could tell by it what it was asked."""
        if self.kernel is not None:
            self.kernel.close()


def _replaced(run: Run, **changes: Any) -> Run:
    return msgspec.structs.replace(run, **changes)


def _failure(number: int, cell: Mapping[str, Any], result: CellResult, *, hidden: bool) -> Failure:
    """What a cell raised. Once hidden tests ran, what the student's code says may be they: then only that it raised."""
    assert result.error is not None  # noqa: S101 - for the type checker: the caller looked
    if hidden:
        return Failure(cell=number, name="an exception", message="", source="")
    lines = cell["source"].strip().splitlines()[:_SHOWN_LINES]
    return Failure(
        cell=number,
        name=result.error.ename[:_SHOWN],
        message=result.error.evalue[:_SHOWN],
        source="\n".join(line[:_SHOWN] for line in lines),
    )


def engine_limits(limits: Limits) -> Limits:
    """The limits under which a model is opened: those of the submission, in memory and disk."""
    return Limits(memory_bytes=limits.memory_bytes, disk_bytes=limits.disk_bytes, output_bytes=64_000_000)
