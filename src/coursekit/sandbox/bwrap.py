"""A box made by bubblewrap: namespaces, an allow-list of files, sized memory file systems, no network, no rights.

What it holds: files outside the allow-list, other processes, the network in every family, the grader's environment,
mounts, devices, kernel calls with a history; memory, processes, disk and time by limits; everything in it ends with
it. What it does not hold: holes in the kernel itself, what can be learned from timing and load, memory that is neither
in a process nor a file nor a socket (pipes), and a supplementary group of an ordinary grader, which cannot be given up
without being root. A grader who is not root shares a user with the boxes: namespaces alone keep them apart.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from coursekit.errors import SandboxError
from coursekit.records import Limits
from coursekit.sandbox import launch, mounts, proc, seccomp
from coursekit.sandbox.box import Entry
from coursekit.sandbox.uids import STAGING, Uid, make_folders
from coursekit.sandbox.watch import Watch

_LAUNCH = Path(launch.__file__)
# It reads what nobody writes until the grader closes the pipe or ends, however that happens.
_HOLD = ("/bin/sh", "-c", "echo ready; exec cat")
_GUARD = 'trap "" HUP INT TERM; read -r box && cat && kill -s KILL -- "-$box"'
_FIRST = 1  # the number of the box's first process in the box
_PLACES = "/usr/bin:/bin:/usr/local/bin"
_START_SECONDS = 20.0
_END_SECONDS = 20.0
_MOST_SAID = 4000
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
INSTALL = "install bubblewrap: apt install bubblewrap, dnf install bubblewrap or pacman -S bubblewrap"
APPARMOR = (
    "this system lets only known programs make user namespaces: install an AppArmor profile for bwrap "
    "(Ubuntu: apt install apparmor-profiles, then aa-enforce bwrap-userns-restrict), or, for the whole machine, "
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0; in a container, give it the right to make namespaces"
)
ORDINARY = "this root may not mount or change users, as in many containers: grade as an ordinary user"
REACHABLE = "let others read the interpreter and its packages (chmod -R o+rX), or make the environment elsewhere"


def program(places: str = _PLACES) -> str:
    """Where bubblewrap is. Raises SandboxError with the package to install."""
    found = shutil.which("bwrap", path=places)
    if found is None:
        raise SandboxError("bubblewrap is not installed, so nothing can be run safely here.", fix=INSTALL)
    return found


def _descriptor(data: bytes, name: str, ends: ExitStack) -> int:
    """An open file in memory with this content."""
    file = os.memfd_create(name, 0)
    ends.callback(os.close, file)
    with open(file, "wb", closefd=False) as opened:
        opened.write(data)
    os.lseek(file, 0, os.SEEK_SET)
    return file


class BwrapBox:
    """One box. The thread that makes it must outlive it: bubblewrap dies with the thread that started it."""

    name = "bwrap"
    staged = False
    """Whether what boxes read is where anyone may reach it already; see `stage`."""
    work = mounts.WORK
    home = mounts.HOME
    sockets = mounts.SOCKETS

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._entered = self._closed = False
        self._seccomp = seccomp.program()
        try:
            self._open_box()
        except OSError as error:
            raise SandboxError(f"no box can be made here: {error}.", fix=_remedy(str(error))) from error

    def _open_box(self) -> None:
        """Make it, or leave nothing of it."""
        with ExitStack() as ends:
            self._uid = Uid() if os.geteuid() == 0 else None
            if self._uid:
                ends.callback(self._uid.release)
            with _guard() as protect:
                self._process, status = self._launch(ends)
                ends.callback(_end, self._process)
                protect(self._process)
                first = self._wait_until_ready(status)
            self._pidfd = os.pidfd_open(first)
            ends.callback(os.close, self._pidfd)
            self._root = self._open_root(first, ends)
            self._proc, self._work, *others = [
                self._open(path, ends) for path in ("/proc", mounts.WORK, *mounts.WRITABLE)
            ]
            self.watch = Watch(
                self.limits,
                self._proc,
                self.processes,
                self._kill,
                file_systems=others,
                sockets=f"{_FIRST}/net/sockstat",
            )
            self._ends = ends.pop_all()

    # --- starting ---------------------------------------------------------------------------------------------

    def _binds(self) -> list[tuple[str, str, str]]:
        """Each readable path: where it lies, where bubblewrap finds it, where it appears."""
        if self._uid:
            return [(path, found, path) for path, found in _staging()]
        return [(path, path, path) for path in map(str, mounts.readable())]

    def _arguments(self, binds: list[tuple[str, str, str]], status: int, opened: list[int]) -> list[str]:
        rules, passwd, group = opened
        return [
            *("--json-status-fd", str(status), "--seccomp", str(rules)),
            *("--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--clearenv"),
            *("--hostname", "box", "--uid", str(mounts.UID), "--gid", str(mounts.UID), "--cap-drop", "ALL"),
            *mounts.arguments([(found, inside) for _, found, inside in binds], self.limits, passwd, group),
            *("--chdir", mounts.WORK),
        ]

    def _launch(self, ends: ExitStack) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
        """Start bubblewrap; paths go through a descriptor, since command lines can be read from inside."""
        bubblewrap = program()
        binds = self._binds()
        reading, writing = os.pipe()
        # The pipe stays open: bubblewrap writes its exit there and would die without a reader.
        status = ends.enter_context(os.fdopen(reading, "rb", buffering=0))
        with ExitStack() as passed:
            passed.callback(os.close, writing)
            opened = [
                _descriptor(self._seccomp, "seccomp", passed),
                _descriptor(mounts.PASSWD.encode(), "passwd", passed),
                _descriptor(mounts.GROUP.encode(), "group", passed),
            ]
            given = "\0".join(self._arguments(binds, writing, opened)) + "\0"
            words = _descriptor(given.encode(), "words", passed)
            argv = [bubblewrap, "--args", str(words), *_HOLD]
            order = b""
            user = self._uid.number if self._uid and self.staged else None
            if self._uid and not self.staged:
                facts = {"staging": str(STAGING), "binds": _staging(), "uid": self._uid.number, "argv": argv}
                order = json.dumps(facts).encode() + b"\n"
                argv = [sys.executable, "-I", "-S", str(_LAUNCH)]
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={"PATH": "/usr/bin:/bin"},  # a box can read the environment of its first process
                pass_fds=(writing, words, *opened),
                start_new_session=True,
                cwd="/",
                user=user,
                group=user,
                extra_groups=None if user is None else (),
            )
        assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        with suppress(BrokenPipeError):  # it has ended already, and its last words say why
            process.stdin.write(order)
        return process, status

    def _wait_until_ready(self, status: IO[bytes]) -> int:
        """The first process of the box, once the empty box stands."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        assert self._process.stderr is not None  # noqa: S101 - likewise
        ends = time.monotonic() + _START_SECONDS
        with os.fdopen(os.pidfd_open(self._process.pid), "rb", buffering=0) as alive:
            if _line(self._process.stdout, alive, ends) == b"ready":
                return int(json.loads(_line(status, alive, ends))["child-pid"])
        _kill_all(self._process)
        os.set_blocking(self._process.stderr.fileno(), False)
        said = (self._process.stderr.read(_MOST_SAID) or b"").decode(errors="replace").strip()
        late = f"it was not ready after {_START_SECONDS:.0f} seconds"
        said = said or (late if time.monotonic() > ends else "bubblewrap ended at once")
        raise SandboxError(f"no box can be made here: {said}.", fix=_remedy(said))

    def _open_root(self, first: int, ends: ExitStack) -> int:
        """The box's own root, held open, so that a number used again can never lead elsewhere."""
        try:
            root = os.open(f"/proc/{first}/root", _PLACE)
        except OSError as error:
            raise SandboxError(f"the box cannot be reached: {error.strerror}.") from error
        ends.callback(os.close, root)
        if select.select([self._pidfd], [], [], 0)[0]:
            raise SandboxError("the box ended while it started.")
        return root

    def _open(self, path: str, ends: ExitStack) -> int:
        """A folder of the box, held open."""
        found = os.open(path.lstrip("/"), _PLACE, dir_fd=self._root)
        ends.callback(os.close, found)
        return found

    # --- while it lives ---------------------------------------------------------------------------------------

    def entry(self) -> Entry:
        """See Box.entry. What is in the box already could interfere with what enters."""
        if self._entered or self._closed:
            raise SandboxError("a box can be entered once, while it is open.")
        self._entered = True
        return Entry(
            boxed=True,
            pidfd=self._pidfd,
            uid=mounts.UID,
            gid=mounts.UID,
            seccomp=base64.b64encode(self._seccomp).decode(),
            limits={"RLIMIT_NPROC": self.limits.processes},  # counted for each user namespace
        )

    def entered(self, helper: int) -> None:
        """See Box.entered. The namespace knows what is in the box."""

    @property
    def fault(self) -> str:
        """See Box.fault. Nothing in the box can send a signal to bubblewrap itself, which is outside."""
        code = self._process.poll()
        return f"bubblewrap was ended by signal {-code}" if code is not None and code < 0 else ""

    @property
    def host_sockets(self) -> str:
        """See Box.host_sockets: nothing of the box is mounted outside, so the way leads through its open root."""
        return f"/proc/{os.getpid()}/fd/{self._root}{mounts.SOCKETS}"

    def folder(self) -> int:
        """See Box.folder. It outlives the box until the caller closes it."""
        return os.dup(self._work)

    def processes(self) -> list[int]:
        """Every process in the box, by its number inside."""
        return proc.numbers(self._proc)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """See Box.paused."""
        others = [_FIRST]
        if not proc.still(self._proc, lambda: [pid for pid in self.processes() if pid not in others]):
            self.watch.give_up("the rate at which it may start processes")
            select.select([self._pidfd], [], [], _END_SECONDS)  # readable when the last of them has ended
        try:
            yield
        finally:
            for pid in self.processes():
                proc.send(self._proc, pid, signal.SIGCONT)

    # --- ending -----------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        """End the first process; the kernel ends all others with it. Killing bubblewrap would leave them."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """See Box.close."""
        if self._closed:
            return
        self._closed = True
        with self._ends:
            try:
                self.watch.stop()
            finally:
                self._kill()
                self._process.wait()  # it returns when the namespace is empty


