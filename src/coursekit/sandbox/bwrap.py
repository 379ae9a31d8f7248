"""A box made by bubblewrap: namespaces, an allow-list of files, sized memory file systems, no network, no rights.

What it holds: files outside the allow-list, other processes, the network in every family, the grader's environment,
mounts, devices, kernel calls with a history; memory, processes, disk and time by limits; everything in it ends with it.
What it does not hold: holes in the kernel itself, what can be learned from timing and load, and a supplementary group of
an ordinary grader, which cannot be given up without being root. A grader who is not root shares a user with the boxes:
the kernel keeps them apart by namespace alone.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coursekit.errors import SandboxError
from coursekit.records import Limits
from coursekit.sandbox import mounts, seccomp
from coursekit.sandbox.uids import STAGING, Uid
from coursekit.sandbox.watch import Watch, members

_LAUNCH = Path(__file__).with_name("launch.py")
_HOLD = ("/bin/sh", "-c", "echo ready; exec sleep infinity")
_START_SECONDS = 20.0
_PAUSE_ROUNDS = 200
INSTALL = "install bubblewrap: apt install bubblewrap, dnf install bubblewrap or pacman -S bubblewrap"
APPARMOR = (
    "this system lets only known programs make user namespaces: install an AppArmor profile for bwrap "
    "(Ubuntu: apt install apparmor-profiles, then aa-enforce bwrap-userns-restrict), or, for the whole machine, "
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
)


def program() -> str:
    """Where bubblewrap is. Raises SandboxError with the package to install."""
    found = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if found is None:
        raise SandboxError("bubblewrap is not installed, so nothing can be run safely here.", fix=INSTALL)
    return found


def _descriptor(data: bytes, name: str) -> int:
    """An open file in memory with this content."""
    file = os.memfd_create(name, 0)
    os.write(file, data)
    os.lseek(file, 0, os.SEEK_SET)
    return file


class BwrapBox:
    """One box. The thread that makes it must outlive it: bubblewrap dies with the thread that started it."""

    name = "bwrap"
    work = mounts.WORK
    sockets = mounts.SOCKETS

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._uid = Uid() if os.geteuid() == 0 else None
        self._seccomp = seccomp.program()
        try:
            self._process, self._status = self._launch()
            self._init = self._wait_until_ready()
        except BaseException:
            self._free()
            raise
        self._namespace = os.stat(f"/proc/{self._init}/ns/pid").st_ino
        self._pidfd = os.pidfd_open(self._init)
        root = f"/proc/{self._init}/root"
        self.watch = Watch(limits, self.processes, (f"{root}{mounts.WORK}", f"{root}/tmp"), self._kill)

    # --- starting ---------------------------------------------------------------------------------------------

    def _binds(self) -> list[tuple[str, str, str]]:
        """Each readable path: where it lies, where bubblewrap finds it, where it appears."""
        paths = [str(path) for path in mounts.readable()]
        if not self._uid:
            return [(path, path, path) for path in paths]
        return [(path, f"{STAGING}/{index}", path) for index, path in enumerate(paths)]

    def _arguments(self, binds: list[tuple[str, str, str]], status: int, opened: list[int]) -> list[str]:
        opened += [
            _descriptor(self._seccomp, "seccomp"),
            _descriptor(mounts.PASSWD.encode(), "passwd"),
            _descriptor(mounts.GROUP.encode(), "group"),
        ]
        rules, passwd, group = opened
        return [
            *("--json-status-fd", str(status), "--seccomp", str(rules)),
            *("--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--clearenv"),
            *("--hostname", "box", "--uid", str(mounts.UID), "--gid", str(mounts.UID), "--cap-drop", "ALL"),
            *mounts.arguments([(found, inside) for _, found, inside in binds], self.limits, passwd, group),
            *("--chdir", mounts.WORK),
        ]

    def _launch(self) -> tuple[subprocess.Popen[bytes], int]:
        """Start bubblewrap; paths go through a descriptor, since command lines can be read from inside."""
        reading, writing = os.pipe()
        binds = self._binds()
        opened: list[int] = []
        words = _descriptor("\0".join(self._arguments(binds, writing, opened)).encode() + b"\0", "words")
        argv = [program(), "--args", str(words), *_HOLD]
        if self._uid:
            order = {
                "staging": str(STAGING),
                "binds": [(source, found) for source, found, _ in binds],
                "uid": self._uid.number,
                "argv": argv,
            }
            argv = [sys.executable, "-I", "-S", str(_LAUNCH)]
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin"},  # a box can read the environment of its first process
            pass_fds=(writing, words, *opened),
            start_new_session=True,
            cwd="/",
        )
        for descriptor in (writing, words, *opened):
            os.close(descriptor)
        assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        if self._uid:
            process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.close()
        return process, reading

    def _wait_until_ready(self) -> int:
        """The first process of the box, once the empty box stands."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        assert self._process.stderr is not None  # noqa: S101 - likewise
        timer_ends = time.monotonic() + _START_SECONDS
        os.set_blocking(self._process.stdout.fileno(), True)
        if self._process.stdout.readline() != b"ready\n" or time.monotonic() > timer_ends:
            self._process.kill()
            said = self._process.stderr.read(4000).decode(errors="replace").strip()
            self._process.wait()
            raise SandboxError(f"no box can be made here: {said or 'bubblewrap ended at once'}.", fix=_remedy(said))
        # The pipe stays open: bubblewrap writes its exit there and would die without a reader.
        line = os.read(self._status, 4096).split(b"\n")[0]
        return int(json.loads(line)["child-pid"])

    # --- while it lives ---------------------------------------------------------------------------------------

    def order(self) -> dict[str, object]:
        """See Box.order."""
        return {
            "boxed": True,
            "pid": self._init,
            "uid": mounts.UID,
            "gid": mounts.UID,
            "seccomp": base64.b64encode(self._seccomp).decode(),
        }

    @property
    def host_sockets(self) -> str:
        """See Box.host_sockets: nothing of the box is mounted outside, so the way leads through its first process."""
        return f"/proc/{self._init}/root{mounts.SOCKETS}"

    def folder(self) -> int:
        """See Box.folder."""
        try:
            return os.open(f"/proc/{self._init}/root{mounts.WORK}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SandboxError(f"the box is gone: {error.strerror}.") from error

    def processes(self) -> list[int]:
        """Every process in the box, by its number outside."""
        return members(self._namespace)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """See Box.paused. Rounds, since a process may fork while others are being stopped."""
        stopped: set[int] = set()
        for _ in range(_PAUSE_ROUNDS):
            fresh = set(self.processes()) - stopped - {self._init}
            if not fresh:
                break
            for pid in fresh:
                _signal(pid, signal.SIGSTOP)
            stopped |= fresh
        try:
            yield
        finally:
            for pid in stopped:
                _signal(pid, signal.SIGCONT)

    # --- ending -----------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        """End the first process; the kernel ends all others with it. Killing bubblewrap would leave them."""
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except (ProcessLookupError, OSError):
            return

    def close(self) -> None:
        """See Box.close."""
        if self._pidfd < 0:
            return
        self.watch.stop()
        self.watch.look_once()
        self._kill()
        self._process.wait()  # it returns when the namespace is empty
        os.close(self._pidfd)
        self._pidfd = -1
        self._free()

    def _free(self) -> None:
        if hasattr(self, "_process"):
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
            os.close(self._status)
        if self._uid:
            self._uid.release()


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _remedy(said: str) -> str:
    """What to do about what bubblewrap said."""
    if "uid map" in said or "RTM_NEWADDR" in said or "user namespace" in said.lower():
        return APPARMOR
    if "Permission denied" in said or "could not be prepared" in said:
        return "let others read the interpreter and its packages (chmod -R o+rX), or make the environment elsewhere"
    return f"{INSTALL}; `coursekit doctor` says more"
