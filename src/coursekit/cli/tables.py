"""The tables of commands that show no score: proofs, figures, boards, a diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from coursekit.records import Measurement, Proof
from coursekit.report.phrases import clean, measured

if TYPE_CHECKING:
    from coursekit.calibrating import Change, Verdict
    from coursekit.doctor import Diagnosis
    from coursekit.profiles import Profile


def _table(*columns: str, title: str = "") -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", title=title or None, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: str | Text) -> None:
    """A row whose text means nothing but itself: brackets are no markup."""
    table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in cells))


def _mark(good: bool, yes: str, no: str) -> Text:
    return Text(f"✓ {yes}", style="green") if good else Text(f"✗ {no}", style="red")


def proof_table(proofs: Sequence[Proof]) -> RenderableType:
    """One line per case, with what differs below it."""
    table = _table("Assignment", "Case", "Earned", "", "Why")
    for proof in proofs:
        numbers = [each for each in proof.earned.values() if each != "unscored"]
        told = Text(clean(proof.why))
        for difference in proof.differences:
            told.append(f"\n{clean(difference)}", style="red")
        _add(
            table, proof.assignment, proof.case, f"{sum(numbers):g}", _mark(proof.holds, "as written", "differs"), told
        )
    return table


def measurement_table(found: Sequence[Measurement]) -> RenderableType:
    """One line per figure, with its board, engine and status; a note stands below its value."""
    table = _table("Metric", "Value", "Board", "Engine", "Status")
    for column in ("Metric", "Board"):
        next(each for each in table.columns if each.header == column).no_wrap = True
    for each in found:
        value = Text(measured(each) if each.value != "" else "none")
        if each.note:
            value.append(f"\n{clean(each.note)}", style="dim")
        _add(table, each.metric, value, each.profile or "", each.engine, each.status)
    return table


def profile_table(boards: Sequence[Profile]) -> RenderableType:
    """One line per board; `profiles show NAME` has the rest."""
    table = _table("Profile", "Runtime", "RAM", "Flash", "Clock", "Status", "Band")
    table.columns[0].no_wrap = True
    for each in boards:
        runtime = f"{each.runtime} {each.runtime_version}".strip()
        clock = f"{each.clock_hz / 1e6:g} MHz" if each.clock_hz else ""
        band = f"±{_percent(each.band)}" if each.band else ""
        _add(table, each.name, runtime, _kib(each.ram_bytes), _kib(each.flash_bytes), clock, each.status, band)
    return table


def _kib(size: int | None) -> str:
    return f"{size // 1024:,} KiB" if size else ""


def figure_table(board: Profile) -> RenderableType:
    """Every field of one board with its source."""
    table = _table("Figure", "Value", "Source", title=board.title)
    for field, value in msgspec.to_builtins(board).items():
        if field not in ("sources", "title"):
            _add(table, field, _plain(value), board.sources.get(field, ""))
    return table


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def verdict_table(found: Sequence[Verdict]) -> RenderableType:
    """One line per board with prices: its error on models left out of the fit, beside the band that it publishes."""
    table = _table("Profile", "Status", "Models", "Families", "File out", "Family out", "Worst", "Inside", "Band", "")
    table.columns[0].no_wrap = True
    for each in found:
        told = _mark(each.holds, "holds", "does not hold")
        for problem in each.problems:
            told.append(f"\n{clean(problem)}", style="red")
        errors = (each.file_error, each.family_error, each.largest_error, each.inside)
        counts = (str(each.rows or ""), str(each.families or ""))
        _add(table, each.profile, each.status, *counts, *map(_percent, errors), f"±{_percent(each.band)}", told)
    return table


def change_table(change: Change, *, written: bool) -> RenderableType:
    """What a refit changes, price by price, and the errors that it then has."""
    done = "written" if written else "not written"
    table = _table("Price", "Before", "After", title=f"{change.profile}: {len(change.moved)} prices change ({done})")
    for unit, (before, after) in change.moved.items():
        _add(table, unit, f"{before / 1000:g}", f"{after / 1000:g}")
    for field in ("file_error", "family_error", "inside", "band"):
        stated = _percent(getattr(change.before, field)) if change.before else ""
        _add(table, field, stated, _percent(getattr(change.after, field)))
    return table


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3g} %"


def diagnosis_tables(found: Diagnosis) -> list[RenderableType]:
    """What is here, what the sandbox holds, what is wrong."""
    machine = _table("Here", "", "What for", title=f"Python {found.python}, {found.machine}")
    for each in found.found:
        _add(machine, each.name, _mark(each.here, "here", "not here"), each.detail)
    limits = _table("Promise", "", "Tried", title=f"Sandbox: {found.sandbox}")
    for limit in found.limits:
        _add(limits, limit.limit, _mark(limit.held, "held", "not held"), clean(limit.detail))
    lines: list[RenderableType] = [machine]
    if found.limits:
        lines.append(limits)
    lines.append(Text(f"Course: {found.course or 'none here'}"))
    lines += [Text(f"✗ {clean(problem)}", style="red") for problem in found.problems]
    verdict = "Submissions can be graded here." if found.well else "Submissions cannot be graded safely here."
    lines.append(Text(verdict, style="bold"))
    return lines
