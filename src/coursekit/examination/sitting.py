"""An examination from its beginning to what is written down of it, whoever asks the questions in between.

With `python -m coursekit.examination.sitting TASK` nobody does: an assignment without checks of ours, such as a plain
nbgrader one, has its notebook run and nothing more, for which no pytest has to start.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path

import msgspec

from coursekit import shelf
from coursekit.errors import CoursekitError, MachineError
from coursekit.examination.attempt import Attempt
from coursekit.records import Check
from coursekit.tasks import Examination, Task

_PR_SET_PDEATHSIG = 1
_MOST_BYTES = 250_000_000
"""In one file: a check that prints without end must not fill the disk."""


class Unwritten(OSError):
    """What was found could not be written down."""


class Sitting:
    """One submission's examination: `begin` runs it, `end` ends its box and writes down what became of each check."""

    def __init__(self, task_file: Path) -> None:
        self.task = msgspec.json.decode(task_file.read_bytes(), type=Task)
        self.attempt = Attempt(self.task)
        self.checks: dict[str, Check] = {}
        self.broken = ""
        """What of ours broke, as a sentence; then no check counts."""
        self.machine = False
        """Whether that was because of the machine."""

    def begin(self) -> None:
        """Run the submission, before any check is even read."""
        try:
            self.attempt.begin()
        except CoursekitError as error:
            self.broken, self.machine = str(error), isinstance(error, MachineError)
        except Exception as error:  # noqa: BLE001 - no check was asked yet, so it is our fault or the machine's
            self.broken, self.machine = f"{type(error).__name__}: {error}", isinstance(error, OSError)

    def breaks(self, what: str) -> None:
        """Something of ours broke, and takes every check with it; the first one says what."""
        self.broken = self.broken or what

    def end(self) -> None:
        """End the box and write it all down. Raises Unwritten."""
        self.attempt.end()
        try:
            self._write_down()
        except OSError as error:
            raise Unwritten(f"the result could not be written: {error}") from error

    def _write_down(self) -> None:
        out = Path(self.task.out)
        if self.attempt.executed is not None:
            (out / "executed.ipynb").write_text(json.dumps(self.attempt.executed, indent=1))
        kept = None if self.broken else self.attempt.kept()
        if kept is not None:
            (out / shelf.FRESH_RUN).write_bytes(shelf.pack(kept))
        examination = Examination(
            run=self.attempt.run,
            checks=tuple(self.checks.values()),
            broken=self.broken,
            ran=self.attempt.ran,
            machine=self.machine,
        )
        (out / "examination.json").write_bytes(msgspec.json.format(msgspec.json.encode(examination)))


def alone() -> None:
    """End this process with the grader, which must not go on grading, and limit what it writes."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_BYTES, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def main(task_file: str) -> int:
    """Run one submission and ask nothing; the exit status."""
    alone()
    sitting = Sitting(Path(task_file))
    sitting.begin()
    try:
        sitting.end()
    except Unwritten as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_IOERR
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
