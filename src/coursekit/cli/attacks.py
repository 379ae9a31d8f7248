"""The tables of `coursekit doctor --attack`: each attack, what was tried, what held it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from coursekit.attacks import GROUPS
from coursekit.cli.tables import add, mark, table
from coursekit.report.phrases import clean

if TYPE_CHECKING:
    from coursekit.attacking import Siege, Tried, Verdict


def siege_tables(siege: Siege) -> tuple[RenderableType, ...]:
    """A table for each group of attacks, then what was around them, then all in one sentence."""
    groups = [
        _group(title, [each for each in siege.verdicts if each.group == group])
        for group, title in GROUPS.items()
        if any(each.group == group for each in siege.verdicts)
    ]
    return (*groups, _around(siege), Text(_summary(siege), style="bold"))


def _group(title: str, verdicts: list[Verdict]) -> RenderableType:
    users = list(dict.fromkeys(each.way.partition(", ")[0] for each in verdicts[0].ways))
    shown = table("What was tried", "What held it", *users, title=f"\n{title}", gap=2)
    for each in verdicts:
        told = Text(f"{each.attack}: ", style="bold")
        told.append(each.tried, style="not bold")
        for outcome in each.ways:
            if not outcome.held:
                told.append(f"\n{outcome.way}: {clean(outcome.detail)}", style="red")
        marks = [_marks(each, [way for way in each.ways if way.way.startswith(user)]) for user in users]
        add(shown, told, each.held_by, *marks)
    return shown


def _marks(verdict: Verdict, outcomes: list[Tried]) -> Text:
    """Cold and warm, in one narrow column."""
    starts = [(each.held, each.way.rpartition(", ")[2]) for each in outcomes]
    if verdict.remains:
        return Text("\n").join(Text(f"! {start}", style="yellow") for _, start in starts)
    return Text("\n").join(mark(held, start, start) for held, start in starts)


def _around(siege: Siege) -> RenderableType:
    shown = table("Around them", "", "", title="\nHonest work, other files, processes, mounts", gap=2)
    for each in siege.around:
        told = "\n".join(map(clean, each.problems)) or "the same as without them, and nothing left behind"
        add(shown, each.way, mark(not each.problems, "untouched", "touched"), f"{told} ({each.seconds:.0f} s)")
    for way in siege.not_tried:
        add(shown, way, Text("not tried", style="yellow"), "only root can")
    return shown


def _summary(siege: Siege) -> str:
    known = [each for each in siege.verdicts if each.remains]
    held = sum(each.held for each in siege.verdicts if not each.remains)
    ways = len(siege.around)
    told = f"\n{held} of {len(siege.verdicts)} attacks held, each in {ways} {'way' if ways == 1 else 'ways'}."
    named = ", ".join(each.remains for each in known)
    return f"{told} SECURITY.md names what is not held: {named}." if known else told
