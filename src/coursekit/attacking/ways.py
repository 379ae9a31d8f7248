"""The ways in which a class of attackers is graded: as root and as an ordinary user, with cold and with warm kernels.

Each time by the real `coursekit` command, in a process of its own, with an environment that holds a secret.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from coursekit.errors import GraderError
from coursekit.sandbox import mounts
from coursekit.sandbox.uids import STAGING

_ORDINARY = Path(__file__).with_name("ordinary.py")
_ORDINARY_USER = 2_000_100_000
"""A number that no system hands out."""
_GRADER_BYTES = 1_500_000_000
"""What the grader itself may hold: an attack that makes it hold more breaks it, which shows."""
_TURN_SECONDS = 0.3
_CLASS_SECONDS = 1200.0


class Way(NamedTuple):
    """Who grades, and how kernels start."""

    user: str
    start: str

    def __str__(self) -> str:
        return f"{self.user}, {self.start}"


WAYS = tuple(Way(user, start) for user in ("root", "ordinary user") for start in ("cold", "warm"))


def possible() -> tuple[Way, ...]:
    """The ways that this user can try: root can become an ordinary user, and not the other way round."""
    return WAYS if os.geteuid() == 0 else tuple(way for way in WAYS if way.user != "root")


class Said(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    printed: bytes


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder that any user may enter, which is gone afterwards, however deep it has become."""
    place = Path(tempfile.mkdtemp(prefix="coursekit-attack-"))
    try:
        place.chmod(0o755)
        yield place
    finally:
        subprocess.run(["/bin/rm", "-rf", str(place)], check=False)


def hand_over(place: Path, way: Way) -> None:
    """Give a folder and all in it to whoever grades in this way."""
    if os.geteuid() == 0 and way.user != "root":
        subprocess.run(["/bin/chown", "-R", "-h", f"{_ORDINARY_USER}:{_ORDINARY_USER}", str(place)], check=True)


def run(way: Way, words: Sequence[str], place: Path, environment: dict[str, str], tell: Callable[[], None]) -> Said:
    """Run `coursekit` with these words in a folder, in this way; `tell` is called now and then meanwhile.

    Raises GraderError if it does not end.
    """
    argv = [sys.executable, "-m", "coursekit.cli", *words]
    order = b""
    if os.geteuid() == 0 and way.user != "root":
        facts = {"staging": str(_staging()), "needed": _needed(place), "uid": _ORDINARY_USER}
        order = json.dumps({**facts, "argv": argv, "env": environment, "cwd": str(place)}).encode() + b"\n"
        argv = [sys.executable, "-I", "-S", str(_ORDINARY)]
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=place,
            start_new_session=True,
            preexec_fn=_bounded,  # noqa: PLW1509 - one call, before anything runs
        )
        try:
            assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
            with process.stdin, contextlib.suppress(BrokenPipeError):
                process.stdin.write(order)
            _wait(process, tell)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        printed.seek(0)
        return Said(process.returncode, printed.read())


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_GRADER_BYTES, _GRADER_BYTES))


def _wait(process: subprocess.Popen[bytes], tell: Callable[[], None]) -> None:
    ends = time.monotonic() + _CLASS_SECONDS
    while True:
        try:
            process.wait(_TURN_SECONDS)
        except subprocess.TimeoutExpired:
            tell()
        else:
            return
        if time.monotonic() > ends:
            raise GraderError(f"a class of attackers was not graded within {_CLASS_SECONDS:.0f} seconds.")


def _staging() -> Path:
    STAGING.mkdir(parents=True, exist_ok=True)
    return STAGING


def _needed(place: Path) -> list[str]:
    """What the ordinary user must reach: what a box reads, and the folder with the class."""
    return [*map(str, mounts.readable()), str(place)]


def left_running(token: str, way: Way) -> list[int]:
    """The processes that carry a token in their words or environment, and all of the user whom root made for this."""
    made_up = os.geteuid() == 0 and way.user != "root"
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                told = any(token.encode() in (entry / name).read_bytes() for name in ("cmdline", "environ"))
                if told or (made_up and entry.stat().st_uid == _ORDINARY_USER):
                    found.append(int(entry.name))
    return found


def mounted() -> set[str]:
    """What is mounted here, and where."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {" ".join(line.split()[3:5]) for line in lines}