def stage() -> None:
    """Put what boxes read where anyone may reach it, for all boxes of this process and its forks: once, not for each.

    It is in a mount namespace of its own from here on. Where this root may not do that, each box says so as it starts.
    """
    with suppress(OSError):
        make_folders()
        launch.stage(str(STAGING), _staging())
        BwrapBox.staged = True


def _staging() -> list[tuple[str, str]]:
    """Each readable path, and the place where anyone may reach it."""
    return [(str(path), f"{STAGING}/{index}") for index, path in enumerate(mounts.readable())]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End bubblewrap itself, if that has not happened, and close its pipes."""
    _kill_all(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """End bubblewrap and its child: one that lost its parent before it was told to go on would wait for ever.

    So its group is killed although bubblewrap may have ended; the number is theirs until somebody waits for it. Whoever
    did had a box that stood, whose first process ends with bubblewrap.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it was started as a session of its own
    process.wait()


@contextmanager
def _guard() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Whoever ends the grader while a box starts, and however: a process by itself ends what has been started.

    Once the box stands, its first process ends with the grader.
    """
    with subprocess.Popen(
        ["/bin/sh", "-c", _GUARD],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
        cwd="/",
    ) as guard:

        def protect(process: subprocess.Popen[bytes]) -> None:
            assert guard.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
            guard.stdin.write(f"{process.pid}\n".encode())

        try:
            yield protect
        finally:
            guard.kill()


def _line(source: IO[bytes], alive: IO[bytes], ends: float) -> bytes:
    """The next line of a pipe, or what came of it until the pipe, a process or the time ended."""
    line = b""
    while source in select.select([source, alive], [], [], max(0.0, ends - time.monotonic()))[0]:
        part = os.read(source.fileno(), 1)
        if part in (b"", b"\n"):
            break
        line += part
    return line


def _remedy(said: str) -> str:
    """What to do about what bubblewrap or `launch.py` said."""
    if "could not be prepared" in said:
        return ORDINARY if "not permitted" in said or "Invalid argument" in said else REACHABLE
    if "uid map" in said or "RTM_NEWADDR" in said or "namespace" in said.lower():
        return APPARMOR
    if "Permission denied" in said:
        return REACHABLE
    return f"{INSTALL}; `coursekit doctor` says more"
