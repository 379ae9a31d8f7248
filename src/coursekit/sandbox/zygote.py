"""A process that has paid for its imports once, and forks for each program that starts in a box.

Run as `python -m coursekit.sandbox.zygote LISTENER LIFE MODULE ...`: it imports the modules, says on standard output how
that went, and serves the unix socket LISTENER until the pipe LIFE is closed, which happens when the grader ends however
that happens. A request is one byte with five descriptors: standard input, output and error of the program, where to say
how it ended, and the box's first process. The fork that answers it does what `enter.py` does, and where that would
execute a program, it runs a module in the interpreter that it is.

What is imported here is trusted, and nothing secret is in this process: its environment is that of a program in a box.
A fork copies one thread only, so with more than one thread, held locks and all, it refuses to serve.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any

from coursekit.sandbox import enter

REQUEST = b"e"
DESCRIPTORS = 5
_PR_SET_DUMPABLE = 4
_LAST = 1 << 20
_ROUND_MS = 1000


def main(words: Sequence[str]) -> None:
    """Import, say how it went, serve."""
    listening, life, *modules = words
    sys.path[:] = [path for path in sys.path if path not in ("", "/")]  # `-m` put the folder that we are in there
    said = prepare(modules)
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    if said["refused"]:
        return
    quiet = os.open("/dev/null", os.O_RDWR)
    os.dup2(quiet, 0)
    os.dup2(quiet, 1)
    with socket.socket(fileno=int(listening)) as listener:
        serve(listener, int(life))


def prepare(modules: Sequence[str]) -> dict[str, Any]:
    """Import each module that can be imported; what is missing is left to whoever needs it, in its own time."""
    missing = []
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a package does when it is imported
            missing.append(f"{name}: {type(error).__name__}")
    gc.collect()
    gc.freeze()  # a collection in a fork would touch, and so copy, every page
    refused = "" if threads() == 1 else f"{threads()} threads run after its imports"
    return {"missing": missing, "refused": refused}


def threads() -> int:
    """The threads of this process, native ones too."""
    return len(os.listdir("/proc/self/task"))


def serve(listener: socket.socket, life: int) -> None:
    """Fork for each request until nobody holds the other end of `life`."""
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    waiting.register(life, select.POLLIN | select.POLLHUP)
    while True:
        ready = {file for file, _ in waiting.poll(_ROUND_MS)}
        with contextlib.suppress(ChildProcessError):  # forks that have ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if life in ready:
            return
        if listener.fileno() in ready:
            with listener.accept()[0] as asking, contextlib.suppress(OSError):
                answer(asking)


def answer(asking: socket.socket) -> None:
    """Fork for one request, and give a hold on the fork."""
    asked, given, _, _ = socket.recv_fds(asking, 1, DESCRIPTORS)
    try:
        if asked != REQUEST or len(given) != DESCRIPTORS or threads() != 1:
            return
        fork = os.fork()
        if fork == 0:
            _help(given)
        hold = os.pidfd_open(fork)
        try:
            socket.send_fds(asking, [str(fork).encode()], [hold])
        finally:
            os.close(hold)
    finally:
        for file in given:
            os.close(file)


def _help(given: list[int]) -> None:
    """In the fork: take the place of `enter.py`, and end as it does."""
    status = 1
    try:
        os.setsid()
        streams, kept = given[:3], given[3:]
        for number, file in enumerate(streams):
            os.dup2(file, number)
        _close_all_but(kept)
        order = json.loads(enter.read_line())
        order["status"], order["pidfd"] = kept
        enter.report(order, run_module)
        status = 0
    except BaseException:  # noqa: BLE001 - a fork must never go on as if it were the zygote
        traceback.print_exc()
    os._exit(status)


def _close_all_but(kept: Sequence[int]) -> None:
    first = 3
    for file in sorted(kept):
        os.closerange(first, file)
        first = file + 1
    os.closerange(first, _LAST)


def run_module(order: dict[str, Any]) -> None:
    """In the box, without rights: be the interpreter that runs this module, from its arguments to its exit status."""
    enter.call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after an exec: /proc/self belongs to whom it shows
    os.closerange(3, _LAST)
    os.environ.clear()
    os.environ.update(order["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [order["module"], *order["arguments"]]
    if not order["isolated"]:
        sys.path.insert(0, order["cwd"])
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # what it drew when it was imported would be the same in every fork
    os._exit(_ran(order["module"]))


def _ran(module: str) -> int:
    """Run it, and end as an interpreter does; its exit status."""
    status = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if status and not isinstance(error.code, int):
            sys.stderr.write(f"{error.code}\n")
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        status = 1
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - what the interpreter calls before it ends
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - likewise
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    return status & 0xFF


if __name__ == "__main__":
    main(sys.argv[1:])
