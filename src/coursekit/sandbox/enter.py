"""Step into an empty box, give up every right, and become a program.

Run by path as `python -I -S enter.py`, it starts in milliseconds and knows nothing else of ours; a zygote's fork
(`stepping.py`) does the same without the start.
On standard input: one line of JSON (the order), then the bytes of the files it names. The process that was started
stays outside the box, waits for the program, and writes one line of JSON about it to the descriptor `status`.

The box must be empty when this runs: between joining it and giving up rights, a process already inside could interfere.
Joining the namespaces needs no privilege beyond owning them, which the user who made the box does, and root does.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

Run = Callable[[dict[str, Any]], None]
"""How the program is started once all rights are given up; it does not return to its caller."""

NAMESPACES = 0x00020000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000  # mnt uts ipc user pid net
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
SECCOMP_MODE_FILTER = 2
CAPABILITY_VERSION_3 = 0x20080522
EXIT_NOT_ENTERED = 125

libc = ctypes.CDLL(None, use_errno=True)


class Filter(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def call(name: str, *arguments: object) -> None:
    """A C library call that must succeed."""
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def join(pidfd: int) -> None:
    """Enter the namespaces of the box with this first process; the next child is inside."""
    with contextlib.suppress(PermissionError):  # an ordinary user may not, and keeps the groups that user has anyway
        os.setgroups([])
    call("setns", pidfd, NAMESPACES)
    os.close(pidfd)


def limit(limits: dict[str, int]) -> None:
    """Set hard limits that the program cannot raise."""
    for name, wanted in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def give_up_rights(order: dict[str, Any]) -> None:
    """Become the box's user without capabilities and without a way to get any back."""
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails past the last capability of this kernel
    os.setresgid(order["gid"], order["gid"], order["gid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    call("capset", header, (ctypes.c_uint32 * 6)())
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Without a box nothing else would end this process with the one that started it."""
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise ProcessLookupError("the grader has ended")


def read_exactly(count: int) -> bytes:
    """That many bytes of standard input."""
    parts = []
    while count:
        part = os.read(0, min(count, 1 << 20))
        if not part:
            raise EOFError("the order ended early")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_line() -> bytes:
    """One line of standard input, byte by byte, since the files follow."""
    line = bytearray()
    while not line.endswith(b"\n"):
        line += read_exactly(1)
    return bytes(line)


def write_files(files: list[tuple[str, int]]) -> None:
    """Put the files into the box, as the box's user."""
    for path, size in files:
        data = read_exactly(size)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def become(order: dict[str, Any], parent: int, run: Run) -> None:
    """In the box: write the files, set limits, load the filter, and run the program."""
    os.setsid()
    if order["boxed"]:
        give_up_rights(order)
    else:
        die_with_parent(parent)
    os.umask(0o022)
    write_files(order["files"])
    os.chdir(order["cwd"])
    os.nice(order["nice"])
    limit(order["limits"])
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    if order["boxed"]:
        program = base64.b64decode(order["seccomp"])
        rules = Filter(len(program) // 8, program)
        call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(rules), 0, 0)
    run(order)


def execute(order: dict[str, Any]) -> None:
    """Become another program: a cold start."""
    os.execve(order["argv"][0], order["argv"], order["env"])


def tell(status: int, **said: object) -> None:
    """One line about the program, unless nobody is there to read it."""
    with contextlib.suppress(BrokenPipeError):
        os.write(status, (json.dumps(said) + "\n").encode())


def enter(order: dict[str, Any], run: Run) -> int:
    """Start the program in the box; its process number, as seen here."""
    here = os.getpid()
    if order["boxed"]:
        join(order["pidfd"])
    else:
        die_with_parent(order["grader"])
        call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        try:
            os.set_inheritable(order["status"], False)
            become(order, here, run)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the grader must hear of it and nothing may run on
            tell(order["status"], not_entered=f"{type(error).__name__}: {error}")
        os._exit(EXIT_NOT_ENTERED)
    os.close(0)
    return child


def children() -> list[int]:
    """The processes whose parent is this one."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{name}/stat", "rb") as file:
            if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                found.append(int(name))
    return found


def end_the_rest() -> None:
    """Without a box: end whatever the program left behind; each one's children become ours when it ends."""
    while left := children():
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for pid in left:
            os.waitpid(pid, 0)


def report(order: dict[str, Any], run: Run = execute) -> None:
    """Enter, run, wait, report."""
    child = enter(order, run)
    _, status, usage = os.wait4(child, 0)
    if not order["boxed"]:
        end_the_rest()
    tell(
        order["status"],
        returncode=os.waitstatus_to_exitcode(status),
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_memory_bytes=usage.ru_maxrss * 1024,
    )


if __name__ == "__main__":
    try:
        report(json.loads(read_line()))
    except Exception as error:  # noqa: BLE001 - the last words of a bare script
        sys.exit(f"the box could not be entered: {type(error).__name__}: {error}")
