"""The shape of a box without its walls, for work one trusts and machines without bubblewrap.

The program may read what the grader may read, and reach the network. Limits of time, memory, output and file size hold;
whoever wants around them gets around them. A score made this way says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coursekit.records import Limits
from coursekit.sandbox.watch import Watch


class UnboxedBox:
    """A temporary folder and the processes that started in it."""

    name = "none"

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._root = tempfile.mkdtemp(prefix="coursekit-")
        self.work = f"{self._root}/work"
        self.sockets = self.host_sockets = f"{self._root}/kernel"
        Path(self.work).mkdir()
        Path(self.sockets).mkdir()
        self.watch = Watch(limits, self.processes, (), self._kill)

    def order(self) -> dict[str, object]:
        """See Box.order."""
        return {"boxed": False}

    def folder(self) -> int:
        """See Box.folder."""
        return os.open(self.work, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def processes(self) -> list[int]:
        """The processes whose working folder is the box's, and their descendants that moved on are not known."""
        found = []
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                try:
                    inside = Path(f"/proc/{entry.name}/cwd").readlink()
                except OSError:
                    continue
                if str(inside).startswith(self._root):
                    found.append(int(entry.name))
        return found

    @contextmanager
    def paused(self) -> Iterator[None]:
        """See Box.paused."""
        pids = self.processes()
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

    def _kill(self) -> None:
        while pids := self.processes():
            for pid in pids:
                _signal(pid, signal.SIGKILL)

    def close(self) -> None:
        """See Box.close."""
        self.watch.stop()
        self.watch.look_once()
        self._kill()
        shutil.rmtree(self._root, ignore_errors=True)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
