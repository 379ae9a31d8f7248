"""Which unprivileged user a box of a root grader runs as: one that no other box has at that time.

A lock file per number makes it so, also between two graders on one machine; it falls with the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from coursekit.errors import SandboxError

_FIRST, _COUNT = 2_000_000_000, 4096  # above every range that systems and container tools hand out
_HOME = Path("/run/coursekit")
_LOCKS = _HOME / "uids"
STAGING = _HOME / "stage"
"""An empty folder that a box being launched covers with mounts which only it can see; one serves all."""


def make_folders() -> None:
    """Make the folders of this room, through which the box's user must get whatever the grader's umask."""
    for folder in (_HOME, _LOCKS, STAGING):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


class Uid:
    """A user number that is ours until `release`."""

    def __init__(self) -> None:
        make_folders()
        for number in range(_FIRST, _FIRST + _COUNT):
            lock = os.open(_LOCKS / str(number), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            self.number, self._lock = number, lock
            return
        raise SandboxError(
            f"all {_COUNT} users for boxes are taken.", fix="end graders that hang, or run fewer at once"
        )

    def release(self) -> None:
        """Let another box have the number."""
        os.close(self._lock)
