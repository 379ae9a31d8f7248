"""Start bubblewrap for a grader who is root: first make what the box reads reachable, then stop being root.

Run by path as `python -I -S launch.py`, for one box; who makes many boxes does the first half once (`bwrap.stage`). On
standard input: one line of JSON with `staging` (an empty
folder), `binds` (pairs of a path and its place under staging), `uid` and `argv`. Bubblewrap run by root would not be a
sandbox, and an unprivileged user cannot enter a home such as /root where the interpreter may live. So this process
takes a mount namespace of its own, binds each path to a place anyone may reach, becomes the unprivileged user and then
bubblewrap. The mounts vanish with the namespace.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_SLAVE, MS_NOSUID, MS_NODEV = 0x1000, 0x4000, 0x80000, 0x2, 0x4

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """A C library call that must succeed."""
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def read_line() -> bytes:
    """One line of standard input and not a byte more: the rest belongs to the box, which ends with it."""
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 1)
        if not part:
            raise EOFError("the order ended early")
        line += part
    return bytes(line)


def stage(staging: str, binds: list[tuple[str, str]]) -> None:
    """Bind each path to its place on a memory file system that only this process and its children see.

    What is mounted and unmounted elsewhere meanwhile is so here too, and nothing of this anywhere else.
    """
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, MS_REC | MS_SLAVE, None)
    call("mount", b"tmpfs", staging.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=755,size=1m")
    for source, place in binds:
        if os.path.isdir(source):
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
        call("mount", source.encode(), place.encode(), None, MS_BIND | MS_REC, None)


def main() -> None:
    """Stage, become nobody in particular, become bubblewrap."""
    order = json.loads(read_line())
    stage(order["staging"], order["binds"])
    os.setgroups([])
    os.setresgid(order["uid"], order["uid"], order["uid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])
    os.execve(order["argv"][0], order["argv"], {"PATH": "/usr/bin:/bin"})


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - the last words of a bare script
        sys.exit(f"the box could not be prepared: {type(error).__name__}: {error}")
