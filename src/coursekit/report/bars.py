"""Where a figure, its error band and its marks stand on a bar, in per cent of the bar's width."""

from __future__ import annotations

import math
from typing import Literal

from coursekit.figures import figure
from coursekit.records import Measurement, Record, Target
from coursekit.report.phrases import marks

_REACH = 2.0
"""A figure further beyond its marks than this many spans is drawn at the edge, with an arrow."""


class Zone(Record, frozen=True, kw_only=True):
    """A stretch of the bar: none of the points, part of them, or all."""

    kind: Literal["none", "part", "all"]
    x: float
    width: float


class Tick(Record, frozen=True, kw_only=True):
    """A mark below the bar, with its words beside it on the outer side."""

    x: float
    anchor: Literal["start", "end"]
    text: str


class Bar(Record, frozen=True, kw_only=True):
    """A figure against its marks."""

    zones: tuple[Zone, ...]
    ticks: tuple[Tick, ...]
    x: float
    beyond: Literal["", "left", "right"]
    """Past which edge the figure lies, if it is not on the bar."""
    low: float
    high: float
    """The ends of the error band, cut at the edges of the bar."""


def bar(measurement: Measurement, target: Target | None) -> Bar | None:
    """Give the bar of a figure; None if it has no marks or is no number."""
    band, value = marks(target), measurement.value
    if band is None or target is None or isinstance(value, str) or not math.isfinite(value):
        return None
    low, high = _range(band.pass_, band.full, value)

    def place(number: float) -> float:
        return round(max(0.0, min(100.0, 100 * (number - low) / (high - low))), 2)

    worst, best = place(band.pass_), place(band.full)
    left, right = min(worst, best), max(worst, best)
    kinds: tuple[Literal["none", "part", "all"], ...] = ("none", "part", "all")
    edges = (0.0, left, right, 100.0)
    reach = abs(value) * measurement.band
    return Bar(
        zones=tuple(
            Zone(kind=kind, x=start, width=round(end - start, 2))
            for kind, start, end in zip(kinds if target.at_least else kinds[::-1], edges, edges[1:], strict=False)
            if end > start
        ),
        ticks=_ticks(band.pass_, band.full, worst, best),
        x=place(value),
        beyond="left" if value < low else "right" if value > high else "",
        low=place(value - reach),
        high=place(value + reach),
    )


def _range(pass_: float, full: float, value: float) -> tuple[float, float]:
    """Give the ends of the bar: the marks with room on both sides, and the figure if it is not far off."""
    least, most = min(pass_, full), max(pass_, full)
    span = most - least or abs(most) / 2 or 1.0
    low, high = least - span, most + span
    if least - _REACH * span <= value <= most + _REACH * span:
        low, high = min(low, value - span / 4), max(high, value + span / 4)
    return (0.0 if least >= 0 > low and value >= 0 else low), high


def _ticks(pass_: float, full: float, worst: float, best: float) -> tuple[Tick, ...]:
    if pass_ == full:
        side: Literal["start", "end"] = "start" if best < 50 else "end"
        return (Tick(x=best, anchor=side, text=f"pass and full {figure(full)}"),)
    return (
        Tick(x=worst, anchor="end" if worst < best else "start", text=f"pass {figure(pass_)}"),
        Tick(x=best, anchor="start" if worst < best else "end", text=f"full {figure(full)}"),
    )
