"""A program in a box: started there, waited for, ended with it.

A helper (`enter.py`) steps into the box, becomes the program in a child, and says on a pipe how that ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from coursekit import warm
from coursekit.errors import SandboxError
from coursekit.records import Finished, Limits
from coursekit.sandbox.box import Box, Entry

_ENTER = Path(__file__).with_name("enter.py")
_NICE = 5  # the grader must get its turn to enforce a limit
_SPARE_MEMORY = 1_000_000_000
_SPARE_ADDRESSES = 64_000_000_000  # TensorFlow reserves far more addresses than it uses
_TURN_SECONDS = 0.2
_END_SECONDS = 10.0

ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    # One thread each: results repeat, and as many submissions as cores can run side by side.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
}
"""The environment of a program in a box; HOME is added, and nothing else."""


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """A Python module to run, as `python -m` does."""

    name: str
    arguments: tuple[str, ...] = ()
    isolated: bool = True
    """Whether the working folder stays off the path that modules are imported from."""

    @property
    def argv(self) -> list[str]:
        """The command line of a cold start."""
        return [sys.executable, *(["-I"] if self.isolated else []), "-m", self.name, *self.arguments]


Helper = subprocess.Popen[bytes] | warm.Fork
"""The process outside the box that waits for the program in it."""


class _Said(msgspec.Struct, frozen=True):
    """What the helper says: that the program never started, or how it ended and what it used."""

    not_entered: str = ""
    returncode: int | None = None
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


class Program:
    """A program that stepped into a box. Its exit is known when the helper that waits for it says so."""

    def __init__(self, process: Helper, status: IO[bytes]) -> None:
        self.process = process
        self._status = status
        self._buffer = b""
        self._said = _Said()
        os.set_blocking(status.fileno(), False)

    def poll(self) -> int | None:
        """The exit status, or None while it runs. Raises SandboxError if it never got into the box."""
        ended = self.process.poll() is not None  # before listening, so that its last words are heard
        self._listen()
        if self._said.not_entered:
            raise SandboxError(f"a program could not be started in the box: {self._said.not_entered}.")
        if self._said.returncode is None and ended:
            raise SandboxError("a program could not be started in the box; it may have ended already.")
        return self._said.returncode

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the program and its children, once it has ended."""
        return self._said.cpu_seconds

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that one of its processes held, once it has ended."""
        return self._said.peak_memory_bytes

    def _listen(self) -> None:
        if self._status.closed:
            return
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._status.fileno(), 65536):
                self._buffer += part
        if b"\n" in self._buffer:
            self._said = msgspec.json.decode(self._buffer.partition(b"\n")[0], type=_Said)

    def close(self) -> None:
        """Forget the program; its box must have been closed, or it must have ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_END_SECONDS)
        self.process.kill()
        self.process.wait()
        self._listen()
        self._status.close()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _rlimits(limits: Limits) -> dict[str, int]:
    """The limits that the kernel itself holds, for each process."""
    return {
        "RLIMIT_AS": limits.memory_bytes + _SPARE_ADDRESSES,
        "RLIMIT_DATA": limits.memory_bytes + _SPARE_MEMORY,
        "RLIMIT_FSIZE": limits.disk_bytes,
        "RLIMIT_NOFILE": 1024,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_CORE": 0,
    }


