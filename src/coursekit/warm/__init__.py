"""Warm starts, from the grader's side: zygotes that are started once, kept alive, and asked for forks.

A zygote is one interpreter that has imported what its programs need (`zygote.py`). Whoever knows the path of its
socket, in a folder that only the grader may enter, can have a program started by it; several processes may.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from coursekit.warm import zygote as program
from coursekit.warm.zygote import REQUEST

_MOST_DEATHS = 3
_ANSWER_SECONDS = 120.0  # it may still be importing
_WAITING = 256
_TURN_SECONDS = 0.1


class Cold(Exception):
    """There is no zygote to ask, and this sentence says why; what was asked for can be started cold."""


class Fork:
    """A process that a zygote started for us; the same words as `subprocess.Popen` has."""

    def __init__(
        self, pid: int, hold: int, stdin: IO[bytes], stdout: IO[bytes] | None, stderr: IO[bytes] | None
    ) -> None:
        self.pid, self._hold = pid, hold
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr

    def poll(self) -> int | None:
        """0 once it has ended, else None: how it ended only the zygote could say, and nobody asks."""
        return 0 if self._hold < 0 or select.select([self._hold], [], [], 0)[0] else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises subprocess.TimeoutExpired."""
        if self._hold >= 0:
            if not select.select([self._hold], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("fork", timeout or 0)
            os.close(self._hold)
            self._hold = -1
        return 0

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self._hold >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._hold, signal.SIGKILL)


def fork(zygote: str, files: Sequence[int], *, output: int) -> Fork:
    """Have the zygote at this path fork, with these open descriptors for its function.

    `output` is subprocess.PIPE, DEVNULL or an open descriptor, as for `subprocess.Popen`. Raises Cold if the zygote
    does not answer.
    """
    with contextlib.ExitStack() as given, contextlib.ExitStack() as kept:
        reading, writing = os.pipe()
        given.callback(os.close, reading)
        stdin = kept.enter_context(os.fdopen(writing, "wb", buffering=0))
        streams: list[tuple[int, IO[bytes] | None]] = []
        for _ in ("stdout", "stderr"):
            if output == subprocess.PIPE:
                reading_end, writing_end = os.pipe()
                streams.append((writing_end, kept.enter_context(os.fdopen(reading_end, "rb", buffering=0))))
            else:
                streams.append((os.dup(output) if output >= 0 else os.open(os.devnull, os.O_WRONLY), None))
            given.callback(os.close, streams[-1][0])
        try:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(_ANSWER_SECONDS)
                with _short(zygote) as path:
                    asking.connect(path)
                socket.send_fds(asking, [REQUEST], [reading, *(end for end, _ in streams), *files])
                said, (hold, *_), _, _ = socket.recv_fds(asking, 32, 1)
        except (OSError, ValueError) as error:
            raise Cold(f"the warm interpreter does not answer: {error}") from error
        kept.pop_all()
        return Fork(int(said), hold, stdin, streams[0][1], streams[1][1])


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    """A name of this file that a socket can have: 107 bytes, and a folder for temporary files may lie deep."""
    folder = os.open(Path(path).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{Path(path).name}"
    finally:
        os.close(folder)


class Zygote:
    """One warm interpreter and its socket, restarted when it dies; `close` ends it. `cold` says why it is not used."""

    def __init__(self, function: str, preload: Sequence[str], environment: dict[str, str]) -> None:
        self.cold = ""
        self.missing: tuple[str, ...] = ()
        self._function, self._preload, self._environment = function, tuple(preload), environment
        self._deaths, self._closed = 0, threading.Event()
        with contextlib.ExitStack() as ends:
            folder = ends.enter_context(tempfile.TemporaryDirectory(prefix="coursekit-warm-"))
            self.path = str(Path(folder) / program.SOCKET)
            # Its path stands in no command line: forks show that of the interpreter, to whoever they become.
            self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            ends.callback(os.close, self._folder)
            self._listener = ends.enter_context(socket.socket(socket.AF_UNIX))
            with _short(self.path) as path:
                self._listener.bind(path)
            self._listener.listen(_WAITING)
            self._life, keeping = os.pipe()
            ends.callback(os.close, self._life)
            self._keeping = ends.enter_context(os.fdopen(keeping, "wb", buffering=0))
            self._process = self._start()
            self._ends = ends.pop_all()
        self._thread = threading.Thread(target=self._keep, name="zygote", daemon=True)
        self._thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        files = (self._listener.fileno(), self._life, self._folder)
        return subprocess.Popen(
            [sys.executable, "-m", program.__name__, *map(str, files), self._function, *self._preload],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment | {"HOME": "/nonexistent"},
            pass_fds=files,
            start_new_session=True,
            cwd="/",
        )

    def _keep(self) -> None:
        """Start it again when it dies, a few times; requests wait in the socket meanwhile."""
        while not self._closed.is_set():
            self._hear()
            self._process.wait()
            if self._closed.is_set():
                return
            self._deaths += 1
            if self.cold or self._deaths >= _MOST_DEATHS:
                self._give_up(f"the warm interpreter died {self._deaths} times")
                return
            try:
                self._process = self._start()
            except OSError as error:
                self._give_up(f"the warm interpreter died and could not be started again ({error.strerror})")
                return

    def _give_up(self, why: str) -> None:
        """From here on everything starts cold."""
        self.cold = self.cold or why
        self._listener.close()  # whoever asks now is told at once

    def _hear(self) -> None:
        """What it says once it has imported everything."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        with self._process.stdout as said:
            line = said.readline()
        if line:
            told = json.loads(line)
            self.cold, self.missing = told["refused"], tuple(told["missing"])

    def close(self) -> None:
        """End it; what it has started goes on."""
        self._closed.set()
        while self._thread.is_alive():  # it may be starting the next one at this moment
            self._process.kill()
            self._thread.join(_TURN_SECONDS)
        self._process.kill()
        self._process.wait()
        self._ends.close()
