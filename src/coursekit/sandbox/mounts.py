"""What a box can see: an allow-list of read-only folders, three memory file systems of known size, nothing else.

Every path keeps its name inside, because interpreters and libraries remember where they live.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import coursekit
from coursekit.records import Limits

WORK = "/home/student"
"""Where the notebook runs, and where its files are."""
SOCKETS = "/run/kernel"
UID = 1000
"""The user inside; outside it is whoever owns the box."""

_SYSTEM = ("/usr", "/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system/cpu")
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SMALL = 64_000_000
_SOCKET_SPACE = 4_000_000

PASSWD = f"student:x:{UID}:{UID}:student:{WORK}:/bin/sh\n"
GROUP = f"student:x:{UID}:\n"


def _outermost(paths: set[Path]) -> list[Path]:
    """The paths that do not lie in another one of them."""
    return sorted(path for path in paths if not any(other in path.parents for other in paths))


def readable() -> list[Path]:
    """The folders and files a box may read: the system's libraries, this interpreter, its packages and coursekit."""
    package = Path(coursekit.__file__).resolve().parent
    interpreter = {
        Path(sys.prefix).resolve(),
        Path(sys.base_prefix).resolve(),
        Path(sys.executable).resolve().parents[1],
    }
    system = {Path(path) for path in _SYSTEM if Path(path).exists()}
    system |= {Path(path) for path in _LINKED if Path(path).is_dir() and not Path(path).is_symlink()}
    return _outermost(system | interpreter | {package})


def arguments(binds: Sequence[tuple[str, str]], limits: Limits, passwd: int, group: int) -> list[str]:
    """Bubblewrap's words for the file systems of a box.

    `binds` are (where it lies, where it shall appear); `passwd` and `group` are open descriptors.
    """
    # Memory first: the interpreter may lie under /tmp or /home too, and must not be covered.
    # /dev and / are writable memory without a size until they are made read-only.
    words = ["--proc", "/proc", "--dev", "/dev"]
    for size, path in (
        (_SMALL, "/dev/shm"),  # noqa: S108 - a path inside the box
        (limits.disk_bytes, WORK),
        (max(limits.disk_bytes // 2, _SMALL), "/tmp"),  # noqa: S108 - a path inside the box
        (_SOCKET_SPACE, SOCKETS),
    ):
        words += ["--size", str(size), "--tmpfs", path]
    for source, inside in binds:
        words += ["--ro-bind", source, inside]
    for link in _LINKED:
        if Path(link).is_symlink():
            words += ["--symlink", str(Path(link).readlink()), link]
    words += ["--file", str(passwd), "/etc/passwd", "--file", str(group), "/etc/group"]
    for path in ("/dev", "/"):
        words += ["--remount-ro", path]
    return words