def start(
    box: Box,
    what: Sequence[str] | Module,
    files: Mapping[str, bytes],
    *,
    output: int = subprocess.DEVNULL,
    zygote: str = "",
) -> Program:
    """Step into the box with these files (paths as the program names them) and become a command or a module.

    A module is started by the zygote at this path, if there is one that answers and the box has walls; else cold.
    """
    entry = box.entry()
    reading, writing = os.pipe()
    with contextlib.ExitStack() as ends:
        ends.callback(os.close, writing)
        status = ends.enter_context(os.fdopen(reading, "rb", buffering=0))
        process: Helper | None = None
        if zygote and entry.boxed and isinstance(what, Module):
            with contextlib.suppress(warm.Cold):
                process = warm.fork(zygote, (writing, entry.pidfd), output=output)
        process = process or _cold(entry, writing, output)
        ends.pop_all()
    os.close(writing)
    program = Program(process, status)
    box.entered(process.pid)
    order = msgspec.structs.asdict(entry) | {
        "env": ENVIRONMENT | {"HOME": box.home},
        "cwd": box.work,
        "nice": _NICE,
        "limits": _rlimits(box.limits) | entry.limits,
        "files": [[path, len(data)] for path, data in files.items()],
        "status": writing,
        "grader": os.getpid(),
    }
    if isinstance(what, Module):
        order |= {"module": what.name, "arguments": what.arguments, "isolated": what.isolated, "argv": what.argv}
    else:
        order["argv"] = list(what)
    try:
        _hand_over(process, order, files)
    except BaseException:
        box.close()
        program.close()
        raise
    return program


def _cold(entry: Entry, status: int, output: int) -> Helper:
    """A helper that begins with nothing imported."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_ENTER)],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        env={"PATH": "/usr/bin:/bin"},
        pass_fds=(status, *((entry.pidfd,) if entry.boxed else ())),
        start_new_session=True,
        cwd="/",
    )


def _hand_over(process: Helper, order: Mapping[str, object], files: Mapping[str, bytes]) -> None:
    """Give the helper its order and the files. If it has gone before the end, `poll` will say why."""
    assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
    with contextlib.suppress(BrokenPipeError):
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            for data in files.values():
                process.stdin.write(data)
        finally:
            process.stdin.close()


def run(
    box: Box, what: Sequence[str] | Module, files: Mapping[str, bytes], *, seconds: float, zygote: str = ""
) -> Finished:
    """Run a program to its end or to a limit, and keep what it printed up to the limit for output.

    Raises SandboxError if it could not be started, or was ended because the machine lacks something.
    """
    began = time.monotonic()
    program = start(box, what, files, output=subprocess.PIPE, zygote=zygote)
    try:
        printed, stopped = _drain(program, box, began + seconds)
        code = -9 if stopped else program.poll()
    finally:
        box.close()
        program.close()
    if box.watch.our_fault:
        raise SandboxError(f"a box had to be ended: {box.watch.reason}.", fix="run fewer at once")
    return Finished(
        returncode=-9 if code is None else code,
        stdout=bytes(printed["stdout"]),
        stderr=bytes(printed["stderr"]),
        stopped=stopped or box.watch.reason,
        wall_seconds=time.monotonic() - began,
        cpu_seconds=max(program.cpu_seconds, box.watch.cpu_seconds),
        peak_memory_bytes=max(program.peak_memory_bytes, box.watch.peak_memory_bytes),
    )


def _drain(program: Program, box: Box, deadline: float) -> tuple[dict[str, bytearray], str]:
    """Read both outputs until the program ends, whoever else holds them; the words of the limit met, or nothing."""
    printed = {"stdout": bytearray(), "stderr": bytearray()}
    with selectors.DefaultSelector() as selector:
        for name in printed:
            stream = getattr(program.process, name)
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, name)
        while True:
            ended = _ended(program, box)
            ready = selector.select(0 if ended else max(0.0, min(deadline - time.monotonic(), _TURN_SECONDS)))
            for key, _ in ready:
                part = os.read(key.fd, 65536)
                if not part:
                    selector.unregister(key.fileobj)
                printed[key.data] += part
                if len(printed[key.data]) > box.limits.output_bytes:
                    return printed, "the limit for output"
            if box.watch.reason:
                return printed, box.watch.reason
            if ended and not ready:
                return printed, ""
            if time.monotonic() > deadline:
                return printed, "the time limit"


def _ended(program: Program, box: Box) -> bool:
    """Whether the program has ended; one that could not start because its box was ended by a limit has."""
    try:
        return program.poll() is not None
    except SandboxError:
        if box.watch.reason:
            return True
        raise
