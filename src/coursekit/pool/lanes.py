"""The exclusive lane: while one job of this machine is timed, no other runs beside it.

Every job holds a lock file shared; one whose wall-clock is graded holds it alone. Locks of the file system keep graders
apart that know nothing of each other, such as two workers on one machine, and fall with the process that holds them. A
second file makes it fair: whoever waits to be alone holds it, and later comers wait behind.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from coursekit.errors import MachineError

_TURN_SECONDS = 0.1
_EVERYWHERE = "/tmp/coursekit-lane"  # noqa: S108 - the same for all of this user's graders, whatever their TMPDIR


class Stop(Protocol):
    """Says whether a job is to end before it is done: a `threading.Event`, or what answers like one."""

    def is_set(self) -> bool:
        """True once it is."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait so many seconds for it; True once it is set."""


class Unwanted(Exception):
    """The job was told to stop before it got into the lane."""


@contextmanager
def lane(stop: Stop, *, exclusive: bool, folder: Path | None = None) -> Iterator[None]:
    """Be among the running jobs of this machine and user, or the only one.

    Raises Unwanted if `stop` is set before it is this job's turn.
    """
    place = folder or _folder()
    how = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    with ExitStack() as held:
        with ExitStack() as queueing:
            _hold(place / "next", how, stop, queueing)
            _hold(place / "running", how, stop, held)
        yield


def _hold(file: Path, how: int, stop: Stop, held: ExitStack) -> None:
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    held.callback(os.close, lock)
    while True:
        if stop.is_set():
            raise Unwanted
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            stop.wait(_TURN_SECONDS)
        else:
            return


def _folder() -> Path:
    """Where this user's lock files lie. Raises MachineError if somebody else made that folder."""
    folder = Path(f"{_EVERYWHERE}-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    info = folder.lstat()
    if folder.is_symlink() or info.st_uid != os.geteuid() or info.st_mode & 0o077:
        raise MachineError("this folder must be yours alone.", where=str(folder), fix="delete it")
    return folder
