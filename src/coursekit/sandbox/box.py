"""What a box is, whoever makes it: an empty place that one program steps into, and from which bytes are read.

`bwrap` makes it from namespaces; `unboxed` is the same shape without any protection, for work one trusts. A container
runtime would be a third. Whether a program is started cold or was warm before, it enters as `program.start` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import msgspec

from coursekit.records import Limits
from coursekit.sandbox.watch import Watch


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """How a program gets into a box: the part of the order to `enter.py` that only that kind of box knows."""

    boxed: bool
    """Whether there are namespaces to join and rights to give up."""
    pidfd: int = -1
    """An open descriptor of the box's first process; a number could have been used again."""
    uid: int = -1
    gid: int = -1
    seccomp: str = ""
    """The system-call filter, in base64."""
    limits: dict[str, int] = {}
    """Limits that make sense in this kind of box only, by their names in the module `resource`."""


class Box(Protocol):
    """A place for one program and its children."""

    name: str
    limits: Limits
    watch: Watch

    @property
    def work(self) -> str:
        """The working folder, as the program inside names it."""

    @property
    def home(self) -> str:
        """The program's home folder, as it names it."""

    @property
    def sockets(self) -> str:
        """The folder for a kernel's sockets, as the program inside names it."""

    @property
    def fault(self) -> str:
        """How somebody outside ended the box, which is nobody's fault in it; nothing if that has not happened."""

    @property
    def host_sockets(self) -> str:
        """The same folder, as the grader reaches it."""

    def entry(self) -> Entry:
        """How to get in, once. Raises SandboxError if something has entered already, or the box has ended."""

    def entered(self, helper: int) -> None:
        """Told of the process that waits for the program, outside the box."""

    def processes(self) -> list[int]:
        """What runs in the box, by the numbers that the program inside sees."""

    def folder(self) -> int:
        """An open descriptor of the working folder; the caller closes it."""

    def paused(self) -> AbstractContextManager[None]:
        """Nothing in the box moves meanwhile; a box that cannot be held still is ended."""

    def close(self) -> None:
        """End everything in the box and wait until it is gone."""


@contextmanager
def closing(box: Box) -> Iterator[Box]:
    """Whatever happens, the box ends."""
    try:
        yield box
    finally:
        box.close()
