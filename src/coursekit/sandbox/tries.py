"""What a program in a box tries in order to get out or to take too much; `probe` runs this there and reads the facts.

Harmless where nothing holds it: what it makes it deletes, and it takes a little more than a limit allows, never all.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

_CONNECT_SECONDS = 2.0
_FAMILIES = {"packet": 17, "vsock": 40, "bluetooth": 31}
_NAMESPACES = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "host name": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "process": 0x20000000,
    "network": 0x40000000,
}
_UNSHARE = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(int(sys.argv[1])) != 0)"
_FOREIGN = ("/", "/usr", "/etc", "/dev", "/run", "/home", "/proc/sys/kernel")
_LONG_ENOUGH = "1.5"  # for whoever watches to see it
_FILE_BYTES = 1_000_000
_WORDS = ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")


def _packages() -> tuple[str, ...]:
    """Where the interpreter's own modules lie; the folders above may be the box's memory, as below /tmp."""
    return tuple(f"{prefix}/{name}" for prefix in (sys.base_prefix, sys.prefix) for name in ("bin", "lib"))


class Facts(msgspec.Struct, kw_only=True):
    """What came of it; each list holds what succeeded."""

    reached: list[str]
    families: list[str]
    read: list[str]
    variables: list[str]
    """Names in the environment that the program was started with."""
    first_variables: list[str]
    """Names in the environment of process 1."""
    processes: list[int]
    written: list[str]
    status: dict[str, str]
    namespaces: list[str]
    forked: int
    unlinked_bytes: int


def facts(port: int, secrets: Sequence[str], token: str, processes: int, disk_bytes: int) -> Facts:
    """Try everything. `port` is open on the host's loopback, `secrets` are paths there, `token` names what is made."""
    return Facts(
        reached=_reached(port),
        families=[name for name, number in _FAMILIES.items() if _opens(number)],
        read=[path for path in secrets if os.access(path, os.R_OK)],
        variables=_variables("self"),
        first_variables=_variables("1"),
        processes=[int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()],
        written=[folder for folder in (*_FOREIGN, *_packages()) if _writes(folder, token)],
        status=_status(),
        namespaces=[name for name, flag in _NAMESPACES.items() if _unshares(flag)],
        forked=_forked(processes + 20),
        unlinked_bytes=_filled(disk_bytes + 10 * _FILE_BYTES),
    )


def _reached(port: int) -> list[str]:
    found = []
    for address in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((address, port), _CONNECT_SECONDS).close()
        except OSError:
            continue
        found.append(address)
    return found


def _opens(family: int) -> bool:
    try:
        socket.socket(family, socket.SOCK_DGRAM if family == _FAMILIES["packet"] else socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _variables(process: str) -> list[str]:
    try:
        said = Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return []
    return sorted(each.partition(b"=")[0].decode() for each in said.split(b"\0") if each)


def _writes(folder: str, token: str) -> bool:
    path = Path(folder, f"coursekit-{token}")
    try:
        path.touch()
    except OSError:
        return False
    path.unlink()
    return True


def _status() -> dict[str, str]:
    lines = (line.partition(":") for line in Path("/proc/self/status").read_text().splitlines())
    return {name: value.strip() for name, _, value in lines if name in _WORDS}


def _unshares(flag: int) -> bool:
    return subprocess.run([sys.executable, "-I", "-S", "-c", _UNSHARE, str(flag)], check=False).returncode == 0


def _forked(most: int) -> int:
    """How many more processes could be started at once."""
    found: list[subprocess.Popen[bytes]] = []
    try:
        while len(found) < most:
            found.append(subprocess.Popen(["/bin/sleep", "60"]))
    except OSError:
        pass
    for process in found:
        process.kill()
        process.wait()
    return len(found)


def _filled(most: int) -> int:
    """How many bytes files that no folder names can hold."""
    held, files = 0, []
    try:
        while held < most:
            files.append(os.open("unlinked", os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
            Path("unlinked").unlink()
            held += os.write(files[-1], b"x" * _FILE_BYTES)
    except OSError:
        pass
    for file in files:
        os.close(file)
    return held


def links() -> dict[str, str]:
    """Put things that are no ordinary files where a model is expected: name -> what it is."""
    Path("link").symlink_to("/etc/passwd")
    Path("folder").mkdir()
    Path("deeper").symlink_to("/etc")
    Path("twice").write_bytes(b"x")
    Path("again").hardlink_to("twice")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    return {
        "link": "a link",
        "deeper/passwd": "a folder that is a link",
        "folder": "a folder",
        "again": "a hard link",
        "socket": "a socket",
    }


def hide(token: str) -> None:
    """Leave a process behind that has left its parent, its session and its folder, and ignores being asked to end."""
    ctypes.CDLL(None).signal(15, 1)
    script = f"cd /; trap '' HUP TERM; : {token}; while :; do sleep 1; done"
    subprocess.run(["/bin/sh", "-c", f'setsid /bin/sh -c "{script}" >/dev/null 2>&1 &'], check=True)


def take_memory(most_bytes: int) -> None:
    """Hold so much memory in several processes, then wait."""
    for _ in range(3):
        os.fork()
    held = bytearray(b"x") * (most_bytes // 8)
    subprocess.run(["/bin/sleep", _LONG_ENOUGH], check=False)
    del held


def take_files(most: int) -> None:
    """Make so many empty files, then wait."""
    for number in range(most):
        Path(str(number)).touch()
    subprocess.run(["/bin/sleep", _LONG_ENOUGH], check=False)


def take_output() -> None:
    """Print without end."""
    while True:
        os.write(1, b"x" * 65536)


if __name__ == "__main__":
    what, amount = sys.argv[1], int(sys.argv[2])
    if what == "memory":
        take_memory(amount)
    elif what == "files":
        take_files(amount)
    else:
        take_output()
