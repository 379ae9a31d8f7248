"""A process that has paid for its imports once, and forks for each program that needs them.

Run as `python -m coursekit.warm.zygote LISTENER LIFE FOLDER FUNCTION MODULE ...`: it imports the modules, says on
standard output how that went, and serves the unix socket LISTENER until the pipe LIFE is closed, which happens when the
grader ends however that happens; then it removes FOLDER with the socket in it. All three are open descriptors. A
request is one byte with descriptors: standard input, output and error of the fork, and whatever FUNCTION (as
package.module:name) wants besides; the fork calls it with those and ends when it returns.

What is imported here is trusted, and nothing secret is in this process. A fork copies one thread only, so with more
than one thread, held locks and all, it refuses to serve.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

REQUEST = b"e"
SOCKET = "zygote"
"""The name of the socket in its folder."""
MOST_DESCRIPTORS = 8
_LAST = 1 << 20
_ROUND_MS = 1000

Function = Callable[[list[int]], None]


def main(words: Sequence[str]) -> None:
    """Import, say how it went, serve."""
    listening, life, folder, name, *modules = words
    sys.path[:] = [path for path in sys.path if path not in ("", "/")]  # `-m` put the folder that we are in there
    module, _, function = name.partition(":")
    telling, quiet = os.dup(1), os.open("/dev/null", os.O_RDWR)
    os.dup2(quiet, 0)
    os.dup2(quiet, 1)  # some modules print when they are imported
    begin: Function = getattr(importlib.import_module(module), function)
    said = prepare(modules)
    with os.fdopen(telling, "w", encoding="utf-8") as told:
        told.write(json.dumps(said) + "\n")
    os.close(quiet)
    if said["refused"]:
        return
    with socket.socket(fileno=int(listening)) as listener:
        serve(listener, int(life), begin)
    with contextlib.suppress(OSError):  # a grader that was killed has left them
        made = Path(f"/proc/self/fd/{folder}").readlink()
        (made / SOCKET).unlink()
        made.rmdir()


def prepare(modules: Sequence[str]) -> dict[str, Any]:
    """Import each module that can be imported; what is missing is left to whoever needs it, in its own time."""
    missing = []
    gc.disable()  # it would look again and again through what is made to stay; a large library takes a quarter longer
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a package does when it is imported
            missing.append(f"{name}: {type(error).__name__}")
    gc.freeze()  # a collection in a fork would touch, and so copy, every page
    gc.enable()
    held = threads()
    refused = f"the warm interpreter has {held} threads after its imports, and a fork has only one" if held != 1 else ""
    return {"missing": missing, "refused": refused}


def threads() -> int:
    """The threads of this process, native ones too."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def serve(listener: socket.socket, life: int, begin: Function) -> None:
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
                answer(asking, begin)


def answer(asking: socket.socket, begin: Function) -> None:
    """Fork for one request, and give a hold on the fork."""
    asked, given, _, _ = socket.recv_fds(asking, 1, MOST_DESCRIPTORS)
    try:
        if asked != REQUEST or len(given) < 3 or threads() != 1:
            return
        fork = os.fork()
        if fork == 0:
            _be(given, begin)
        hold = os.pidfd_open(fork)
        try:
            socket.send_fds(asking, [str(fork).encode()], [hold])
        finally:
            os.close(hold)
    finally:
        for file in given:
            os.close(file)


def _be(given: list[int], begin: Function) -> None:
    """In the fork: keep nothing of the zygote's but its memory, do the work, and end."""
    status = 1
    try:
        os.setsid()
        streams, kept = given[:3], given[3:]
        for number, file in enumerate(streams):
            os.dup2(file, number)
        close_all_but(kept)
        begin(kept)
        status = 0
    except BaseException:  # noqa: BLE001 - a fork must never go on as if it were the zygote
        traceback.print_exc()
    os._exit(status)


def close_all_but(kept: Sequence[int] = ()) -> None:
    """Close every descriptor but the standard streams and these."""
    first = 3
    for file in sorted(kept):
        os.closerange(first, file)
        first = file + 1
    os.closerange(first, _LAST)


if __name__ == "__main__":
    main(sys.argv[1:])
