"""Whether a box holds what it promises on this machine: real boxes, in each of which something is tried."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from coursekit.errors import SandboxError, UnreadableWork
from coursekit.records import Finished, Held, Limits
from coursekit.sandbox import open_box, tries
from coursekit.sandbox.box import Box, closing
from coursekit.sandbox.kernel import Kernel
from coursekit.sandbox.program import ENVIRONMENT, run

_CELL_SECONDS = 30.0
_CUT_SECONDS = 0.5
_ENDED_WITHIN_SECONDS = 6.0
_STUBBORN = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
_PROGRAM_SECONDS = 15.0
_LIMITS = Limits(
    memory_bytes=1_000_000_000,
    processes=64,
    disk_bytes=20_000_000,
    output_bytes=8_000_000,
    message_bytes=1_000_000,
)
_SMALL = Limits(memory_bytes=300_000_000, disk_bytes=50_000_000, output_bytes=100_000)
_FILES = 21_000


def probe(sandbox: str) -> tuple[Held, ...]:
    """Try each promise of this kind of box. Raises SandboxError if no box can be made at all."""
    token = secrets.token_hex(16)
    with _listener() as port, _canary() as canary, closing(open_box(sandbox, _LIMITS)) as other:
        kernel = Kernel(sandbox, _LIMITS, {})
        try:
            held = [*_facts(kernel, port, canary, token), _artifacts(kernel), _user(kernel.box, other)]
            _cell(kernel, f"tries.hide({token!r})")
            held.append(_message(kernel))
        finally:
            kernel.close()
    held.append(_whole_tree(token))
    held += [_programs(sandbox, *each) for each in _TAKING]
    return (*held, _cell_time(sandbox))


# --- what one kernel finds ----------------------------------------------------------------------------------------


@contextmanager
def _listener() -> Iterator[int]:
    """A port on this machine's loopback, as a service of the grader's would have it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def _canary() -> Iterator[str]:
    """A file that any user of this machine may read."""
    with tempfile.TemporaryDirectory(prefix="coursekit-") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "hidden")
        path.write_text("hidden")
        yield str(path)


def _cell(kernel: Kernel, source: str) -> str:
    """What a cell printed. Raises SandboxError if it did not run."""
    result = kernel.run_cell(f"from coursekit.sandbox import tries\n{source}", _CELL_SECONDS)
    if result.error is not None or result.stopped:
        said = f"{result.error.ename}: {result.error.evalue}" if result.error else result.stopped
        raise SandboxError(f"what a box holds cannot be tried: {said}.")
    return "".join(each["text"] for each in result.outputs if each.get("name") == "stdout")


def _facts(kernel: Kernel, port: int, canary: str, token: str) -> Iterator[Held]:
    arguments = (port, [canary, "/etc/shadow"], token, _LIMITS.processes, _LIMITS.disk_bytes)
    source = f"import msgspec\nprint(msgspec.json.encode(tries.facts(*{arguments!r})).decode())"
    found = msgspec.json.decode(_cell(kernel, source), type=tries.Facts)
    reached = found.reached + [f"sockets of the family {name}" for name in found.families]
    yield _nothing("network", reached, "reached", "the host's loopback and sockets of packet, vsock and bluetooth")
    yield _nothing("files of this machine", found.read, "readable", "a file of the grader's and /etc/shadow")
    names = sorted(set(found.variables) - {"HOME", *ENVIRONMENT}) + sorted(set(found.first_variables) - {"PATH"})
    yield _nothing("grader's environment", names, "visible", "every variable but the box's own")
    foreign = sorted(set(found.processes) - set(kernel.box.processes()))
    seen = f"{len(found.processes)} processes are visible, {len(foreign)} of them not the box's"
    yield Held(limit="other processes", held=not foreign, detail=seen)
    yield _nothing("read-only root", found.written, "writable", "the root, the system's folders and the interpreter")
    yield _rights(found.status)
    yield _nothing("new namespaces", found.namespaces, "possible", "mount, user, network and four more")
    most = _LIMITS.processes
    yield Held(limit="processes", held=found.forked < most, detail=f"{found.forked} more started, the limit is {most}")
    room = found.unlinked_bytes
    detail = f"unlinked files held {room:,} bytes, the limit is {_LIMITS.disk_bytes:,}"
    yield Held(limit="disk", held=room <= _LIMITS.disk_bytes, detail=detail)


