"""Become an ordinary user with an interpreter in reach, then a command. For a root who tries what such a user gets.

Run by path as `python -I -S ordinary.py`, never imported. On standard input: one line of JSON with `staging` (an empty
folder), `needed` (paths to keep in reach), `uid`, `argv`, `env` and `cwd`. An ordinary user cannot enter a home such as
/root, where the interpreter may live. So this process takes a mount namespace of its own, covers each closed folder
with an open one that holds only what is needed, and becomes that user. The mounts vanish with the namespace.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys

CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """A C library call that must succeed."""
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def closed(path: str) -> str:
    """The outermost folder above a path that only its owner may enter, if there is one."""
    parts = path.split("/")[1:-1]
    for number in range(1, len(parts) + 1):
        folder = "/" + "/".join(parts[:number])
        if not os.stat(folder).st_mode & stat.S_IXOTH:
            return folder
    return ""


def bind(source: str, place: str) -> None:
    """Show what lies at one path at another, which is made."""
    if os.path.isdir(source):
        os.makedirs(place, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
    call("mount", source.encode(), place.encode(), None, MS_BIND | MS_REC, None)


def uncover(staging: str, needed: list[str]) -> None:
    """Cover each closed folder with one that holds what is needed of it, at its old path."""
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    hidden = {path: closed(path) for path in needed}
    call("mount", b"tmpfs", staging.encode(), b"tmpfs", 0, b"mode=755,size=1m")
    places = {path: f"{staging}/{number}" for number, path in enumerate(needed) if hidden[path]}
    for path, place in places.items():
        bind(path, place)
    for folder in sorted(set(hidden.values()) - {""}):
        call("mount", b"tmpfs", folder.encode(), b"tmpfs", 0, b"mode=755,size=1m")
    for path, place in places.items():
        bind(place, path)


def main() -> None:
    """Uncover, become nobody in particular, become the command."""
    order = json.loads(sys.stdin.buffer.readline())
    uncover(order["staging"], order["needed"])
    os.setgroups([])
    os.setresgid(order["uid"], order["uid"], order["uid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])
    os.chdir(order["cwd"])
    os.execve(order["argv"][0], order["argv"], order["env"])


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - the last words of a bare script
        sys.exit(f"the ordinary user could not be made: {type(error).__name__}: {error}")
