"""Watching a box from outside: memory, files, sockets and time used, and a word when it is too much.

The kernel limits each process; only somebody outside can add them up. Every tenth of a second the memory of all
processes in the box is summed; if that passes the limit the shared pages are taken out (PSS), and if it still does
when looked at again, the box is ended. Files are counted by their file system, so unlinked ones count too. A watch that
cannot do its work ends the box: nothing runs unwatched.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from coursekit.records import Limits
from coursekit.sandbox import proc

_EVERY_SECONDS = 0.1
_AGAIN_SECONDS = 0.02  # a child that is just being started shares its parent's pages and is counted twice
_MAX_FILES = 20_000
_MAX_SOCKETS = 500  # what lies in their buffers counts in no process
_LEAST_FREE_BYTES = 300_000_000


def _free() -> int:
    """Bytes that this machine could still hand out."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _LEAST_FREE_BYTES


def _ended_for_memory() -> int:
    """Processes that the kernel ended since this machine started because memory ran out, in a container's limit too."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


class Watch:
    """A thread that looks at a box until it is told to stop or has reason to end it.

    `folder` is an open /proc and `pids` what is to be watched in it; `file_systems` are open folders on those whose
    files are counted; `sockets` names a file below `folder` that counts sockets, if the box has a network of its own.
    """

    def __init__(
        self,
        limits: Limits,
        folder: int,
        pids: Callable[[], list[int]],
        end: Callable[[], None],
        *,
        file_systems: Sequence[int] = (),
        sockets: str = "",
    ) -> None:
        self.reason = ""
        self.our_fault = False
        self.cpu_seconds = 0.0
        self.peak_memory_bytes = 0
        self._ended_before = _ended_for_memory()
        self._limits, self._proc, self._pids, self._end = limits, folder, pids, end
        self._file_systems, self._sockets = file_systems, sockets
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="box watch", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        try:
            while not self.reason and not self._stop.wait(_EVERY_SECONDS):
                self.reason = self._memory() or self._machine() or self._files() or self._network()
        except Exception as error:  # noqa: BLE001 - whatever it is, the box must not go on unwatched
            self.our_fault = True
            self.reason = f"a watch that broke ({type(error).__name__}: {error})"
        if self.reason:
            self._end()

    @property
    def memory_ran_out(self) -> bool:
        """Whether the kernel has ended any process of this machine for want of memory since the watch began."""
        return _ended_for_memory() > self._ended_before

    def give_up(self, reason: str) -> None:
        """End the box for a reason that somebody else saw."""
        self.reason = self.reason or reason
        self._end()

    def _memory(self) -> str:
        if self._sum(self._limits.memory_bytes) > self._limits.memory_bytes:
            time.sleep(_AGAIN_SECONDS)
            if self._sum(self._limits.memory_bytes) > self._limits.memory_bytes:
                return f"the memory limit of {self._limits.memory_bytes:,} bytes"
        return ""

    def _sum(self, most: int) -> int:
        """Memory of all processes in bytes; the costly exact figure only if the simple one is above `most`."""
        pids = self._pids()
        held = sum(proc.resident(self._proc, pid) for pid in pids)
        if held > most:
            held = sum(proc.proportional(self._proc, pid) for pid in pids)
        self.peak_memory_bytes = max(self.peak_memory_bytes, held)
        self.cpu_seconds = max(self.cpu_seconds, sum(proc.cpu_seconds(self._proc, pid) for pid in pids))
        return held

    def _machine(self) -> str:
        if _free() >= _LEAST_FREE_BYTES:
            return ""
        self.our_fault = True
        return "a lack of memory on the grading machine"

    def _files(self) -> str:
        for folder in self._file_systems:
            space = os.fstatvfs(folder)
            if space.f_files - space.f_ffree > _MAX_FILES:
                return f"the limit of {_MAX_FILES:,} files"
        return ""

    def _network(self) -> str:
        if not self._sockets:
            return ""
        words = proc.text(self._proc, self._sockets).split()  # "sockets: used 7 ..."
        return f"the limit of {_MAX_SOCKETS:,} sockets" if words and int(words[2]) > _MAX_SOCKETS else ""

    def look(self) -> None:
        """Look now at what was used so far; of a box that has ended nothing more is known."""
        if not self._stop.is_set():
            with suppress(OSError):  # it may be ending
                self._sum(self._limits.memory_bytes)

    def stop(self) -> None:
        """Look no more, after one last look at what was used."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
            self._sum(self._limits.memory_bytes)
