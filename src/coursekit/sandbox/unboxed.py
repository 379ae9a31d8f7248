"""The shape of a box without its walls, for work one trusts and machines without bubblewrap.

The program may read what the grader may read, and reach the network. Limits of time, memory, output and file size hold;
whoever wants around them gets around them. A score made this way says so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from coursekit.errors import SandboxError
from coursekit.records import Limits
from coursekit.sandbox import proc
from coursekit.sandbox.box import Entry
from coursekit.sandbox.watch import Watch

_KILL_SECONDS = 10.0
_ROUND_SECONDS = 0.005
_REMOVER = 'cat; chmod -R u+rwX -- "$1"; rm -rf -- "$1"'
"""It reads what nobody writes."""


class UnboxedBox:
    """A temporary folder, and the processes that come from the program that was started in it."""

    name = "none"
    fault = ""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._helper, self._helper_folder = 0, -1
        self._closed = False
        with ExitStack() as ends:
            root = Path(tempfile.mkdtemp(prefix="coursekit-"))
            ends.callback(_removing(root))
            self.work, self.sockets, self.home = f"{root}/work", f"{root}/kernel", f"{root}/home"
            self.host_sockets = self.sockets
            for folder in (self.work, self.sockets, self.home):
                Path(folder).mkdir(mode=0o700)
            self._work = os.open(self.work, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            ends.callback(os.close, self._work)
            self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            ends.callback(os.close, self._proc)
            self.watch = Watch(limits, self._proc, self.processes, self._kill)
            self._ends = ends.pop_all()

    def entry(self) -> Entry:
        """See Box.entry."""
        return Entry(boxed=False)

    def entered(self, helper: int) -> None:
        """See Box.entered: all that the program starts stays below this process, however it forks."""
        self._helper = helper
        self._helper_folder = os.open(f"/proc/{helper}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._ends.callback(os.close, self._helper_folder)

    def folder(self) -> int:
        """See Box.folder."""
        return os.dup(self._work)

    def processes(self) -> list[int]:
        """What lives below the process that waits for the program, by its number; nothing once that has ended."""
        if not self._helper or not proc.text(self._helper_folder, "stat"):
            return []
        parents = {pid: proc.parent(self._proc, pid) for pid in proc.numbers(self._proc)}
        found, fresh = set[int](), {self._helper}
        while fresh:
            fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
            found |= fresh
        return sorted(pid for pid in found if proc.alive(self._proc, pid))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """See Box.paused."""
        if not proc.still(self._proc, self.processes):
            self.watch.give_up("the rate at which it may start processes")
        try:
            yield
        finally:
            for pid in self.processes():
                proc.send(self._proc, pid, signal.SIGCONT)

    def _kill(self) -> None:
        """End all of them, in rounds, since they may fork meanwhile."""
        ends = time.monotonic() + _KILL_SECONDS
        while pids := self.processes():
            if time.monotonic() > ends:
                raise SandboxError("processes of a notebook that ran without a sandbox cannot be ended.")
            for pid in pids:
                proc.send(self._proc, pid, signal.SIGKILL)
            time.sleep(_ROUND_SECONDS)

    def close(self) -> None:
        """See Box.close."""
        if self._closed:
            return
        self._closed = True
        with self._ends:
            self.watch.stop()
            self._kill()


def _removing(root: Path) -> Callable[[], None]:
    """Have a process by itself delete the folder once this one asks for it, or has ended however that happens.

    A stranger filled it: as deep as they liked, and with rights taken away.
    """
    remover = subprocess.Popen(
        ["/bin/sh", "-c", _REMOVER, "sh", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )

    def remove() -> None:
        with remover:  # which closes the pipe that it reads, and waits
            pass
        if root.exists():
            raise SandboxError(f"the folder {root} cannot be deleted.", fix="delete it by hand")

    return remove
