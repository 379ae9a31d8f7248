"""The trusted pytest process, from outside: started with a task, watched, and read when it is done.

It runs isolated from the caller's environment and from every folder but those with checks; the submission is not among
them. Whatever it prints goes to a log, for whoever wrote the checks.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from coursekit import warm
from coursekit.errors import GraderError, MachineError
from coursekit.records import Assignment
from coursekit.tasks import Examination, Task
from coursekit.warm import Zygote

_SPARE_SECONDS = 600.0
_TURN_SECONDS = 0.2
_LOG_TAIL = 2000
_LOG_UNWRITTEN = 120  # Python's status when what it printed last went nowhere
_PROGRESS = re.compile(r"\s*([.FEsxX]*)\s*(\[ *\d+%\])?\s*")
"""What pytest prints while it goes on, which says nothing."""

# Isolated, plain asserts (a hint is the author's words, never a value), nothing cached, no conftest of anybody's.
_COMMON = ["-q", "-p", "coursekit.pytest_plugin", "--assert=plain"]
_COMMON += ["--import-mode=importlib", "--noconftest"]
_UNUSED = ["cacheprovider", "doctest", "faulthandler", "junitxml", "pastebin", "setuponly", "setupplan", "stepwise"]
_UNUSED += ["threadexception", "unraisableexception"]  # these two look through all objects there are, several times
_COMMON += [word for name in _UNUSED for word in ("-p", f"no:{name}")]

_PYTEST, _UNASKED = "pytest", "coursekit.examination.sitting"
"""What examines a submission: pytest where there are checks, else nobody asks and a pytest would start for nothing."""
_EVERY = (_UNASKED, "coursekit.sandbox.ahead")
"""What every examination imports."""
_ASKING = ("pytest", "_pytest.legacypath", "numpy", "coursekit.pytest_plugin", "coursekit.examination.asking")
"""What one with checks imports beside; the check files of an assignment add theirs."""

_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


class Stopped(Exception):
    """The grader was told to stop; there is no examination."""


def warmed(checks: Sequence[str], imports: Sequence[str]) -> Zygote:
    """A warm interpreter that examines with these checks; it has imported these modules beside its own."""
    asking = [*_ASKING, *imports] if checks else []
    return Zygote("coursekit.warm.program:main", [*_EVERY, *asking], _ENVIRONMENT)


def examine(task: Task, stop: threading.Event, zygote: str = "") -> Examination:
    """Examine one submission, in a fork of the zygote at this path if there is one.

    Raises GraderError if the process breaks, MachineError if something broke it, Stopped if `stop` is set meanwhile.
    """
    out = Path(task.out)
    (out / "examination.json").unlink(missing_ok=True)
    task_file = out / "task.json"
    secret = os.open(task_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it holds the seed
    with os.fdopen(secret, "wb") as file:
        file.write(msgspec.json.encode(task))
    (out / "pytest.ini").write_text("[pytest]\n")
    try:
        words, seconds = _words(task, task_file, out), deadline(task.assignment)
        code = _run(words, out, seconds, stop, zygote)
        if zygote and code is None:  # the warm interpreter was killed, and what it had started with it
            code = _run(words, out, seconds, stop)
    finally:
        task_file.unlink(missing_ok=True)  # a check may have removed more than it should
    return _read(out, code, quote=not task.hidden)


def listed(checks: Sequence[str]) -> list[tuple[str, float]]:
    """The ids and points of the pytest checks in these folders. Raises GraderError if one cannot be read."""
    with tempfile.TemporaryDirectory(prefix="coursekit-") as scratch:
        out = Path(scratch)
        (out / "pytest.ini").write_text("[pytest]\n")
        words = [_PYTEST, *_COMMON, "-c", str(out / "pytest.ini"), f"--rootdir={out}", "--collect-only"]
        folders = [path for path in checks if not path.endswith(".yaml")]
        words += ["--coursekit-list", str(out / "checks.json"), "--", *folders]
        _run(words, out, _SPARE_SECONDS, threading.Event())
        found = msgspec.json.decode((out / "checks.json").read_bytes(), type=dict[str, Any])
    if found["broken"]:
        raise GraderError(found["broken"])
    return [(name, float(points)) for name, points in found["checks"]]


def _words(task: Task, task_file: Path, out: Path) -> list[str]:
    """The module that examines, and its command line."""
    if not task.checks:
        return [_UNASKED, str(task_file)]
    words = [_PYTEST, *_COMMON, "-c", str(out / "pytest.ini"), f"--rootdir={out}", "--basetemp", str(out / "tmp")]
    words += ["--coursekit-task", str(task_file)]
    return [*words, "--", *task.checks]


def deadline(assignment: Assignment) -> float:
    """Seconds after which an examination itself must be broken: it enforces all smaller limits."""
    return 4 * assignment.limits.seconds + _SPARE_SECONDS


def _run(words: list[str], out: Path, seconds: float, stop: threading.Event, zygote: str = "") -> int | None:
    """Run a module with these words after its name; its exit status, or None if that is not known."""
    with ExitStack() as ends:
        log = ends.enter_context((out / "pytest.log").open("wb"))
        process, status = _start(words, out, log.fileno(), zygote, ends)
        try:
            for _ in range(int(seconds / _TURN_SECONDS)):
                try:
                    code = process.wait(_TURN_SECONDS)
                except subprocess.TimeoutExpired:
                    if stop.is_set():
                        raise Stopped from None
                else:
                    said = status.read() if status else code
                    return int(said) if said != b"" else None
            raise GraderError(f"the checks did not end within {seconds:.0f} seconds.", where=str(out / "pytest.log"))
        finally:
            process.kill()  # its boxes die with it
            process.wait()


def _start(
    words: list[str], out: Path, log: int, zygote: str, ends: ExitStack
) -> tuple[subprocess.Popen[bytes] | warm.Fork, IO[bytes] | None]:
    """The process, and where its exit status is read if it is a fork."""
    if zygote:
        reading, writing = os.pipe()
        status = ends.enter_context(os.fdopen(reading, "rb"))
        try:
            fork = warm.fork(zygote, [writing], output=log)
        except warm.Cold:
            pass
        else:
            order = {"module": words[0], "arguments": words[1:], "environment": _ENVIRONMENT, "cwd": str(out)}
            with suppress(BrokenPipeError), fork.stdin:  # it has been killed already, which is found below
                fork.stdin.write(json.dumps(order).encode() + b"\n")
            return fork, status
        finally:
            os.close(writing)
    process = subprocess.Popen(
        [sys.executable, "-I", "-m", *words],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=_ENVIRONMENT,
        cwd=out,
        start_new_session=True,
    )
    return process, None


def log(out: Path, most: int = _LOG_TAIL) -> str:
    """The last of what the process printed, of which there may be any amount."""
    try:
        with (out / "pytest.log").open("rb") as printed:
            printed.seek(max(0, printed.seek(0, os.SEEK_END) - most))
            return printed.read().decode(errors="replace")
    except OSError:
        return ""


def _read(out: Path, code: int | None, *, quote: bool) -> Examination:
    """The examination; `quote` the last thing that was printed if there is none, which students may see."""
    try:
        return msgspec.json.decode((out / "examination.json").read_bytes(), type=Examination)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        lines = [line.strip() for line in log(out).splitlines() if not _PROGRESS.fullmatch(line)]
        said = f": {lines[-1]}" if quote and lines else "."
        where = str(out / "pytest.log")
        if code is None:
            raise MachineError(f"the trusted process was ended from outside{said}", where=where) from error
        if code in (os.EX_IOERR, _LOG_UNWRITTEN) or not out.is_dir():
            what = (
                "what the checks found could not be written: the disk for temporary files is full, or a folder is gone."
            )
            raise MachineError(what, where=where, fix="free some space there") from error
        if code < 0:
            name = (signal.strsignal(-code) or "unknown").lower()
            how = f"ended by signal {-code} ({name})"
            raise MachineError(f"the trusted process was {how}{said}", where=where) from error
        how = f"ended with status {code} and no result"
        raise GraderError(f"the trusted process {how}{said}", where=where) from error
