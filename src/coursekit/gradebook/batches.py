"""Scores on their way into a gradebook: several in one transaction, since each costs a slow database a round of writes.

A score is a file before it comes here, and waits a second at most; so a stop loses at worst what the next run writes.
Whoever keeps account of what is done is told once it is committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from coursekit.errors import CourseError
from coursekit.gradebook.book import Gradebook
from coursekit.records import GradedCell, Score

MOST = 50
"""Scores in one transaction."""
_MOST_SECONDS = 1.0


class Entry(NamedTuple):
    """One score, with what `Gradebook.record` writes of it."""

    score: Score
    cells: Mapping[str, Sequence[GradedCell]]
    executed: Mapping[str, Mapping[str, Any]]
    submitted_at: datetime | None


class Batches:
    """What waits for one gradebook; used by the thread that has the gradebook open.

    `written` is told of scores that the gradebook holds from now on, whatever happens; `refused` of one that it has no
    place for. Such a one costs the others nothing.
    """

    def __init__(
        self,
        book: Gradebook,
        written: Callable[[Sequence[Score]], None],
        refused: Callable[[Score, CourseError], None],
    ) -> None:
        self._book, self._written, self._refused = book, written, refused
        self._waiting: list[Entry] = []
        self._oldest = 0.0

    def add(self, entry: Entry) -> None:
        """Take a score; it is written with the next batch."""
        if not self._waiting:
            self._oldest = time.monotonic()
        self._waiting.append(entry)
        self.turn()

    def turn(self) -> None:
        """Write what waits, if it is much or has waited long; to be called every second or so."""
        if len(self._waiting) >= MOST or (self._waiting and time.monotonic() - self._oldest >= _MOST_SECONDS):
            self.flush()

    def flush(self) -> None:
        """Write all that waits. Raises GradebookError if the database does not take it."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            with self._book.together():
                for entry in waiting:
                    self._book.record(*entry)
        except CourseError:  # of one of them, and none is written: now each by itself
            for entry in waiting:
                self._alone(entry)
        else:
            self._written([entry.score for entry in waiting])

    def _alone(self, entry: Entry) -> None:
        try:
            self._book.record(*entry)
        except CourseError as error:
            self._refused(entry.score, error)
        else:
            self._written([entry.score])
