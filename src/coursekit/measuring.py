"""Measuring a model file: every figure that the engines have for it, on no board or on named ones."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from coursekit import measure as engines
from coursekit import profiles, sandbox
from coursekit.errors import MissingWork, UnreadableWork
from coursekit.records import Limits, Measurement, SandboxName

_LIMITS = Limits(memory_bytes=2_000_000_000, output_bytes=64_000_000)
_MOST_BYTES = 1_000_000_000


def measure(
    file: Path, names: Sequence[str] = (), *, folders: Sequence[Path] = (), box: SandboxName = "bwrap"
) -> tuple[Measurement, ...]:
    """The figures of one model file, board by board.

    Raises MissingWork if there is no file, UnreadableWork if it is no model, SpecError for an unknown profile.
    """
    boards: list[profiles.Profile | None] = [profiles.load(name, folders) for name in names]
    data = read(file)
    inside = sandbox.runner(box, _LIMITS)
    found = [each for board in (boards or [None]) for each in engines.measure(data, board, inside)]
    return tuple({(each.metric, each.profile): each for each in found}.values())


def read(file: Path) -> bytes:
    """The bytes of a model file that somebody named."""
    try:
        about = file.stat()
        if not stat.S_ISREG(about.st_mode):
            raise UnreadableWork("it is not an ordinary file.", where=str(file))
        if about.st_size > _MOST_BYTES:
            raise UnreadableWork(f"it has {about.st_size:,} bytes; no board takes that.", where=str(file))
        return file.read_bytes()
    except FileNotFoundError:
        raise MissingWork("there is no such file.", where=str(file)) from None
    except OSError as error:
        raise UnreadableWork(f"it cannot be read: {error.strerror}.", where=str(file)) from error
