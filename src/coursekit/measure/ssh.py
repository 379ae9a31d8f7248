"""How a program is run on another machine: with the user's own `ssh`, its configuration, keys and known hosts.

OpenSSH's client does the work, so that whatever lets a person log in lets us in too. It asks no questions, trusts no
host that the user has not trusted, forwards nothing and shares no connection. It gets the user's environment as this
process has it; a grading process has none, so a key in an agent needs `IdentityAgent` in `~/.ssh/config`.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from coursekit.errors import DeviceError, ToolError
from coursekit.measure.asking import clean
from coursekit.profiles.facts import Address
from coursekit.records import Record

_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "RequestTTY": "no",
    "RemoteCommand": "none",
    "PermitLocalCommand": "no",
    "ControlPath": "none",
    "LogLevel": "INFO",
}
_MOST_LOG = 64_000
_SSH_FAILED = 255
NOISE = "log in by hand and see that the account's shell prints nothing by itself, then try again."


class Interrupted(DeviceError):
    """A fault that may have passed when it is tried again."""


class Heard(Record, frozen=True, kw_only=True):
    """What a program on the other machine printed, and how it ended."""

    returncode: int
    stdout: bytes
    stderr: bytes
    late: str = ""
    """Which time ran out, as words; empty if none did."""
    too_much: bool = False
    """True if it printed more than it may and was cut off."""


def run(
    ssh: Sequence[str], to: Address, command: str, sent: bytes, *, begin: float, end: float, most: int
) -> tuple[bytes, bytes, int]:
    """Run a command on another machine, send it these bytes, and give its output, its errors and its exit status.

    It must print something within `begin` seconds, be done `end` seconds after that, and print at most so many bytes.
    Raises `Interrupted` for a fault that may pass, `DeviceError` for one that will not, `ToolError` without ssh.
    """
    with tempfile.TemporaryDirectory(prefix="coursekit-") as folder:
        log = Path(folder) / "log"
        words = [*ssh, "-E", str(log), *(f"-o{name}={value}" for name, value in _OPTIONS.items())]
        words += ["-l", to.user] if to.user else []
        words += ["-p", str(to.port)] if to.port else []
        heard = converse([*words, "--", to.host, command], sent, begin=begin, end=end, most=most)
        said = log.read_text(errors="replace")[-_MOST_LOG:] if log.is_file() else ""
    if heard.late:
        error = Interrupted if heard.stdout else DeviceError  # who waited for its turn has waited long enough
        raise error(f"the board {to} {heard.late}.", fix="see what else it does; restart it if it hangs.")
    if heard.too_much:
        raise DeviceError(f"the board {to} printed more than {most:,} bytes.", fix=NOISE)
    if heard.returncode == _SSH_FAILED:
        raise fault(said or heard.stderr.decode("utf-8", "replace"), to)
    return heard.stdout, heard.stderr, heard.returncode


def converse(words: Sequence[str], sent: bytes, *, begin: float, end: float, most: int) -> Heard:
    """Run a program here, send it these bytes, keep its input open until it is done, and give what it printed.

    It is killed if it prints nothing for `begin` seconds, is not done `end` seconds after that, or prints too much.
    """
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
    except (FileNotFoundError, PermissionError) as error:
        what = f"the program {words[0]} cannot be started: {error.strerror}."
        raise ToolError(what, fix="install OpenSSH's client: apt-get install openssh-client") from error
    printed = {process.stdout: bytearray(), process.stderr: bytearray()}
    with process:
        try:
            late = _exchange(process, sent, printed, begin, end, most)
        finally:
            process.kill()  # it has ended by itself, or must
    return Heard(
        returncode=process.returncode,
        stdout=bytes(printed[process.stdout][:most]),
        stderr=bytes(printed[process.stderr]),
        late=late,
        too_much=len(printed[process.stdout]) > most,
    )


def _exchange(
    process: subprocess.Popen[bytes],
    sent: bytes,
    printed: Mapping[IO[bytes] | None, bytearray],
    begin: float,
    end: float,
    most: int,
) -> str:
    """Send and collect until the program ends; give which time ran out, empty if none did."""
    until, late = time.monotonic() + begin, f"did not begin within {begin:g} seconds"
    left = memoryview(sent)
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdin, *printed):
            assert stream is not None  # noqa: S101 - for the type checker: all three are pipes
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_WRITE if stream is process.stdin else selectors.EVENT_READ)
        while any(stream in selector.get_map() for stream in printed):
            if (now := time.monotonic()) >= until:
                return late
            for key, _ in selector.select(until - now):
                if key.fileobj is process.stdin:
                    left = _write(key.fd, left)
                    if not left:
                        selector.unregister(process.stdin)
                    continue
                kept = printed[key.fileobj]  # type: ignore[index]  # one of the two
                piece = os.read(key.fd, 65_536)
                if not piece:
                    selector.unregister(key.fileobj)
                if not kept and piece and key.fileobj is process.stdout:
                    until, late = time.monotonic() + end, f"was not done within {end:g} seconds"
                if len(kept) <= most:
                    kept += piece
                elif key.fileobj is process.stdout:
                    return ""
    try:
        process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return late
    return ""


def _write(descriptor: int, left: memoryview) -> memoryview:
    """Write what the pipe takes, and give the rest; none if nobody reads any more."""
    try:
        return left[os.write(descriptor, left[:65_536]) :]
    except BrokenPipeError:
        return left[:0]


def fault(log: str, to: Address) -> DeviceError:
    """Give the error that ssh's own words mean; one that it has no words for may pass."""
    lines = [line for line in log.splitlines() if line.strip()] or ["it does not say why"]
    last = clean(lines[-1]).rstrip(".")
    by_hand = f"ssh {f'-p {to.port} ' if to.port else ''}{to}"
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in log:
        what = f"the board {to} has another host key than the one that is known: it may be another machine."
        return DeviceError(
            what, fix=f"if you set it up anew, forget the old key with ssh-keygen -R, then run {by_hand}"
        )
    if "Host key verification failed" in log:
        fix = f"run {by_hand} by hand once, compare the fingerprint with the board's, and accept it."
        return DeviceError(f"the host key of the board {to} is not known here.", fix=fix)
    if "Permission denied" in log or "authentication failures" in log:
        fix = f"let this account log in without a password: {by_hand.replace('ssh', 'ssh-copy-id', 1)}"
        return DeviceError(f"the board {to} does not let us in: {last}.", fix=fix)
    if "Could not resolve hostname" in log and "Temporary failure" not in log:
        return DeviceError(f"there is no machine called {to.host}: {last}.", fix="mend device in the profile.")
    if "onfiguration option" in log or "Bad owner or permissions" in log:
        return DeviceError(f"ssh cannot use its configuration: {last}.", fix="mend ~/.ssh/config.")
    never_was = "connect to host" in log or "resolve hostname" in log
    what = f"the board {to} cannot be reached" if never_was else f"the connection to the board {to} was lost"
    return Interrupted(f"{what}: {last}.", fix=f"see that it is on and connected: {by_hand}")
