"""When work was handed in, as nbgrader's `timestamp.txt` says."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from pathlib import Path

from dateutil.parser import parse  # type: ignore[import-untyped] # nbgrader's own reader of times; it ships no types
from dateutil.tz import gettz  # type: ignore[import-untyped] # likewise
from nbgrader.utils import parse_utc

from coursekit.errors import MissingWork, UnreadableWork
from coursekit.plainfile import read_below

_MOST_BYTES = 1_000


def _moment(text: str) -> datetime:
    """The time in UTC, as nbgrader reads it, but for a zone that nobody knows: nbgrader would take that for UTC."""
    *_, name = parts = text.split(" ")
    named = len(parts) == 3 and not name.lstrip("+-").isdecimal()
    if named and gettz(name) is None:
        raise ValueError(name)
    moment: datetime = parse_utc(text if len(parts) == 3 else parse(text, tzinfos=_zone))
    return moment.replace(tzinfo=UTC)  # nbgrader keeps UTC without saying so


def _zone(name: str | None, offset: int | None) -> int | tzinfo | None:
    """The zone of a time as dateutil takes it, by its offset or by a name."""
    if offset is not None or name is None:
        return offset
    found: tzinfo | None = gettz(name)
    if found is None:
        raise ValueError(name)
    return found


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
        return _moment(text)
    except (ValueError, OverflowError, TypeError) as error:
        raise UnreadableWork(f"timestamp.txt holds no time: {text[:60]!r}.", where=str(folder)) from error