def _nothing(limit: str, found: list[str], how: str, tried: str) -> Held:
    """Held if nothing of what was tried succeeded."""
    shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return Held(limit=limit, held=not found, detail=f"{how}: {shown}" if found else f"not {how}: {tried}")


def _rights(status: dict[str, str]) -> Held:
    powerless = not int(status["CapEff"], 16) and not int(status["CapBnd"], 16)
    held = powerless and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    return Held(limit="rights", held=held, detail=", ".join(f"{name} {value}" for name, value in status.items()))


def _artifacts(kernel: Kernel) -> Held:
    """Whether what is no ordinary file is refused where a model is read."""
    taken = []
    offered = msgspec.json.decode(_cell(kernel, "import json; print(json.dumps(tries.links()))"), type=dict[str, str])
    for path, what in offered.items():
        try:
            kernel.read(path, 1000)
        except UnreadableWork:
            continue
        taken.append(what)
    return _nothing("artifacts", taken, "taken for a file", ", ".join(offered.values()))


def _user(box: Box, other: Box) -> Held:
    """Whether boxes of a root grader belong to users of their own, seen from outside."""
    owners = []
    for each in (box, other):
        folder = each.folder()
        owners.append(os.fstat(folder).st_uid)
        os.close(folder)
    if os.geteuid():
        return Held(limit="user", held=True, detail=f"the grader is not root; its boxes belong to it, user {owners[0]}")
    detail = f"two boxes of a root grader belong to the users {owners[0]} and {owners[1]}"
    return Held(limit="user", held=0 not in owners and owners[0] != owners[1], detail=detail)


def _message(kernel: Kernel) -> Held:
    stopped = kernel.run_cell(f"print('x' * {3 * _LIMITS.message_bytes})", _CELL_SECONDS).stopped
    return Held(limit="message size", held="at once" in stopped, detail=stopped or "a larger message was taken")


def _whole_tree(token: str) -> Held:
    """Whether a process that hid outlived its box."""
    left = 0
    for path in Path("/proc").iterdir():
        try:
            left += path.name.isdigit() and token.encode() in (path / "cmdline").read_bytes()
        except OSError:  # it ended
            continue
    detail = "a process that left its session outlived the box" if left else "a process that left its session is gone"
    return Held(limit="whole tree", held=not left, detail=detail)


# --- programs that take too much ----------------------------------------------------------------------------------

_TAKING = (
    ("memory", "memory", 800_000_000, "memory limit"),
    ("number of files", "files", _FILES, "files"),
    ("output", "output", 0, "output"),
)


def _programs(sandbox: str, limit: str, what: str, amount: int, word: str) -> Held:
    """Held if a program that takes so much is stopped with that word."""
    words = [sys.executable, "-I", "-m", tries.__name__, what, str(amount)]
    with closing(open_box(sandbox, _SMALL)) as box:
        finished: Finished = run(box, words, {}, seconds=_PROGRAM_SECONDS)
    how = f"stopped after {finished.wall_seconds:.1f} s by {finished.stopped}"
    detail = how if finished.stopped else f"ended by itself with status {finished.returncode}"
    return Held(limit=limit, held=word in finished.stopped, detail=detail)


def _cell_time(sandbox: str) -> Held:
    kernel = Kernel(sandbox, _LIMITS, {})
    try:
        began = time.monotonic()
        stopped = kernel.run_cell(_STUBBORN, _CUT_SECONDS).stopped
        took = time.monotonic() - began
    finally:
        kernel.close()
    detail = f"a cell that will not stop was ended after {took:.1f} s, the limit was {_CUT_SECONDS} s"
    return Held(limit="cell time", held="seconds" in stopped and took < _ENDED_WITHIN_SECONDS, detail=detail)
