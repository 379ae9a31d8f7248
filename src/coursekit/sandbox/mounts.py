"""What a box can see: an allow-list of read-only folders, three memory file systems of known size, nothing else.

Every path keeps its name inside, because interpreters and libraries remember where they live.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import coursekit
from coursekit.records import Limits

WORK = "/home/student"
"""Where the notebook runs, and where its files are."""
SOCKETS = "/run/kernel"
HOME = "/tmp"  # noqa: S108 - a path inside the box
SHARED = "/dev/shm"  # noqa: S108 - likewise
WRITABLE = (WORK, HOME, SHARED, SOCKETS)
"""Every place in a box that can be written to; each is a memory file system."""
UID = 1000
"""The user inside; outside it is whoever owns the box."""

_SYSTEM = ("/usr", "/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system/cpu")
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_PREFIX = ("bin", "include", "lib", "lib32", "lib64", "libexec", "pyvenv.cfg", "share", "ssl")
"""What a program needs of its interpreter's folder; what else lies there may be somebody's work."""
_SMALL = 64_000_000
_SOCKET_SPACE = 4_000_000

PASSWD = f"student:x:{UID}:{UID}:student:{WORK}:/bin/sh\n"
GROUP = f"student:x:{UID}:\n"


def _outermost(paths: set[Path]) -> list[Path]:
    """The paths that do not lie in another one of them."""
    return sorted(path for path in paths if not any(other in path.parents for other in paths))


@functools.cache
def readable() -> tuple[Path, ...]:
    """The folders and files a box may read: the system's libraries, this interpreter, its packages and coursekit."""
    executable = Path(sys.executable)
    prefixes = {Path(sys.prefix), Path(sys.base_prefix), executable.parents[1], executable.resolve().parents[1]}
    found = {prefix / name for prefix in prefixes for name in _PREFIX} | {Path(coursekit.__file__).parent}
    found |= {path.resolve() for path in found}  # by both names: paths may be written down either way
    found |= {Path(path) for path in _SYSTEM}
    found |= {Path(path) for path in _LINKED if not Path(path).is_symlink()}
    return tuple(_outermost({path for path in found if path.exists()}))


def arguments(binds: Sequence[tuple[str, str]], limits: Limits, passwd: int, group: int) -> list[str]:
    """Bubblewrap's words for the file systems of a box.

    `binds` are (where it lies, where it shall appear); `passwd` and `group` are open descriptors.
    """
    # Memory first: the interpreter may lie under /tmp or /home too, and must not be covered.
    # /dev and / are writable memory without a size until they are made read-only.
    words = ["--proc", "/proc", "--dev", "/dev"]
    for size, path in (
        (_SMALL, SHARED),
        (limits.disk_bytes, WORK),
        (max(limits.disk_bytes // 2, _SMALL), HOME),
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
