"""The tables of commands that show no score: proofs, figures, boards, a diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from coursekit.figures import memory
from coursekit.records import Proof, Score, Unscored
from coursekit.report.phrases import clean

if TYPE_CHECKING:
    from coursekit.calibrating import Change, Verdict
    from coursekit.doctor import Diagnosis
    from coursekit.exposure import Exposed
    from coursekit.keeping import Decision, Moved
    from coursekit.profiles import Profile


def table(*columns: str, title: str = "", gap: int = 3, right: Sequence[str] = ()) -> Table:
    """An empty table with these columns so many spaces apart; those in `right` hold numbers."""
    shown = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, gap - 1, 0, 0),
        header_style="bold",
        title=title or None,
        title_justify="left",
    )
    for column in columns:
        shown.add_column(column, overflow="fold", justify="right" if column in right else "left")
    return shown


def add(shown: Table, *cells: str | Text) -> None:
    """A row whose text means nothing but itself: brackets are no markup."""
    shown.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in cells))


def mark(good: bool, yes: str, no: str) -> Text:
    """A tick or a cross with its word."""
    return Text(f"✓ {yes}", style="green") if good else Text(f"✗ {no}", style="red")


_LONGEST_NAME, _LONGEST_WHY = 40, 400
_DONE = {"keep": "kept", "record": "recorded again", "check": "checked again", "run": "run"}


def decision_table(decisions: Sequence[Decision]) -> RenderableType:
    """One line per submission: what is done with it, and why."""
    shown = table("Student", "", "Why")
    for each in decisions:
        why = "; ".join(each.because) or "nothing that its score depends on has changed"
        add(shown, clean(each.student, _LONGEST_NAME), _DONE[each.action], clean(why, _LONGEST_WHY))
    return shown


def moved_table(moved: Sequence[Moved]) -> RenderableType:
    """One line per score that moved: from what to what, by which checks, and why."""
    if not moved:
        return Text("No score moved since the grading before.")
    shown = table("Student", "Before", "Now", "Checks", "Why")
    for each in moved:
        earned = [{check.id: check.earned for check in score.checks} for score in (each.before, each.now)]
        told = [
            f"{clean(name)}: {_earned(earned[0].get(name))} → {_earned(earned[1].get(name))}" for name in each.checks
        ]
        why = clean("; ".join(each.because), _LONGEST_WHY)
        student = clean(each.student, _LONGEST_NAME)
        add(shown, student, _outcome(each.before), _outcome(each.now), "\n".join(told), why)
    return shown


def _earned(points: float | Unscored | None) -> str:
    return "none" if points is None else points if isinstance(points, str) else f"{points:g}"


def _outcome(score: Score) -> str:
    """The points of a score, and what lateness leaves of them."""
    if score.earned == "unscored":
        return "no score"
    late = score.grade.earned if score.grade and score.grade.penalty else score.earned
    return f"{score.earned:g} of {score.possible:g}" + (f", late {_earned(late)}" if late != score.earned else "")


def proof_table(proofs: Sequence[Proof]) -> RenderableType:
    """One line per case, with what differs below it."""
    shown = table("Assignment", "Case", "Earned", "", "Why")
    for proof in proofs:
        numbers = [each for each in proof.earned.values() if each != "unscored"]
        told = Text(clean(proof.why))
        for difference in proof.differences:
            told.append(f"\n{clean(difference)}", style="red")
        add(shown, proof.assignment, proof.case, f"{sum(numbers):g}", mark(proof.holds, "as written", "differs"), told)
    return shown


def profile_table(boards: Sequence[Profile]) -> RenderableType:
    """One line per board; `profiles show NAME` has the rest."""
    heads = ("Profile", "Clock", "RAM", "Flash", "Status", "Band")
    shown = table(*heads, gap=2, right=("Clock", "RAM", "Flash", "Band"))
    for each in boards:
        sizes = (_clock(each.clock_hz), _memory(each.ram_bytes), _memory(each.flash_bytes))
        add(shown, each.name, *sizes, each.status, f"±{_percent(each.band)}" if each.band else "")
    return shown


def _clock(hertz: int | None) -> str:
    if not hertz:
        return ""
    return f"{hertz / 1e9:g} GHz" if hertz >= 1e9 else f"{hertz / 1e6:g} MHz"


def _memory(size: int | None) -> str:
    """A size of memory as boards state it, in powers of two where it is a whole number of them."""
    if not size:
        return ""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << shift and size % (1 << shift) == 0:
            return f"{size >> shift:,} {unit}"
    return f"{size / 1e9:,.0f} GB" if size >= 1e9 else memory(size)


def figure_table(board: Profile) -> RenderableType:
    """Every field of one board, with its source below its value."""
    shown = table("Figure", "Value and source", title=board.title, gap=2)
    shown.columns[0].no_wrap = True
    for field, value in msgspec.to_builtins(board).items():
        if field not in ("sources", "title") and value not in (None, ""):
            source = Text(clean(board.sources.get(field, ""), 2_000), style="dim")
            told = Group(Text(_plain(value)), Padding(source, (0, 0, 0, 4))) if source else Text(_plain(value))
            shown.add_row(Text(field), told)
    return shown


def _plain(value: object, indent: str = "") -> str:
    """A figure as lines: the parts of a section stand below each other."""
    if isinstance(value, dict):
        lines = (
            f"{indent}{key}:{chr(10) if isinstance(inner, dict) else ' '}{_plain(inner, indent + '  ')}"
            for key, inner in value.items()
            if inner not in (None, "")
        )
        return "\n".join(lines)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def verdict_table(found: Sequence[Verdict]) -> RenderableType:
    """One line per board with prices: its error on models left out of the fit, beside the band that it publishes."""
    heads = ("Models", "File", "Family", "Worst", "Inside", "Band")
    shown = table("Profile", *heads, "", gap=2, right=heads)
    for each in found:
        errors = (each.file_error, each.family_error, each.largest_error, each.inside)
        told = Text("✓", style="green") if each.holds else Text("✗", style="red")
        add(shown, each.profile, str(each.rows or ""), *map(_percent, errors), f"±{_percent(each.band)}", told)
    wrong = [Text(f"✗ {each.profile}: {clean(problem)}", style="red") for each in found for problem in each.problems]
    return Group(shown, *(wrong or [Text("✓ every band holds")]))


def change_table(change: Change, *, written: bool) -> RenderableType:
    """What a refit changes, price by price, and the errors that it then has."""
    done = "written" if written else "not written"
    shown = table("Price", "Before", "After", title=f"{change.profile}: {len(change.moved)} prices change ({done})")
    for unit, (before, after) in change.moved.items():
        add(shown, unit, f"{before / 1000:g}", f"{after / 1000:g}")
    for field in ("file_error", "family_error", "inside", "band"):
        stated = _percent(getattr(change.before, field)) if change.before else ""
        add(shown, field, stated, _percent(getattr(change.after, field)))
    return shown


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3g} %"


def diagnosis_tables(found: Diagnosis) -> list[RenderableType]:
    """What is here, what the sandbox holds, what is wrong."""
    machine = table("Here", "", "What for", title=f"Python {found.python}, {found.machine}")
    for each in found.found:
        add(machine, each.name, mark(each.here, "here", "not here"), each.detail)
    limits = table("Promise", "", "Tried", title=f"Sandbox: {found.sandbox}")
    for limit in found.limits:
        add(limits, limit.limit, mark(limit.held, "held", "not held"), clean(limit.detail))
    lines: list[RenderableType] = [machine]
    if found.limits:
        lines.append(limits)
    lines.append(Text(f"Course: {found.course or 'none here'}"))
    lines += [Text(f"✗ {clean(problem)}", style="red") for problem in found.problems]
    lines += exposed_tables(found.exposed)
    verdict = "Submissions can be graded here." if found.well else "Submissions cannot be graded safely here."
    lines.append(Text(verdict, style="bold"))
    return lines


_SAFER = (
    "The asserts of these cells run inside the student's own process, where nothing can be proved. To ask from outside,"
    " write a pytest check with the cell's grade id in autograder/NAME/, as `coursekit new` shows, and leave only a"
    " comment in the cell."
)


def exposed_tables(found: Sequence[Exposed]) -> list[RenderableType]:
    """The test cells that would be safer as checks outside, and how; nothing if there is none."""
    if not found:
        return []
    shown = table("Assignment", "Cell", "Points", "Safer as a check outside, since", right=("Points",))
    for each in found:
        add(
            shown,
            clean(each.assignment),
            clean(each.cell),
            f"{each.points:g}",
            clean("; ".join(each.why), _LONGEST_WHY),
        )
    return [shown, Text(_SAFER)]
