"""Watching a box from outside: memory, files and time used, and a word when it is too much.

The kernel limits each process; only somebody outside can add them up. Every tenth of a second the resident memory of all
processes in the box is summed; if that passes the limit the shared pages are taken out (PSS), and if it still does,
the box is ended. Files are counted by their file system, so unlinked ones count too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from coursekit.records import Limits

_EVERY_SECONDS = 0.1
_MAX_FILES = 20_000
_LEAST_FREE_BYTES = 300_000_000
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


def members(namespace: int) -> list[int]:
    """The processes of this machine that live in the process namespace with this inode."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if os.stat(f"/proc/{entry.name}/ns/pid").st_ino == namespace:
                    found.append(int(entry.name))
            except OSError:  # it ended, or it is not ours to look at
                continue
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, IndexError):
        return 0
    return 0


def _cpu(pid: int) -> float:
    """Seconds used by the process and by its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _TICK


def _free() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _LEAST_FREE_BYTES


class Watch:
    """A thread that looks at a box until it is told to stop or has reason to end it."""

    def __init__(
        self, limits: Limits, pids: Callable[[], list[int]], folders: Sequence[str], end: Callable[[], None]
    ) -> None:
        self.reason = ""
        self.our_fault = False
        self.cpu_seconds = 0.0
        self.peak_memory_bytes = 0
        self._limits, self._pids, self._folders, self._end = limits, pids, folders, end
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="box watch", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self.reason = self._memory() or self._files()
            if self.reason:
                self._end()
                return

    def look_once(self) -> None:
        """Bring the figures up to date before the box ends."""
        self._memory()

    def _memory(self) -> str:
        pids = self._pids()
        resident = sum(map(_resident, pids))
        if resident > self._limits.memory_bytes:
            resident = sum(map(_proportional, pids))
        self.peak_memory_bytes = max(self.peak_memory_bytes, resident)
        self.cpu_seconds = max(self.cpu_seconds, sum(map(_cpu, pids)))
        if resident > self._limits.memory_bytes:
            return f"the memory limit of {self._limits.memory_bytes:,} bytes"
        if _free() < _LEAST_FREE_BYTES:
            self.our_fault = True
            return "a lack of memory on the grading machine"
        return ""

    def _files(self) -> str:
        for folder in self._folders:
            try:
                space = os.statvfs(folder)
            except OSError:
                continue
            if space.f_files - space.f_ffree > _MAX_FILES:
                return f"the limit of {_MAX_FILES:,} files"
        return ""

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
