"""A kernel in a box, driven from outside: run a cell, call a function, read a file, end it.

Nothing that comes back is believed: bytes are counted before they are parsed, messages are read by `messages`, and a limit
that is passed ends the box at once, since a program that ran away cannot be asked to stop. The sockets are connected
before any student code has run and never again, so a socket replaced later leads nowhere.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager

from coursekit import wire
from coursekit.errors import SandboxError
from coursekit.plainfile import read_file
from coursekit.records import Limits
from coursekit.sandbox import answer, messages
from coursekit.sandbox.box import Box

_START_SECONDS = 60.0
_TURN_MS = 100
_IDLE_GRACE_SECONDS = 2.0
_MAX_MALFORMED = 20
_HIGH_WATER = 1000
_CALLED = (1, 2)  # the shell and iopub sockets, by their port numbers


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one cell gave."""

    outputs: list[dict[str, Any]]
    error: messages.Error | None = None
    stopped: str = ""
    """The limit that ended the box, or how the kernel ended; empty when the cell came to its end."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a called function gave: exactly one of these says something."""

    value: str = ""
    missing: bool = False
    raised: str = ""
    message: str = ""
    unsendable: str = ""
    stopped: str = ""
    token: str = ""


class _Specs(KernelSpecManager):  # type: ignore[misc]
    """One kernel: this interpreter, in a box."""

    sandbox = "bwrap"
    box_limits: Limits = Limits()
    files: Mapping[str, bytes] = {}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The only kernel there is, whatever the notebook asks for."""
        limits = msgspec.to_builtins(self.box_limits)
        config = {"sandbox": self.sandbox, "limits": limits, "files": dict(self.files)}
        return KernelSpec(
            argv=["python"],
            display_name=kernel_name,
            language="python",
            interrupt_mode="message",
            metadata={"kernel_provisioner": {"provisioner_name": "coursekit-box", "config": config}},
        )


class Kernel:
    """A running kernel. Close it; leaving it open leaves a box."""

    def __init__(self, sandbox: str, limits: Limits, files: Mapping[str, bytes]) -> None:
        self._limits = limits
        self._context = zmq.Context()
        self._context.setsockopt(zmq.MAXMSGSIZE, limits.message_bytes)
        self._context.setsockopt(zmq.RCVHWM, _HIGH_WATER)
        self._context.setsockopt(zmq.RECONNECT_IVL, -1)
        self._context.setsockopt(zmq.LINGER, 0)
        specs = _Specs()
        specs.sandbox, specs.box_limits, specs.files = sandbox, limits, files
        self._manager = KernelManager(
            kernel_name="python3", transport="ipc", kernel_spec_manager=specs, context=self._context
        )
        self._output_bytes = 0
        self._malformed = 0
        self.stopped = ""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    # --- starting and ending ------------------------------------------------------------------------------------

    def _start(self) -> None:
        with warnings.catch_warnings():
            # jupyter_client starts an event loop of its own for each call; it warns about that, not about us.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._manager.start_kernel()
        began = time.monotonic()
        for port in _CALLED:
            self._wait_for_socket(f"{self.box.host_sockets}/k-{port}", began + _START_SECONDS)
        self._client = self._manager.client(context=self._context)
        self._client.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=False)
        self._shell = self._client.shell_channel.socket
        self._iopub = self._client.iopub_channel.socket
        self._poller = zmq.Poller()
        self._poller.register(self._shell, zmq.POLLIN)
        self._poller.register(self._iopub, zmq.POLLIN)
        # libzmq answers a message over the limit by cutting the connection, and says so nowhere else.
        self._cuts = [each.get_monitor_socket(zmq.EVENT_DISCONNECTED) for each in (self._shell, self._iopub)]
        self._wait_for_iopub(began + _START_SECONDS)

    def _wait_for_socket(self, path: str, deadline: float) -> None:
        """Until the kernel accepts connections at this path."""
        while True:
            with socket.socket(socket.AF_UNIX) as trial:
                try:
                    trial.connect(path)
                except OSError:
                    self._must_live(deadline)
                    time.sleep(0.01)
                else:
                    return

    def _wait_for_iopub(self, deadline: float) -> None:
        """Until what the kernel publishes reaches us: a subscription takes effect some time after it was made."""
        heard = False
        while not heard:
            self._must_live(deadline)
            self._client.kernel_info()
            heard = any(ready == self._iopub for ready, _ in self._poller.poll(_TURN_MS))

    def _must_live(self, deadline: float) -> None:
        """Before any student code has run, an end is our fault or the machine's."""
        if self._program.poll() is not None:
            raise SandboxError(f"the kernel ended while it started ({self.box.watch.reason or self._program.poll()}).")
        if time.monotonic() > deadline:
            raise SandboxError(f"the kernel did not start within {_START_SECONDS:.0f} seconds.")

    @property
    def box(self) -> Box:
        """The box that the kernel runs in."""
        box: Box = self._manager.provisioner.box
        return box

    @property
    def _program(self) -> Any:
        return self._manager.provisioner.program

    @property
    def cpu_seconds(self) -> float:
        """Processor time of everything in the box."""
        return max(self.box.watch.cpu_seconds, self._program.cpu_seconds)

    def close(self) -> None:
        """End the box, the sockets and everything that belongs to them."""
        provisioner = self._manager.provisioner
        if provisioner is not None:
            if provisioner.box is not None:
                provisioner.box.close()
            if provisioner.program is not None:
                provisioner.program.close()
        for monitored in (getattr(self, "_shell", None), getattr(self, "_iopub", None)):
            if monitored is not None:
                monitored.disable_monitor()
        if hasattr(self, "_client"):
            self._client.stop_channels()
        self._manager.cleanup_connection_file()
        self._manager._close_control_socket()  # noqa: SLF001 - jupyter_client opens it and gives no other way to close it
        self._context.destroy(linger=0)

    def _stop(self, reason: str) -> str:
        self.stopped = reason
        self.box.close()
        return reason

    # --- using ------------------------------------------------------------------------------------------------------

    def run_cell(self, source: str, seconds: float) -> CellResult:
        """Run one code cell for at most so many seconds."""
        outputs: list[dict[str, Any]] = []
        errors: list[messages.Error] = []

        def take(message: messages.Message) -> None:
            output = messages.output(message)
            if output is not None:
                messages.append(outputs, output)
            if message.kind == "error":
                errors.append(messages.content(message, messages.Error))

        stopped = self._execute(source, seconds, self._limits.output_bytes, take)
        return CellResult(outputs=messages.joined(outputs), error=errors[0] if errors else None, stopped=stopped)

    def call(self, name: str, arguments: Sequence[Any], seconds: float) -> Answer:
        """Call a function that the notebook defined. Raises wire.Unsendable for arguments that cannot cross."""
        token = secrets.token_hex(16)
        answers: list[Answer] = []

        def take(message: messages.Message) -> None:
            if message.kind == "display_data" and not answers:
                shown = messages.content(message, messages.Display).data.get(answer.MIME)
                found = messages.read_json(shown, Answer) if isinstance(shown, str) else None
                if found is not None and found.token == token:
                    answers.append(found)

        encoded = wire.encode(list(arguments)).decode()
        source = (
            f"__import__({answer.__name__!r}, fromlist=['answer']).answer(globals(), {name!r}, *{[encoded, token]!r})"
        )
        room = self._output_bytes + 4 * self._limits.message_bytes
        stopped = self._execute(source, seconds, room, take)
        if stopped:
            return Answer(stopped=stopped)
        return answers[0] if answers else Answer(raised="NoAnswer", message="the kernel gave no answer")

    def read(self, path: str, max_bytes: int) -> bytes:
        """A file that the code made, read while nothing in the box moves. Raises MissingWork or UnreadableWork."""
        with self.box.paused():
            folder = self.box.folder()
            try:
                return read_file(folder, path, max_bytes)
            finally:
                os.close(folder)

    def _execute(self, source: str, seconds: float, most_bytes: int, take: Any) -> str:
        """Send code and take what it publishes until it is done; the reason if the box had to be ended."""
        if self.stopped:
            return self.stopped
        request = self._client.execute(source, silent=False, store_history=False, allow_stdin=False)
        deadline = time.monotonic() + seconds
        replied = idle = False
        grace = deadline
        while not (replied and idle):
            now = time.monotonic()
            if now > deadline:
                return self._stop(f"it ran for more than {seconds:g} seconds")
            if replied and now > grace:
                return ""
            ended = self._ended()
            if ended:
                return self._stop(ended)
            for ready, _ in self._poller.poll(_TURN_MS):
                frames = ready.recv_multipart()
                self._output_bytes += sum(map(len, frames))
                if self._output_bytes > most_bytes:
                    return self._stop(f"it printed more than {self._limits.output_bytes:,} bytes")
                try:
                    message = messages.parse(frames)
                    if message.parent != request:
                        continue
                    if ready is self._shell and message.kind == "execute_reply":
                        replied, grace = True, time.monotonic() + _IDLE_GRACE_SECONDS
                    elif message.kind == "status":
                        idle = messages.content(message, messages.State).execution_state == "idle"
                    else:
                        take(message)
                except messages.Malformed:
                    self._malformed += 1
                    if self._malformed > _MAX_MALFORMED:
                        return self._stop("it sent messages that are not Jupyter's")
        return ""

    def _ended(self) -> str:
        """How the kernel ended, or nothing while it lives."""
        if self.box.watch.reason:
            if self.box.watch.our_fault:
                raise SandboxError(f"a box had to be ended: {self.box.watch.reason}.", fix="grade fewer at once")
            return f"it went over {self.box.watch.reason}"
        cut = any(each.poll(0) for each in self._cuts)
        if self._program.poll() is not None:
            return "the kernel ended by itself, as after os._exit() or a crash"
        if cut:
            return f"it printed more than {self._limits.message_bytes:,} bytes at once, or closed its sockets"
        return ""
