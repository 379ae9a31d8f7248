"""What a score depends on, by name, in three groups: what a change in each makes necessary.

Two gradings with equal ingredients give equal scores, so the second need not happen; where they differ, the names that
differ say why it must. A value is a hash, or the text itself where that says more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

from coursekit.records import Record

_SHORT = 40
"""Longer values are hashes, which tell a reader nothing."""


class Ingredients(Record, frozen=True, kw_only=True):
    """What a score depends on: name -> hash or text."""

    run: dict[str, str] = msgspec.field(default_factory=dict)
    """What the notebooks' run depends on; a change here and they run again."""
    checks: dict[str, str] = msgspec.field(default_factory=dict)
    """What else the points depend on; a change here and the checks are asked again, of the kept run."""
    time: dict[str, str] = msgspec.field(default_factory=dict)
    """What the grade after lateness depends on; a change here and only that is worked out again."""

    def __or__(self, more: Ingredients) -> Ingredients:
        """These and more; where both name one, the other's."""
        return Ingredients(run=self.run | more.run, checks=self.checks | more.checks, time=self.time | more.time)


def sha256(content: object) -> str:
    """The hash of bytes, or of any record or plain data as JSON."""
    data = content if isinstance(content, bytes) else msgspec.json.encode(content, order="sorted")
    return hashlib.sha256(data).hexdigest()


def run_key(of: Ingredients, stem: str) -> str:
    """The name of what a run of one notebook gives: equal keys, equal runs."""
    return sha256([stem, of.run])


def changes(before: Ingredients, now: Ingredients) -> tuple[str, ...]:
    """What differs, one phrase each: 'hidden/test_size.py changed', 'numpy was 2.1.0 and is 2.2.0'."""
    groups = ((before.run, now.run), (before.checks, now.checks), (before.time, now.time))
    return tuple(phrase for old, new in groups for phrase in _differences(old, new))


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        was, is_ = old.get(name), new.get(name)
        if was == is_:
            continue
        if was is None:
            yield f"{name} is new"
        elif is_ is None:
            yield f"{name} is gone"
        elif max(len(was), len(is_)) <= _SHORT:
            yield f"{name} was {was} and is {is_}"
        else:
            yield f"{name} changed"
