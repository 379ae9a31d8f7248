"""What `coursekit measure` prints: figures, what each operator takes, and one model beside another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from coursekit.cli.tables import add, table
from coursekit.figures import figure, lasting, portion
from coursekit.measure.ratios import RATIOS
from coursekit.records import Breakdown, Measurement
from coursekit.report.layers import MOST, Line, lines, shorter
from coursekit.report.phrases import clean, measured

if TYPE_CHECKING:
    from coursekit.measuring import Measured

_BAR = 6
_LEAST_LAYER = 8
_MOST_NOTES = 8
_UNKNOWN = "unknown"

_COLUMNS = {
    "latency_ms": "\nLatency\nms",
    "energy_uj": "\nEnergy\nuJ",
    "arena_bytes": "\nArena\nkB",
    "ram_free_bytes": "RAM\nleft\nkB",
    "flash_free_bytes": "Flash\nleft\nkB",
}
"""A metric -> its column where boards stand beside each other."""

_IN_JSON = {"tflm_runs", "arena_head_bytes", "arena_tail_bytes"}
"""What a table of boards leaves out."""

_BY_BOARD = ("latency_ratio", "energy_ratio", "arena_ratio")


def report(found: Measured, *, every: bool) -> Iterator[RenderableType]:
    """Give the tables for one model, an empty line between them; `every` asks for all operators on all boards."""
    for number, block in enumerate(_blocks(found, every=every)):
        yield Group("", block) if number else block


def _blocks(found: Measured, *, every: bool) -> Iterator[RenderableType]:
    name = clean(Path(found.model).name, 60)
    of_file = [each for each in found.measurements if not each.profile]
    of_boards = [each for each in found.measurements if each.profile]
    yield _figures(of_file, name)
    if len(found.profiles) == 1:
        yield _figures(of_boards, f"On {clean(found.profiles[0], 60)}")
    elif found.profiles:
        yield _boards(found)
        yield from _others(of_boards)
    gathered = _uncalibrated(found) if len(found.profiles) > 1 else {}
    if gathered:
        yield _item(_said(gathered))
    noted = [each for each in found.measurements if each.profile not in gathered or each.status != "uncalibrated"]
    yield from _notes(noted, several=len(found.profiles) > 1)
    if every or len(found.profiles) == 1:
        for each in found.breakdowns:
            yield Layers(each, len(each.parts) if every else MOST)
    if found.reference:
        yield from _comparison(found)


# --- Figures ---------------------------------------------------------------------------------------------------------


def _figures(found: Sequence[Measurement], title: str) -> Table:
    """One line per figure; columns are as wide in each such table, so that they stand below each other."""
    shown = table("Metric", "Value", "Engine", "Status", title=title, gap=2)
    for column, width in zip(shown.columns, (20, 30, 10, 12), strict=True):
        column.min_width = width
    for each in found:
        add(shown, each.metric, measured(each) if each.value != "" else "none", each.engine, each.status)
    return shown


def _boards(found: Measured) -> Table:
    """One line per board, with a column for whatever some board has."""
    by_board = {(each.profile, each.metric): each for each in found.measurements if each.profile}
    there = [metric for metric in _COLUMNS if any((name, metric) in by_board for name in found.profiles)]
    timed = "latency_ms" in there
    heads = [_COLUMNS[metric] for metric in there]
    status = "\n\nStatus"
    heads[1:1] = ["\n\nBand", status] if timed else []
    shown = table("\n\nProfile", *heads, gap=1, right=[head for head in heads if head != status])
    for name in found.profiles:
        cells = [_cell(by_board.get((name, metric))) for metric in there]
        if timed:
            cells[1:1] = _surely(by_board.get((name, "latency_ms")))
        add(shown, clean(name, 60), *cells)
    return shown


def _cell(found: Measurement | None) -> Text:
    if found is None:
        return Text("")
    if isinstance(found.value, str):
        return Text(clean(found.value, 12), style="yellow")
    shown = _short(found.value / 1000, 3) if found.unit == "bytes" else _short(found.value, 4)
    return Text(shown, style="red" if found.value < 0 else "")


def _surely(latency: Measurement | None) -> list[Text]:
    """Give the band and the status of a latency."""
    if latency is None or isinstance(latency.value, str):
        return [Text(""), Text("")]
    band = f"±{figure(100 * latency.band)} %" if latency.band else ""
    return [Text(band), Text(latency.status, style="yellow" if latency.status == "uncalibrated" else "")]


def _short(value: float, digits: int) -> str:
    """Give a number with so many digits that count, or all of a whole part that has more."""
    before = len(f"{abs(value):.0f}")
    return f"{value:,.0f}" if before >= digits else f"{value:.{digits}g}"


def _others(found: Sequence[Measurement]) -> Iterator[Table]:
    """Give the figures that have no column of their own."""
    rest = [each for each in found if each.metric not in _COLUMNS and each.metric not in _IN_JSON]
    if rest:
        shown = table("Profile", "Metric", "Value", "Status", gap=2)
        for each in rest:
            add(shown, clean(each.profile or "", 60), each.metric, measured(each), each.status)
        yield shown


def _uncalibrated(found: Measured) -> dict[str | None, Breakdown]:
    """Give the boards whose latency rests on work without calibration, which one sentence can name together."""
    marked = {each.profile for each in found.measurements if each.status == "uncalibrated" and each.value != _UNKNOWN}
    return {each.profile: each for each in found.breakdowns if each.profile in marked and each.unsupported}


def _said(boards: Mapping[str | None, Breakdown]) -> str:
    operators = ", ".join(dict.fromkeys(clean(name, 40) for each in boards.values() for name in each.unsupported[:3]))
    shares = ", ".join(f"{name} {portion(each.unsupported_per_mille)}" for name, each in boards.items())
    return (
        f"uncalibrated, not graded: no published measurement supports the work ({operators}) of {clean(shares, 900)}."
    )


def _notes(found: Sequence[Measurement], *, several: bool) -> Iterator[RenderableType]:
    """Say below the tables what a reader must know of some figures, each sentence once, the gravest first."""
    notes: dict[str, list[Measurement]] = {}
    for each in sorted(found, key=lambda each: (each.value != _UNKNOWN, each.status != "uncalibrated")):
        if each.note:
            notes.setdefault(each.note, []).append(each)
    told: list[RenderableType] = []
    for note, those in list(notes.items())[:_MOST_NOTES]:
        about = ", ".join(dict.fromkeys(each.metric for each in those))
        boards = list(dict.fromkeys(each.profile for each in those if each.profile))
        if several and boards:
            about += f" on {clean(boards[0], 60) if len(boards) == 1 else f'{len(boards)} boards'}"
        told.append(_item(f"{about}: {clean(note, 500)}"))
    if len(notes) > _MOST_NOTES:
        told.append(_item(f"{len(notes) - _MOST_NOTES} more notes stand in the document that --json prints."))
    if told:
        yield Group(*told)


def _item(text: str) -> RenderableType:
    """Give a line of a list; what does not fit hangs below its beginning."""
    shown = Table.grid(padding=(0, 1))
    shown.add_row(Text("•"), Text(text, overflow="fold"))
    return shown


# --- Operators -------------------------------------------------------------------------------------------------------


class Layers:
    """What each operator takes on one board, as wide as the terminal: names of layers lose their beginning."""

    def __init__(self, found: Breakdown, most: int) -> None:
        self._found, self._lines = found, lines(found, most)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the title, the table and what is to be said about it."""
        found = self._found
        board = clean(found.profile, 60)
        if found.refusal:
            yield _item(f"No breakdown on {board}: {clean(found.refusal, 500)}")
            return
        yield Text(f"{lasting(found.nanoseconds, 4)} on {board}, operator by operator", style="italic")
        yield self._table(options.max_width)
        if any(not each.calibrated for each in self._lines):
            yield Text("? no published measurement supports most of this time", style="dim")

    def _table(self, width: int) -> Table:
        longest = max((each.nanoseconds for each in self._lines if each.number), default=0) or 1
        counted = any(each.cycles for each in self._lines)
        bound = any(each.bound for each in self._lines)
        heads = ["#", "Operator", "Layer", *(["Cycles"] if counted else []), "Time", "Share", ""]
        shown = table(*heads, *(["Bound"] if bound else []), gap=2, right=("#", "Cycles", "Time", "Share"))
        rows = [_operator(each, longest, counted=counted, bound=bound) for each in self._lines]
        taken = [max(map(cell_len, (head, *texts))) for head, *texts in zip(_heads(shown), *rows, strict=True)]
        room = max(_LEAST_LAYER, width - sum(taken) + taken[2] - 2 * (len(taken) - 1))
        for row in rows:
            cells = [_tail(cell, room) if number == 2 else cell for number, cell in enumerate(row)]
            add(shown, *cells)
        for column in shown.columns:
            column.no_wrap = True
        return shown


