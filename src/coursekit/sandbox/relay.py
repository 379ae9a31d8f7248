"""The bytes of a kernel's sockets on their way to the grader, followed before anything keeps them.

libzmq gathers the frames of a message until the last has come, however many there are: a program that writes to its
socket by itself fills the grader's memory with a message that never ends. So the sockets are reached through here,
where the size of each message is known while it comes, and where no more waits for the grader than it can hold. Each
socket of the kernel is connected once, before any student code has run, and never again.

Source of the layout: ZMTP 3.1 (rfc.zeromq.org/spec/37), framing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

_PART = 65536
_GREETING = 64
_MORE, _LONG = 1, 2
_SHORT_HEADER, _LONG_HEADER = 2, 9
_LONGEST_SHORT = 255
_MOST_FRAMES = 64
SPARE_BYTES = 1_000_000
"""Room for the parts of a message around its content."""

End = Literal["", "closed", "too much", "refused"]


class Frames:
    """Follows the messages in a stream, part by part."""

    def __init__(self, most_bytes: int) -> None:
        self.too_much = False
        """Whether a message has more bytes than `most_bytes`, or more frames than any has."""
        self._most_bytes = most_bytes
        self._bytes = self._count = 0
        self._left = _GREETING
        self._header = b""

    def follow(self, part: bytes) -> None:
        """Go on through the next part of the stream."""
        at = 0
        while at < len(part) and not self.too_much:
            if self._left:
                step = min(self._left, len(part) - at)
                self._left -= step
                at += step
                continue
            self._header += part[at : at + 1]
            at += 1
            flags = self._header[0]
            if len(self._header) == (_LONG_HEADER if flags & _LONG else _SHORT_HEADER):
                self._begin(int.from_bytes(self._header[1:], "big"), more=bool(flags & _MORE))

    def _begin(self, length: int, *, more: bool) -> None:
        """A frame of this length comes; the size of a message is known before its bytes are."""
        self._header, self._left = b"", length
        self._bytes += length
        self._count += 1
        self.too_much = self._bytes > self._most_bytes or self._count > _MOST_FRAMES
        if not more:
            self._bytes = self._count = 0


class Relay:
    """Carries bytes between the connected sockets of a kernel, by port, and sockets of our own."""

    def __init__(self, kernel: Mapping[int, socket.socket], message_bytes: int) -> None:
        self.name = f"@coursekit-{secrets.token_hex(16)}"
        """What a client puts before the port, as in `ipc://{name}-1`; this process alone is let in."""
        self.end: End = ""
        """How a connection ended, if one has: closed by the kernel, or cut for what it sent."""
        self._most_bytes = message_bytes + SPARE_BYTES
        self._waiting = dict.fromkeys(kernel, 0)
        self._room = threading.Condition()
        self._closed = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        for port, theirs in kernel.items():
            listener = socket.socket(socket.AF_UNIX)
            self._sockets += [theirs, listener]
            listener.bind(f"\0{self.name[1:]}-{port}")
            listener.listen()
            self._begin(self._serve, port, theirs, listener)

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="kernel relay", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, port: int, theirs: socket.socket, listener: socket.socket) -> None:
        """Wait for our own client, then carry both ways."""
        ours = self._accept(listener)
        if ours is not None:
            self._begin(self._down, ours, theirs)
            self._up(port, theirs, ours)

    def _accept(self, listener: socket.socket) -> socket.socket | None:
        """The connection that this very process makes; None if the relay is closed before."""
        while True:
            try:
                found, _ = listener.accept()
            except OSError:
                return None
            pid, _, _ = struct.unpack("3i", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            with self._room:
                if pid == os.getpid() and not self._closed:
                    self._sockets.append(found)
                    return found
            found.close()

    def _up(self, port: int, theirs: socket.socket, ours: socket.socket) -> None:
        """From the kernel, never more than two of the largest messages ahead of the grader."""
        frames = Frames(self._most_bytes)
        while True:
            with self._room:
                while self._waiting[port] > 2 * self._most_bytes and not self._closed:
                    self._room.wait()
            part = _received(theirs)
            if not part:
                return self._ended("closed")
            frames.follow(part)
            if frames.too_much:
                return self._ended("too much")
            with self._room:
                self._waiting[port] += len(part)
            try:
                ours.sendall(part)
            except OSError:
                return self._ended("refused")

    def _down(self, ours: socket.socket, theirs: socket.socket) -> None:
        """To the kernel, as fast as it reads."""
        while part := _received(ours):
            try:
                theirs.sendall(part)
            except OSError:
                return self._ended("closed")
        return None

    def _ended(self, how: End) -> None:
        with self._room:
            self.end = self.end or how

    def taken(self, port: int, frames: Sequence[bytes]) -> None:
        """The grader has read this message; as many bytes more may come."""
        size = sum(len(each) + (_SHORT_HEADER if len(each) <= _LONGEST_SHORT else _LONG_HEADER) for each in frames)
        with self._room:
            self._waiting[port] -= size
            self._room.notify_all()

    def close(self) -> None:
        """Close every connection and wait for what carried them."""
        with self._room:
            self._closed = True
            self._room.notify_all()
            for each in self._sockets:
                with contextlib.suppress(OSError):  # it may never have been connected, or no longer be
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:  # a list that may grow by a `_down` meanwhile, which is then joined too
            thread.join()
        for each in self._sockets:
            each.close()


def _received(source: socket.socket) -> bytes:
    """The next bytes, or nothing when the connection has ended."""
    try:
        return source.recv(_PART)
    except OSError:
        return b""
