"""Runs a command, and says what it left behind: `python aftermath.py SAID COMMAND ...` writes that to the file SAID.

Whatever the command started and left becomes a child of this process, in whatever session it is and however often it
forked; so nothing that lives on stays unseen, and what only a process can hold (a mount namespace, a lock, a nameless
socket) is gone when there is none. What can stay without one is compared with before: mounts, files in memory, and all
that lies in the folder for temporary files, which the command has for itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

_SUBREAPER = 36
_PATIENCE = 10
"""Seconds in which what was told to end has to be gone."""


def mounts() -> set[str]:
    """What is mounted, seen from here."""
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def shared() -> set[str]:
    """Files in memory, but for those of tests that run beside this."""
    return {path.name for path in Path("/dev/shm").iterdir() if not path.name.startswith("tmp")}


def sockets(folder: Path) -> list[str]:
    """The unix sockets with a path in the folder that somebody holds."""
    return [line for line in Path("/proc/net/unix").read_text().splitlines() if f" {folder}" in line]


def living() -> list[str]:
    """What is left below this process once it had time to end; it is killed."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(_PATIENCE)
    with contextlib.suppress(ChildProcessError):
        try:
            while True:
                os.wait()
        except TimeoutError:
            left = psutil.Process().children(recursive=True)
            named = [f"{each.pid} {' '.join(each.cmdline()) or each.name()}" for each in left]
            for each in left:
                each.kill()
            return named
    return []


def main(said: str, *words: str) -> None:
    """Run, look, say."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # meant for the command, which begins with the usual ones
    folder = Path(os.environ["TMPDIR"])
    before, in_memory = mounts(), shared()
    code = subprocess.call(words)
    document = {
        "code": code,
        "processes": living(),
        "mounts": sorted(mounts() ^ before),
        "sockets": sockets(folder),
        "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*")),
        "memory": sorted(shared() - in_memory),
    }
    Path(said).write_text(json.dumps(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