def _heads(shown: Table) -> list[str]:
    return [str(column.header) for column in shown.columns]


def _operator(line: Line, longest: int, *, counted: bool, bound: bool) -> list[str]:
    sure = "" if line.calibrated else " ?"
    return [
        line.number,
        line.operator,
        line.layer,
        *([line.cycles] if counted else []),
        line.time,
        line.share,
        _bar(line.nanoseconds if line.number else 0, longest) + sure,
        *([line.bound] if bound else []),
    ]


def _bar(value: int, longest: int) -> str:
    """Give a bar in half blocks, as long as the share of the longest asks for."""
    halves = (4 * _BAR * value + longest) // (2 * longest)
    return "█" * (halves // 2) + "▌" * (halves % 2)


def _tail(layer: str, room: int) -> str:
    """Give the end of a name that is too long, without its operation."""
    if cell_len(layer) <= room:
        return layer
    kept = shorter(layer)
    if cell_len(kept) <= room:
        return kept
    while cell_len(kept) > room - 1:
        kept = kept[1:]
    return f"…{kept}"


# --- One model beside another ----------------------------------------------------------------------------------------


def _comparison(found: Measured) -> Iterator[RenderableType]:
    """One table for the file and a single board, and one with a line per board if there are several."""
    several = len(found.profiles) > 1
    name = clean(Path(found.reference).name, 60)
    shown = table("Metric", "Model", "Reference", "Ratio", title=f"Against {name}", gap=2)
    for column, width in zip(shown.columns, (18, 14, 14, 26), strict=True):
        column.min_width = width
    ours, theirs = _by_metric(found.measurements), _by_metric(found.reference_measurements)
    sources = {ratio: metric for metric, ratio in RATIOS.items()} | {"accuracy_drop_points": "accuracy"}
    for each in found.comparisons:
        if several and each.profile:
            continue
        metric = sources.get(each.metric, each.metric)
        pair = [ours.get((metric, each.profile)), theirs.get((metric, each.profile))]
        value = _lost(each) if each.metric == "accuracy_drop_points" else measured(each) + _doubt(each)
        add(shown, metric, *(_plain(one) for one in pair), value)
    yield shown
    if several and any(each.profile for each in found.comparisons):
        yield _ratios(found)
    if any(map(_doubt, found.comparisons)):
        yield Text("? rests on a figure that is uncalibrated, and is not graded", style="dim")
    unknown = [each for each in found.comparisons if each.value == _UNKNOWN]
    yield from _notes(unknown, several=several)


def _lost(drop: Measurement) -> str:
    value = float(drop.value)
    return f"{figure(abs(value))} {drop.unit} {'gained' if value < 0 else 'lost'}"


def _doubt(found: Measurement) -> str:
    """Mark what is shown and never graded."""
    return " ?" if found.status == "uncalibrated" else ""


def _by_metric(found: Sequence[Measurement]) -> dict[tuple[str, str | None], Measurement]:
    return {(each.metric, each.profile): each for each in found}


def _plain(found: Measurement | None) -> str:
    """Give a figure with its unit and without what stands in the table above."""
    if found is None:
        return ""
    if isinstance(found.value, str):
        return clean(found.value, 12)
    return f"{figure(found.value)} {found.unit}".strip()


def _ratios(found: Measured) -> RenderableType:
    """One line per board: both latencies, and the ratios that it has."""
    ours, theirs = _by_metric(found.measurements), _by_metric(found.reference_measurements)
    ratios = _by_metric(found.comparisons)
    there = [metric for metric in _BY_BOARD if any((metric, name) in ratios for name in found.profiles)]
    timed = any(each.interval for each in found.comparisons if each.profile)
    latencies = any(("latency_ms", name) in ours for name in found.profiles)
    heads = ["Latency\nms", "Reference\nms"] if latencies else []
    for metric in there:
        heads.append(f"{metric.removesuffix('_ratio').capitalize()}\nratio")
        heads += ["95 %\n"] if metric == "latency_ratio" and timed else []
    shown = table("Profile\n", *heads, gap=1, right=heads)
    for name in found.profiles:
        cells = [_cell(each.get(("latency_ms", name))) for each in (ours, theirs)] if latencies else []
        for metric in there:
            each = ratios.get((metric, name))
            cells.append(_cell(each).append(_doubt(each) if each else ""))
            if metric == "latency_ratio" and timed:
                cells.append(Text(f"{each.interval[0]:.3g}-{each.interval[1]:.3g}" if each and each.interval else ""))
        add(shown, clean(name, 60), *cells)
    return shown
