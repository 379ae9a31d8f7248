"""When work was handed in, as nbgrader's `timestamp.txt` says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from nbgrader.utils import parse_utc

from coursekit.errors import MissingWork, UnreadableWork
from coursekit.plainfile import read_below

_MOST_BYTES = 1_000


def timestamp(folder: Path) -> datetime | None:
    """Give the time in a submission's `timestamp.txt`, in UTC, or None if there is none or it is empty.

    Raises UnreadableWork if the file is there and holds no time, or is not an ordinary small file.
    """
    try:
        text = read_below(folder, "timestamp.txt", _MOST_BYTES).decode("utf-8", "replace").strip()
    except MissingWork:
        return None
    if not text:
        return None
    try:
        moment: datetime = parse_utc(text)
    except (ValueError, OverflowError, TypeError) as error:
        raise UnreadableWork(f"timestamp.txt holds no time: {text[:60]!r}.", where=str(folder)) from error
    return moment.replace(tzinfo=UTC)  # nbgrader keeps UTC without saying so
