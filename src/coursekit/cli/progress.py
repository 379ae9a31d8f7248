"""How far a class is graded, on stderr: live on a terminal, a line now and then elsewhere.

done 12 of 60 · 2 running · 46 waiting · 9 full, 2 partial, 1 without a score · about 4 min left
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from coursekit.cli.printing import safe

if TYPE_CHECKING:
    from rich.console import Console

    from coursekit.records import Score

_BESIDE = 40
"""Characters for the names of those whose submissions run."""
_LINES = 20
"""Lines that a class may take where there is no terminal, beside those of whoever has no score."""
_QUIET_SECONDS = 30.0
_PER_SECOND = 4
_KINDS = ("full", "partial", "zero", "no score")


class Tally:
    """What has become of a class so far; told from several threads."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.running: dict[str, None] = {}
        self.kept = 0
        self.kinds: Counter[str] = Counter()
        self._began: float | None = None
        self._changing = threading.Lock()

    def tell(self, student: str, score: Score | None, now: float) -> None:
        """A submission begins, or is done; one that never began is done because its score was kept."""
        with self._changing:
            if score is None:
                self._began = now if self._began is None else self._began
                self.running[student] = None
            else:
                self.kept += student not in self.running
                self.running.pop(student, None)
                self.kinds[kind(score)] += 1

    @property
    def done(self) -> int:
        """Submissions with a result."""
        return self.kinds.total()

    def counts(self) -> str:
        """How many are where, and what those that are done came to."""
        waiting = max(0, self.total - self.done - len(self.running))
        came_to = ", ".join(f"{self.kinds[each]} {each}" for each in _KINDS if self.kinds[each])
        return " · ".join(
            [f"{self.done} of {self.total} done", f"{len(self.running)} running", f"{waiting} waiting"]
            + [came_to] * bool(came_to)
        )

    def left(self, now: float) -> str:
        """About how long the rest takes, if it goes on as it has; nothing while that cannot be known."""
        graded = self.done - self.kept  # what was kept took no time
        if self._began is None or not graded or self.done >= self.total:
            return ""
        seconds = (now - self._began) / graded * (self.total - self.done)
        if seconds < 90:
            return f"about {max(1, round(seconds))} s left"
        minutes = round(seconds / 60)
        return f"about {minutes} min left" if minutes < 90 else f"about {seconds / 3600:.1f} h left"


def kind(score: Score) -> str:
    """What a score came to, in one word or two."""
    if score.earned == "unscored":
        return "no score"
    if score.earned >= score.possible:
        return "full"
    return "partial" if score.earned > 0 else "zero"


class Telling:
    """Tells of submissions that begin and end, and of what else there is to say."""

    def __init__(self, doing: str, total: int, console: Console) -> None:
        self._doing, self._console = doing, console
        self._tally = Tally(total)
        self._said_at, self._said_of = time.monotonic(), 0

    def __call__(self, student: str, score: Score | None) -> None:
        """A submission begins, or is done."""
        self._tally.tell(student, score, time.monotonic())
        if score is not None and not self._console.is_terminal:
            self._line(student, score)

    def notice(self, sentence: str) -> None:
        """Say something, above the progress where there is one."""
        self._console.print(f"Note: {sentence}", markup=False, soft_wrap=not self._console.is_terminal)

    def _line(self, student: str, score: Score) -> None:
        """A line now and then: for a small class for each, and always for whoever has no score."""
        now, tally = time.monotonic(), self._tally
        due = tally.done - self._said_of >= tally.total / _LINES or now - self._said_at >= _QUIET_SECONDS
        if due or score.earned == "unscored" or tally.done == tally.total:
            self._said_at, self._said_of = now, tally.done
            points = "has no score" if score.earned == "unscored" else f"{score.earned:g} of {score.possible:g}"
            counts = " · ".join(filter(None, (tally.counts(), tally.left(now))))
            click.echo(f"{self._doing}: {safe(student)} {points} ({counts})", err=True)

    def __rich__(self) -> Any:
        """The live display: a bar, the counts, who runs."""
        from rich.console import Group  # noqa: PLC0415 - help must come at once
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.spinner import Spinner  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        tally, now = self._tally, time.monotonic()
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            self._spinner(Spinner),
            Text(self._doing, style="bold"),
            ProgressBar(total=max(1, tally.total), completed=tally.done, width=30),
            Text(tally.left(now), style="cyan"),
        )
        beside = ", ".join(map(safe, list(tally.running)))
        if len(beside) > _BESIDE:
            beside = f"{beside[: _BESIDE - 1]}…"
        return Group(bar, Text(f"  {tally.counts()}"), Text(f"  {beside}", style="dim"))

    def _spinner(self, spinner: Any) -> Any:
        """One that goes on turning from one drawing to the next."""
        if not hasattr(self, "_turning"):
            self._turning = spinner("dots")
        return self._turning


@contextmanager
def progress(total: int, doing: str) -> Iterator[Telling]:
    """What to tell of a class of so many; nothing of it goes to stdout."""
    from rich.console import Console  # noqa: PLC0415 - help must come at once
    from rich.live import Live  # noqa: PLC0415

    console = Console(stderr=True, highlight=False)
    telling = Telling(doing, total, console)
    if not console.is_terminal:
        yield telling
        return
    with Live(telling, console=console, refresh_per_second=_PER_SECOND):
        yield telling
