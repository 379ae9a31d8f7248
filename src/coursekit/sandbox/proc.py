"""Processes as a mounted /proc shows them, each named by its number there.

A box has a /proc of its own, which lists what is in the box and nothing else; read from outside through a descriptor it
cannot lead elsewhere when numbers are used again, and a signal sent through it reaches the process that was meant.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_BYTES = 65536
_TICK = os.sysconf("SC_CLK_TCK")
_DEAD = frozenset("ZXx")
_UNMOVING = _DEAD | frozenset("Tt")  # stopped, traced
_STILL_SECONDS = 2.0
_ROUND_SECONDS = 0.002
_HELD = ("VmRSS", "VmSwap", "VmPTE")  # page tables too: a page of them can stand for pages that count nowhere


def numbers(proc: int, below: str = ".") -> list[int]:
    """The processes of a /proc, or the threads below `PID/task`."""
    try:
        folder = os.open(below, _FOLDER, dir_fd=proc)  # a descriptor of its own: two threads may be listing
    except (FileNotFoundError, ProcessLookupError):
        return []
    try:
        with os.scandir(folder) as entries:
            return [int(entry.name) for entry in entries if entry.name.isdigit()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    finally:
        os.close(folder)


def text(proc: int, path: str) -> str:
    """A small file of /proc, or nothing if its process has ended meanwhile."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            return os.read(file, _MOST_BYTES).decode(errors="replace")
        finally:
            os.close(file)
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _kilobytes(said: str, names: tuple[str, ...]) -> int | None:
    """The sum of these lines of a file of /proc in bytes, or None if it has none of them."""
    found = [line.split() for line in said.splitlines() if line.partition(":")[0] in names]
    return sum(int(words[1]) for words in found) * 1024 if found else None


def _memory_file(proc: int, pid: int, name: str, keys: tuple[str, ...]) -> int | None:
    """What the process holds; from another of its threads if the first has ended, which empties its own file."""
    found = _kilobytes(text(proc, f"{pid}/{name}"), keys)
    if found is None:
        threads = (_kilobytes(text(proc, f"{pid}/task/{tid}/{name}"), keys) for tid in numbers(proc, f"{pid}/task"))
        found = next((each for each in threads if each is not None), None)
    return found


def resident(proc: int, pid: int) -> int:
    """Bytes in memory, in swap and in page tables; pages shared with other processes count in full."""
    return _memory_file(proc, pid, "status", _HELD) or 0


def proportional(proc: int, pid: int) -> int:
    """The same with each shared page divided among those that share it; in full where that cannot be read."""
    try:
        shared = _memory_file(proc, pid, "smaps_rollup", ("Pss", "SwapPss"))
    except PermissionError:
        shared = None
    if shared is None:
        return resident(proc, pid)
    return shared + (_memory_file(proc, pid, "status", ("VmPTE",)) or 0)


def _stat(proc: int, path: str) -> list[str]:
    """The fields of a `stat` file after the program's name, which may contain anything."""
    return text(proc, path).rpartition(")")[2].split()


def cpu_seconds(proc: int, pid: int) -> float:
    """Processor time of the process and of its children that have ended."""
    return sum(int(field) for field in _stat(proc, f"{pid}/stat")[11:15]) / _TICK


def parent(proc: int, pid: int) -> int:
    """The number of the parent, or 0 if the process has ended."""
    fields = _stat(proc, f"{pid}/stat")
    return int(fields[1]) if len(fields) > 1 else 0


def _states(proc: int, pid: int) -> set[str]:
    """The states of all its threads; the first may have ended while others run."""
    fields = (_stat(proc, f"{pid}/task/{tid}/stat")[:1] for tid in numbers(proc, f"{pid}/task"))
    return {state for found in fields for state in found}


def alive(proc: int, pid: int) -> bool:
    """Whether it has not ended."""
    return bool(_states(proc, pid) - _DEAD)


def moves(proc: int, pid: int) -> bool:
    """Whether any of its threads may still run."""
    return bool(_states(proc, pid) - _UNMOVING)


def send(proc: int, pid: int, number: signal.Signals) -> None:
    """A signal to exactly this process, or to none if it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        process = os.open(str(pid), _FOLDER, dir_fd=proc)
        try:
            signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)


def still(proc: int, pids: Callable[[], list[int]]) -> bool:
    """Stop all of them, in rounds, since one may fork or wake another meanwhile; False if some cannot be held."""
    ends = time.monotonic() + _STILL_SECONDS
    while moving := [pid for pid in pids() if moves(proc, pid)]:
        if time.monotonic() > ends:
            return False
        for pid in moving:
            send(proc, pid, signal.SIGSTOP)
        time.sleep(_ROUND_SECONDS)
    return True
