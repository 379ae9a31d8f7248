"""A kernel in a box, driven from outside: run a cell, call a function, read a file, end it.

Nothing that comes back is believed: messages are measured by `relay` while they come and read by `messages`, and a
limit that is passed ends the box at once. Only what takes too long is asked first to stop, so that an honest endless
loop does not cost the cells after it; what does not obey within seconds is ended like the rest.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from coursekit.sandbox.program import Program
from coursekit.sandbox.relay import SPARE_BYTES, Relay

_START_SECONDS = 60.0
_TURN_MS = 100
_SEND_MS = 10_000
_IDLE_GRACE_SECONDS = 2.0
_EXIT_GRACE_SECONDS = 2.0
_MAX_MALFORMED = 20
_HIGH_WATER = 1000
_OBEY_SECONDS = 3.0
_SAID = "said"
_SHELL, _IOPUB, _CONTROL = 1, 2, 4  # by their port numbers


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one cell gave."""

    outputs: list[dict[str, Any]]
    error: messages.Error | None = None
    errors: tuple[messages.Error, ...] = ()
    """All that were published, of which `error` is the first, if the cell was not late."""
    reply: messages.Executed = messages.Executed(status="")
    """How the kernel says it went."""
    said: str = ""
    """The value of the expression that was asked for, as text."""
    late: bool = False
    """Whether it took too long, and stopped when it was asked to."""
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
    zygote = ""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The only kernel there is, whatever the notebook asks for."""
        limits = msgspec.to_builtins(self.box_limits)
        config = {"sandbox": self.sandbox, "limits": limits, "files": dict(self.files)}
        config["zygote"] = self.zygote
        return KernelSpec(
            argv=["python"],
            display_name=kernel_name,
            language="python",
            interrupt_mode="message",
            metadata={"kernel_provisioner": {"provisioner_name": "coursekit-box", "config": config}},
        )


class _Turn:
    """One request and what is still awaited for it: a reply, and the word that the kernel is idle again."""

    def __init__(self, take: Callable[[messages.Message], None]) -> None:
        self.request = ""
        self.reply = messages.Executed(status="")
        self.late = False
        """Whether its time was over and the kernel was asked to stop."""
        self._take = take
        self._idle = False
        self._replied_at: float | None = None

    @property
    def done(self) -> bool:
        """Whether both have come, or the second is overdue: a kernel whose outputs come late loses them."""
        if self._replied_at is None:
            return False
        return self._idle or time.monotonic() > self._replied_at + _IDLE_GRACE_SECONDS

    def take(self, message: messages.Message, *, shell: bool) -> None:
        """Take one message. Raises Malformed if it is not what its type says."""
        if message.parent != self.request:
            return
        if shell:
            if message.kind == "execute_reply":
                self._replied_at = time.monotonic()
                self.reply = messages.content(message, messages.Executed)
        elif message.kind == "status":
            self._idle = messages.content(message, messages.State).execution_state == "idle"
        else:
            self._take(message)


class Kernel:
    """A running kernel. Close it; leaving it open leaves a box."""

    def __init__(self, sandbox: str, limits: Limits, files: Mapping[str, bytes], zygote: str = "") -> None:
        self.stopped = ""
        self._limits = limits
        self._output_bytes = 0
        self._malformed = 0
        with contextlib.ExitStack() as ends:
            context = zmq.Context()
            ends.callback(context.destroy, linger=0)
            context.setsockopt(zmq.MAXMSGSIZE, limits.message_bytes + SPARE_BYTES)
            context.setsockopt(zmq.RCVHWM, _HIGH_WATER)
            context.setsockopt(zmq.RECONNECT_IVL, -1)
            context.setsockopt(zmq.SNDTIMEO, _SEND_MS)
            context.setsockopt(zmq.LINGER, 0)
            specs = _Specs()
            specs.sandbox, specs.box_limits, specs.files, specs.zygote = sandbox, limits, files, zygote
            self._manager = KernelManager(
                kernel_name="python3", transport="ipc", kernel_spec_manager=specs, context=context
            )
            # jupyter_client opens a control socket by itself and gives no other way to close it.
            ends.callback(self._manager._close_control_socket)  # noqa: SLF001
            ends.callback(self._end_box)
            self._start(ends, context)
            self._ends = ends.pop_all()

    # --- starting and ending ------------------------------------------------------------------------------------

    def _start(self, ends: contextlib.ExitStack, context: zmq.Context[Any]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with warnings.catch_warnings():
            # jupyter_client starts an event loop of its own for each call; it warns about that, not about us.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._manager.start_kernel()
        kernel: dict[int, socket.socket] = {}
        for port in (_SHELL, _IOPUB, _CONTROL):
            kernel[port] = ends.enter_context(socket.socket(socket.AF_UNIX))
            self._connect(kernel[port], f"{self.box.host_sockets}/k-{port}", deadline)
        self._relay = Relay(kernel, self._limits.message_bytes)
        ends.callback(self._relay.close)
        self._client = self._manager.client(context=context, ip=self._relay.name)
        self._client.start_channels(stdin=False, hb=False)
        ends.callback(self._client.stop_channels)
        self._ports = {self._client.shell_channel.socket: _SHELL, self._client.iopub_channel.socket: _IOPUB}
        self._poller = zmq.Poller()
        for each in self._ports:
            self._poller.register(each, zmq.POLLIN)
        self._wait_for_iopub(deadline)

    def _connect(self, to: socket.socket, path: str, deadline: float) -> None:
        """Until the kernel accepts connections at this path; the connection stays."""
        while True:
            try:
                to.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                self._must_live(deadline)
                time.sleep(0.01)
            else:
                return

    def _wait_for_iopub(self, deadline: float) -> None:
        """Until what the kernel publishes reaches us: a subscription takes effect some time after it was made."""
        asked = heard = False
        while not heard:
            self._must_live(deadline)
            ready = [each for each, _ in self._poller.poll(_TURN_MS)]
            if not asked or not ready:
                self._client.kernel_info()
                asked = True
            for each in ready:
                self._receive(each)
                heard = heard or self._ports[each] == _IOPUB

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
    def _program(self) -> Program:
        program: Program = self._manager.provisioner.program
        return program

    @property
    def cpu_seconds(self) -> float:
        """Processor time of everything in the box."""
        return max(self.box.watch.cpu_seconds, self._program.cpu_seconds)

    def _end_box(self) -> None:
        provisioner = self._manager.provisioner
        if provisioner is not None and provisioner.box is not None:
            provisioner.box.close()
        if provisioner is not None and provisioner.program is not None:
            provisioner.program.close()

    def close(self) -> None:
        """End the box, the sockets and everything that belongs to them."""
        self._ends.close()

    def _stop(self, reason: str) -> str:
        self.stopped = reason
        self.box.close()
        return reason

    # --- using ------------------------------------------------------------------------------------------------------

    def run_cell(self, source: str, seconds: float, expression: str = "") -> CellResult:
        """Run one code cell for at most so many seconds, and then evaluate an expression, unless it raised."""
        outputs: list[dict[str, Any]] = []
        errors: list[messages.Error] = []

        def take(message: messages.Message) -> None:
            output = messages.output(message)
            if output is not None:
                messages.append(outputs, output)
            if message.kind == "error":
                errors.append(messages.content(message, messages.Error))

        turn = _Turn(take)
        stopped = self._execute(turn, source, seconds, self._limits.output_bytes, expression=expression)
        published = tuple(errors)
        if turn.late and not stopped:
            errors.insert(0, messages.Error("TimeLimit", f"it ran for more than {seconds:g} seconds"))
        error = errors[0] if errors else None
        return CellResult(
            outputs=messages.joined(outputs),
            error=error,
            errors=published,
            reply=turn.reply,
            said=turn.reply.said(_SAID),
            late=turn.late,
            stopped=stopped,
        )

    @contextlib.contextmanager
    def uncounted(self) -> Iterator[None]:
        """What is printed meanwhile counts by itself, against a limit as large as the notebook's."""
        before, self._output_bytes = self._output_bytes, 0
        try:
            yield
        finally:
            self._output_bytes = before

    def call(self, name: str, arguments: Sequence[Any], seconds: float) -> Answer:
        """Call a function that the notebook defined. Raises wire.Unsendable for arguments that cannot cross."""
        token = secrets.token_hex(16)
        answers: list[Answer] = []

        def take(message: messages.Message) -> None:
            if message.kind == "display_data" and not answers:
                shown = messages.content(message, messages.Display).data.get(answer.MIME)
                found = messages.read_json(shown, Answer) if isinstance(shown, str) else None
                if found is not None and found.token == token:
                    answers.append(msgspec.structs.replace(found, stopped=""))

        metadata = {answer.MIME: wire.encode(list(arguments)).decode()}
        source = f"__import__({answer.__name__!r}, fromlist=['answer']).answer(globals(), {name!r}, {token!r})"
        room = self._output_bytes + 4 * self._limits.message_bytes
        turn = _Turn(take)
        stopped = self._execute(turn, source, seconds, room, metadata)
        if stopped or turn.late:
            return Answer(stopped=stopped or f"it ran for more than {seconds:g} seconds")
        return answers[0] if answers else Answer(raised="NoAnswer", message="the kernel gave no answer")

    def read(self, path: str, max_bytes: int) -> bytes:
        """A file that the code made, read while nothing in the box moves. Raises MissingWork or UnreadableWork."""
        with self.box.paused():
            folder = self.box.folder()
            try:
                return read_file(folder, path, max_bytes)
            finally:
                os.close(folder)

    def _execute(
        self,
        turn: _Turn,
        source: str,
        seconds: float,
        most_bytes: int,
        metadata: Mapping[str, Any] | None = None,
        expression: str = "",
    ) -> str:
        """Send code and take what it publishes until it is done; the reason if the box had to be ended."""
        if self.stopped:
            return self.stopped
        ended = self._ended()
        if ended:
            return self._stop(ended)
        deadline = time.monotonic() + seconds
        content = {"code": source, "silent": False, "store_history": False, "allow_stdin": False}
        # Otherwise a kernel may refuse what comes right after a cell that raised.
        content |= {"stop_on_error": False, "user_expressions": {_SAID: expression} if expression else {}}
        message = self._client.session.msg("execute_request", content, metadata=metadata)
        try:
            self._client.shell_channel.send(message)
        except zmq.Again:
            return self._stop("it stopped listening")
        turn.request = message["header"]["msg_id"]
        while not turn.done:
            if time.monotonic() > deadline:
                if turn.late:
                    return self._stop(f"it ran for more than {seconds:g} seconds")
                turn.late, deadline = True, time.monotonic() + _OBEY_SECONDS
                self._client.control_channel.send(self._client.session.msg("interrupt_request", {}))
            ready = [each for each, _ in self._poller.poll(_TURN_MS)]
            # What was published before an end is read first.
            ended = "" if ready else self._ended()
            if ended:
                return self._stop(ended)
            for each in ready:
                frames = self._receive(each)
                self._output_bytes += sum(map(len, frames))
                if self._output_bytes > most_bytes:
                    return self._stop(f"it printed more than {self._limits.output_bytes:,} bytes")
                try:
                    turn.take(messages.parse(frames), shell=self._ports[each] == _SHELL)
                except messages.Malformed:
                    self._malformed += 1
                    if self._malformed > _MAX_MALFORMED:
                        return self._stop("it sent messages that are not Jupyter's")
        return ""

    def _receive(self, ready: zmq.Socket[bytes]) -> list[bytes]:
        """One message, whole, since libzmq gives no other; `relay` saw to its size."""
        frames = ready.recv_multipart()
        self._relay.taken(self._ports[ready], frames)
        return frames

    def _ended(self) -> str:
        """How the kernel ended, or nothing while it lives."""
        watch = self.box.watch
        if watch.reason:
            if watch.our_fault:
                raise SandboxError(f"a box had to be ended: {watch.reason}.", fix="grade fewer at once")
            return f"it went over {watch.reason}"
        end = self._relay.end
        if end == "too much":
            return f"it printed more than {self._limits.message_bytes:,} bytes at once"
        if end == "refused":
            return "it sent messages that are not Jupyter's"
        if end == "closed":
            self._wait_for_exit()
        if watch.reason:
            return self._ended()
        code = self._program.poll()
        if code is not None:
            self._refuse_fault(code)
            return "the kernel ended by itself, as after os._exit() or a crash"
        return "it closed the kernel's sockets" if end else ""

    def _refuse_fault(self, code: int) -> None:
        """Raise SandboxError if it was not the kernel that ended itself, as far as that can be told from outside."""
        fault = self.box.fault
        if not fault and code == -signal.SIGKILL and self.box.watch.memory_ran_out:
            fault = "the memory of this machine, or of what it gives the grader, ran out"
        if fault:
            raise SandboxError(f"a box was ended from outside: {fault}.", fix="grade again, or fewer at once")

    def _wait_for_exit(self) -> None:
        """A kernel that ends closes its sockets first; its exit is known a little later."""
        ends = time.monotonic() + _EXIT_GRACE_SECONDS
        while self._program.poll() is None and time.monotonic() < ends:
            time.sleep(0.01)
