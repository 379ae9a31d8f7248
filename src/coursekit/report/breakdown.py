"""What each operator of a model takes, as bars in one SVG picture: black and white, and of itself alone."""

from __future__ import annotations

from collections.abc import Sequence

from coursekit.figures import figure, lasting
from coursekit.records import Breakdown, Record
from coursekit.report import layers
from coursekit.report.drawing import EDGE, LARGE, NORMAL, SMALL, WIDTH, beginning, ending, text_width
from coursekit.report.phrases import clean
from coursekit.report.templates import template

MOST = 24
"""So many operators of a model have a bar of their own."""

_ROW = 19.0
_NUMBER, _OPERATOR, _LAYER = 28.0, 140.0, 184.0
_GAP = 8.0
_LONGEST_OPERATOR, _LONGEST_LAYER = _OPERATOR - _GAP, _LAYER - _GAP


class Row(Record, frozen=True, kw_only=True):
    """One bar with its words; y is the middle of the row."""

    y: float
    number: str
    operator: str
    layer: str
    width: float
    value: str
    others: bool
    calibrated: bool


class Panel(Record, frozen=True, kw_only=True):
    """The bars of one board."""

    y: float
    title: str
    total: str
    rows: tuple[Row, ...]
    remark: str = ""
    remark_y: float = 0.0


class Sheet(Record, frozen=True, kw_only=True):
    """The whole picture."""

    height: float
    title: str
    description: str
    operators: float
    layers: float
    bars: float
    """Where the columns begin."""
    panels: tuple[Panel, ...]
    hatched: bool


def bars(found: Sequence[Breakdown], model: str, most: int = MOST) -> str:
    """Give the breakdowns of one model as an SVG document: the same records give the same bytes."""
    left = EDGE + _NUMBER + _OPERATOR + _LAYER
    y, panels = 70.0, []
    for each in found:
        panels.append(_panel(each, y, left, most))
        y = panels[-1].remark_y + 42 if panels[-1].remark else (panels[-1].rows[-1].y if panels[-1].rows else y) + 52
    hatched = any(not row.calibrated for panel in panels for row in panel.rows)
    height = round((y if panels else 96.0) + (8 if hatched else -24), 1)
    sheet = Sheet(
        height=height,
        title=beginning(f"Time of each operator of {clean(model, 80)}", LARGE, WIDTH - 2 * EDGE),
        description=_description(panels),
        operators=EDGE + _NUMBER,
        layers=left - _LAYER,
        bars=left,
        panels=tuple(panels),
        hatched=hatched,
    )
    return template("breakdown.svg.jinja").render(sheet=sheet, width=WIDTH, edge=EDGE)


def _panel(found: Breakdown, y: float, left: float, most: int) -> Panel:
    shown = layers.lines(found, most)
    longest = max((each.nanoseconds for each in shown), default=0) or 1
    values = ["  ".join(_words(each)) for each in shown]
    room = WIDTH - EDGE - left - _GAP - max((text_width(value, SMALL) for value in values), default=0)
    rows = tuple(
        Row(
            y=round(y + 26 + number * _ROW, 1),
            number=each.number,
            operator=beginning(each.operator, SMALL, _LONGEST_OPERATOR),
            layer=_layer(each.layer),
            width=round(max(0.5, room * each.nanoseconds / longest), 1),
            value=value,
            others=not each.number,
            calibrated=each.calibrated,
        )
        for number, (each, value) in enumerate(zip(shown, values, strict=True))
    )
    remark = found.refusal or found.note
    return Panel(
        y=round(y, 1),
        title=beginning(found.profile, NORMAL, 400),
        total="" if found.refusal else _total(found),
        rows=rows,
        remark=beginning(remark, SMALL, WIDTH - 2 * EDGE),
        remark_y=round(y + 26 + len(rows) * _ROW + 2, 1),
    )


def _layer(name: str) -> str:
    fits = text_width(name, SMALL) <= _LONGEST_LAYER
    return ending(name if fits else layers.shorter(name), SMALL, _LONGEST_LAYER)


def _words(line: layers.Line) -> list[str]:
    """Give what stands beside a bar; a question mark says what a hatched bar too short to show it cannot."""
    told = [line.time, line.share, line.bound, "" if line.calibrated else "?"]
    return [each for each in told if each]


def _total(found: Breakdown) -> str:
    band = f" ±{figure(100 * found.band)} %" if found.band else ""
    return f"{lasting(found.nanoseconds, 4)}{band}, {found.status}"


def _description(panels: Sequence[Panel]) -> str:
    """Say what the picture shows, for those who do not see it: the board, its time and its dearest operator."""
    told = []
    for panel in panels:
        single = [row for row in panel.rows if not row.others]
        dearest = max(single, key=lambda row: row.width, default=None)
        most = f"; the most by operator {dearest.number}, {dearest.operator}: {dearest.value}" if dearest else ""
        told.append(f"{panel.title}: {panel.total or panel.remark}{most}.")
    return clean(" ".join(told), 2_000) or "There is no breakdown."
