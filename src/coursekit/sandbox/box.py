"""What a box is, whoever makes it: an empty place that one program steps into, and from which bytes are read.

`bwrap` makes it from namespaces; `unboxed` is the same shape without any protection, for work one trusts. A container
runtime would be a third. Whether the program is started cold or was warm before, it enters through `start`.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol

from coursekit.errors import SandboxError
from coursekit.records import Finished, Limits
from coursekit.sandbox import mounts
from coursekit.sandbox.watch import Watch

_ENTER = Path(__file__).with_name("enter.py")
_NICE = 5  # the grader must get its turn to enforce a limit
_SPARE_MEMORY = 1_000_000_000
_SPARE_ADDRESSES = 64_000_000_000  # TensorFlow reserves far more addresses than it uses

ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - a path inside the box
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
"""The whole environment of a program in a box."""


class Box(Protocol):
    """A place for one program and its children."""

    name: str
    limits: Limits
    watch: Watch

    @property
    def work(self) -> str:
        """The working folder, as the program inside names it."""

    @property
    def sockets(self) -> str:
        """The folder for a kernel's sockets, as the program inside names it."""

    @property
    def host_sockets(self) -> str:
        """The same folder, as the grader reaches it."""

    def order(self) -> dict[str, object]:
        """How `enter.py` gets in: the part of its order that only this kind of box knows."""

    def folder(self) -> int:
        """An open descriptor of the working folder."""

    def paused(self) -> AbstractContextManager[None]:
        """Nothing in the box moves meanwhile."""

    def close(self) -> None:
        """End everything in the box and wait until it is gone."""


def rlimits(limits: Limits) -> dict[str, int]:
    """The limits that the kernel itself holds, per process unless it says otherwise."""
    return {
        "RLIMIT_AS": limits.memory_bytes + _SPARE_ADDRESSES,
        "RLIMIT_DATA": limits.memory_bytes + _SPARE_MEMORY,
        "RLIMIT_FSIZE": limits.disk_bytes,
        "RLIMIT_NPROC": limits.processes,  # of all in the box, since it is counted per user namespace
        "RLIMIT_NOFILE": 1024,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_CORE": 0,
    }


class Program:
    """A program that stepped into a box. Its exit is known when the helper that waits for it says so."""

    def __init__(self, process: subprocess.Popen[bytes], status: IO[bytes]) -> None:
        self.process = process
        self._status = status
        self._buffer = b""
        self._said: dict[str, object] = {}
        os.set_blocking(status.fileno(), False)

    def poll(self) -> int | None:
        """The exit status, or None while it runs. Raises SandboxError if it never got into the box."""
        self._listen()
        if "not_entered" in self._said:
            raise SandboxError(f"a program could not be started in the box: {self._said['not_entered']}.")
        if "returncode" in self._said:
            return int(str(self._said["returncode"]))
        if self.process.poll() is not None:
            self._listen()
            if "returncode" not in self._said and "not_entered" not in self._said and self.process.returncode == 1:
                raise SandboxError("the box could not be entered; it may have ended already.")
            return int(str(self._said.get("returncode", -9)))
        return None

    @property
    def pid(self) -> int | None:
        """The program's process number outside the box, once it is known."""
        self._listen()
        return int(str(self._said["pid"])) if "pid" in self._said else None

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the program and its children, once it has ended."""
        return float(str(self._said.get("cpu_seconds", 0.0)))

    def _listen(self) -> None:
        if self._status.closed:
            return
        try:
            while part := os.read(self._status.fileno(), 65536):
                self._buffer += part
        except BlockingIOError:
            pass
        while b"\n" in self._buffer:
            line, self._buffer = self._buffer.split(b"\n", 1)
            self._said.update(json.loads(line))

    def close(self) -> None:
        """Forget the program; its box must have been closed, or it must have ended."""
        self.process.kill()
        self.process.wait()
        self._listen()
        self._status.close()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def start(
    box: Box,
    argv: Sequence[str],
    files: Mapping[str, bytes],
    *,
    limits: Limits | None = None,
    output: int = subprocess.DEVNULL,
) -> Program:
    """Step into the box with these files (paths as the program names them) and become `argv`."""
    limits = limits or box.limits
    reading, writing = os.pipe()
    order = {
        **box.order(),
        "argv": list(argv),
        "env": ENVIRONMENT,
        "cwd": box.work,
        "nice": _NICE,
        "limits": rlimits(limits),
        "files": [[path, len(data)] for path, data in files.items()],
        "status": writing,
    }
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_ENTER)],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        env={"PATH": "/usr/bin:/bin"},
        pass_fds=(writing,),
        start_new_session=True,
        cwd="/",
    )
    os.close(writing)
    program = Program(process, os.fdopen(reading, "rb", buffering=0))
    assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
    try:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        for data in files.values():
            process.stdin.write(data)
        process.stdin.close()
    except BrokenPipeError:
        process.wait()
        program.poll()
        raise SandboxError("a program could not be started in the box.") from None
    return program


def run(box: Box, argv: Sequence[str], files: Mapping[str, bytes], *, seconds: float) -> Finished:
    """Run a program to its end or to a limit, and keep what it printed up to the limit for output."""
    began = time.monotonic()
    program = start(box, argv, files, output=subprocess.PIPE)
    try:
        printed, stopped = _drain(program, box, began + seconds)
        if stopped:
            box.close()
        else:
            while program.poll() is None:
                program.process.wait()
        code = program.poll()
        return Finished(
            returncode=-9 if code is None else code,
            stdout=bytes(printed["stdout"]),
            stderr=bytes(printed["stderr"]),
            stopped=stopped or box.watch.reason,
            wall_seconds=time.monotonic() - began,
            cpu_seconds=max(program.cpu_seconds, box.watch.cpu_seconds),
            peak_memory_bytes=box.watch.peak_memory_bytes,
        )
    finally:
        program.close()


def _drain(program: Program, box: Box, deadline: float) -> tuple[dict[str, bytearray], str]:
    """Read both outputs until they end; the words of the limit that was met, or nothing."""
    printed = {"stdout": bytearray(), "stderr": bytearray()}
    with selectors.DefaultSelector() as selector:
        for name in printed:
            stream = getattr(program.process, name)
            selector.register(stream, selectors.EVENT_READ, name)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return printed, "the time limit"
            if box.watch.reason:
                return printed, box.watch.reason
            for key, _ in selector.select(min(left, 0.5)):
                part = os.read(key.fd, 65536)
                if not part:
                    selector.unregister(key.fileobj)
                printed[key.data] += part
                if len(printed[key.data]) > box.limits.output_bytes:
                    return printed, "the limit for output"
    return printed, ""


@contextmanager
def closing(box: Box) -> Iterator[Box]:
    """Whatever happens, the box ends."""
    try:
        yield box
    finally:
        box.close()
