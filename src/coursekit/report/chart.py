"""Models on boards as one SVG picture: latency to the right, accuracy or size upwards, size as the marker's area.

Black and white says all of it: a filled marker is the model and a hollow one its reference; a shape and a label are a
board.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from coursekit.figures import figure, memory
from coursekit.records import Measurement, Record
from coursekit.report import marks
from coursekit.report.axes import Axis, times, widened
from coursekit.report.drawing import EDGE, LARGE, NORMAL, SMALL, WIDTH, beginning, ending, text_width
from coursekit.report.phrases import clean
from coursekit.report.templates import template

_LEFT, _RIGHT = 84.0, WIDTH - EDGE
_RADIUS, _SMALL_RADIUS, _LEAST_RADIUS = 9.0, 6.5, 3.0
_FEW = 8
"""With more markers than this they are drawn smaller, so that they show their error bands."""
_TIER, _CLEAR, _FLAG = 14.0, 24.0, 4.0
"""How far labels stand above each other, off their markers, and beside their leaders."""
_KEY = 24.0
_HEAD = 62.0


class Subject(Record, frozen=True, kw_only=True):
    """One model file with its latency on each board."""

    name: str
    file_bytes: int
    accuracy: Measurement | None = None
    latencies: tuple[Measurement, ...] = ()


class Tick(Record, frozen=True, kw_only=True):
    """A round number on an axis."""

    at: float
    text: str


class Mark(Record, frozen=True, kw_only=True):
    """A model on a board, with the ends of its error band and its label."""

    x: float
    y: float
    low: float
    high: float
    path: str
    hollow: bool
    unsure: bool
    """Its latency is uncalibrated."""
    label: str
    label_y: float
    leader_y: float
    """Where the line from the marker to the label ends."""


class Key(Record, frozen=True, kw_only=True):
    """A model's line above the picture."""

    y: float
    path: str
    hollow: bool
    name: str
    told: str


class Level(Record, frozen=True, kw_only=True):
    """How high a model stands, and the interval of its accuracy."""

    y: float
    top: float
    height: float


class Picture(Record, frozen=True, kw_only=True):
    """All that is drawn; every text is final but for escaping."""

    title: str
    description: str
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_title: str
    y_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    keys: tuple[Key, ...]
    levels: tuple[Level, ...]
    marks: tuple[Mark, ...]
    remark: str


class _Point(Record, frozen=True, kw_only=True):
    """A latency that can be drawn; `up` says on which side of the marker the label stands."""

    subject: int
    profile: str
    ms: float
    band: float
    unsure: bool
    up: bool = True


def chart(found: Sequence[Subject]) -> str:
    """Give a model, and its reference if there is one, as an SVG document: the same records give the same bytes."""
    return template("chart.svg.jinja").render(picture=_picture(found), width=WIDTH, edge=EDGE)


def _picture(found: Sequence[Subject]) -> Picture:
    accurate = all(each.accuracy for each in found)
    points = _sided(
        [each for number, subject in enumerate(found) for each in _points(number, subject)], found, accurate
    )
    across = _across(points)
    upwards = _upwards(found, accurate)
    radii = _radii(found, _RADIUS if len(points) <= _FEW else _SMALL_RADIUS)
    drawn = _marks(points, across, [upwards.place(_height(each, accurate)) for each in found], radii)
    top = _HEAD + _KEY * len(found)
    moved = top + 8 - min([upwards.end - 14, *(each.label_y - 12 for each in drawn)])
    lowest = max([upwards.start + 14, *(each.label_y + 6 for each in drawn)])
    bottom = round(lowest + moved + 4, 1)
    remark = _remark(found)
    return Picture(
        title=_title(found, accurate),
        description=_description(found, points),
        height=round(bottom + 50 + (22 if remark else 0), 1),
        left=_LEFT,
        right=_RIGHT,
        top=top,
        bottom=bottom,
        x_title="Latency in ms" + (", logarithmic" if across.logarithmic else ""),
        y_title="Accuracy in %, grey: 95 % interval" if accurate else "Size of the file",
        x_ticks=_x_ticks(across) if points else (),
        y_ticks=_y_ticks(upwards, moved, accurate),
        keys=tuple(_key(number, subject, radii[number]) for number, subject in enumerate(found)),
        levels=tuple(_moved_level(_level(each, upwards, accurate), moved) for each in found),
        marks=tuple(_moved(each, moved) for each in drawn),
        remark=beginning(remark, SMALL, WIDTH - 2 * EDGE),
    )


# --- What is drawn ---------------------------------------------------------------------------------------------------


def _points(number: int, subject: Subject) -> list[_Point]:
    return [
        _Point(
            subject=number,
            profile=each.profile or "",
            ms=float(each.value),
            band=min(each.band, 0.95),
            unsure=each.status == "uncalibrated",
        )
        for each in subject.latencies
        if _drawable(each)
    ]


def _drawable(found: Measurement) -> bool:
    return not isinstance(found.value, str) and math.isfinite(found.value) and found.value > 0


def _sided(points: Sequence[_Point], found: Sequence[Subject], accurate: bool) -> list[_Point]:
    """Label the upper model above and the lower one below; a single one with many labels on both sides."""
    if len(found) > 1:
        upper = max(range(len(found)), key=lambda number: (_height(found[number], accurate), -number))
        return [msgspec.structs.replace(each, up=each.subject == upper) for each in points]
    order = sorted(range(len(points)), key=lambda number: (points[number].ms, number))
    below = set(order[1::2]) if len(points) > 4 else set()
    return [msgspec.structs.replace(each, up=number not in below) for number, each in enumerate(points)]


def _height(subject: Subject, accurate: bool) -> float:
    return 100 * float(subject.accuracy.value) if accurate and subject.accuracy else float(subject.file_bytes)


def _interval(subject: Subject) -> tuple[float, float] | None:
    """Give the interval of the accuracy in per cent."""
    found = subject.accuracy.interval if subject.accuracy else None
    return (100 * found[0], 100 * found[1]) if found else None


def _radii(found: Sequence[Subject], most: float) -> list[float]:
    """Give radii whose squares are as the sizes of the files; a tiny file is drawn so that it shows."""
    largest = max(each.file_bytes for each in found) or 1
    return [round(max(_LEAST_RADIUS, most * math.sqrt(each.file_bytes / largest)), 1) for each in found]


# --- Where it stands -------------------------------------------------------------------------------------------------


def _across(points: Sequence[_Point]) -> Axis:
    """Give the axis of latencies, with just so much room at its end that every label fits."""
    if not points:
        return Axis(low=0.0, high=1.0, start=_LEFT, end=_RIGHT)
    lows = [each.ms * (1 - each.band) for each in points]
    highs = [each.ms * (1 + each.band) for each in points]
    for kept in range(16, 400, 8):
        axis = times(lows, highs, _LEFT, _RIGHT, kept)
        if all(axis.place(each.ms) + _FLAG + text_width(_label(each), SMALL) < _RIGHT for each in points):
            break
    return axis


def _upwards(found: Sequence[Subject], accurate: bool) -> Axis:
    """Give the axis of accuracy or size; its zero on the picture is wherever the labels leave room."""
    length = 190.0 if len(found) > 1 else 100.0
    values = [_height(each, accurate) for each in found]
    if not accurate:
        return Axis(low=0.0, high=1.15 * max(values) or 1.0, start=length, end=0.0)
    values += [each for subject in found for each in _interval(subject) or ()]
    low, high = widened(values, 0.0, 100.0)
    return Axis(low=low, high=high, start=length, end=0.0)


def _marks(points: Sequence[_Point], across: Axis, levels: Sequence[float], radii: Sequence[float]) -> list[Mark]:
    """Give the markers of all points, those of large files first, so that small ones lie on top."""
    shapes = {name: marks.SHAPES[number % len(marks.SHAPES)] for number, name in enumerate(_profiles(points))}
    found: list[tuple[float, Mark]] = []
    for up in (True, False):
        side = [each for each in points if each.up == up]
        places = [across.place(each.ms) for each in side]
        tiers = marks.tiers(places, [_FLAG + text_width(_label(each), SMALL) + 6 for each in side])
        for each, x, tier in zip(side, places, tiers, strict=True):
            y, out = levels[each.subject], _CLEAR + _TIER * (tier - 1)
            mark = Mark(
                x=x,
                y=y,
                low=across.place(each.ms * (1 - each.band)),
                high=across.place(each.ms * (1 + each.band)),
                path=marks.outline(shapes[each.profile], radii[each.subject]),
                hollow=each.subject > 0,
                unsure=each.unsure,
                label=_label(each),
                label_y=y - out if up else y + out + 8,
                leader_y=y - out - 8 if up else y + out + 8,
            )
            found.append((radii[each.subject], mark))
    return [mark for _, mark in sorted(found, key=lambda each: -each[0])]


def _moved(mark: Mark, by: float) -> Mark:
    ys = {name: round(getattr(mark, name) + by, 1) for name in ("y", "label_y", "leader_y")}
    return msgspec.structs.replace(mark, **ys)


def _level(subject: Subject, upwards: Axis, accurate: bool) -> Level:
    y = upwards.place(_height(subject, accurate))
    interval = _interval(subject) if accurate else None
    top, foot = (upwards.place(interval[1]), upwards.place(interval[0])) if interval else (y, y)
    return Level(y=y, top=top, height=round(foot - top, 1))


def _moved_level(level: Level, by: float) -> Level:
    return Level(y=round(level.y + by, 1), top=round(level.top + by, 1), height=level.height)


# --- What is said ----------------------------------------------------------------------------------------------------


def _x_ticks(axis: Axis) -> tuple[Tick, ...]:
    """Give the numbers on the axis of latencies; one that would touch its neighbour or leave the page is left out."""
    found: list[Tick] = []
    free = 0.0
    for each in axis.ticks(8):
        at, text = axis.place(each), _plain(each)
        half = text_width(text, SMALL) / 2
        if at - half > free and at + half < WIDTH:
            found.append(Tick(at=at, text=text))
            free = at + half + 8
    return tuple(found)


def _y_ticks(axis: Axis, moved: float, accurate: bool) -> tuple[Tick, ...]:
    """Give the numbers on the upward axis, each text once."""
    texts = {_written(each, accurate): each for each in reversed(axis.ticks(5))}
    return tuple(Tick(at=round(axis.place(each) + moved, 1), text=text) for text, each in texts.items())


def _profiles(points: Sequence[_Point]) -> list[str]:
    return list(dict.fromkeys(each.profile for each in points))


def _label(point: _Point) -> str:
    return f"{beginning(point.profile, SMALL, 210)}  {_plain(point.ms)} ms{' ?' if point.unsure else ''}"


def _plain(value: float) -> str:
    """Write a number with three digits that count, and without an exponent."""
    short = float(f"{value:.3g}")
    if short >= 1_000 or short == 0:
        return f"{short:,.0f}"
    return f"{short:.12f}".rstrip("0").rstrip(".")


def _written(value: float, accurate: bool) -> str:
    return f"{value:g}" if accurate else memory(value)


def _title(found: Sequence[Subject], accurate: bool) -> str:
    what = "Accuracy, size and latency" if accurate else "Size and latency"
    whole = f"{what} of {' and '.join(clean(each.name, 80) for each in found)}"
    return whole if text_width(whole, 1.06 * LARGE) <= WIDTH - 2 * EDGE else what


def _key(number: int, subject: Subject, radius: float) -> Key:
    name = ending(subject.name, NORMAL, 300)
    return Key(
        y=_HEAD + _KEY * number,
        path=marks.outline("circle", radius),
        hollow=number > 0,
        name=name,
        told=" · ".join([*(["reference"] if number else []), memory(subject.file_bytes), *_accuracy(subject)]),
    )


def _accuracy(subject: Subject) -> list[str]:
    if subject.accuracy is None:
        return []
    interval = _interval(subject)
    sure = f" (95 %: {interval[0]:.1f} to {interval[1]:.1f} %)" if interval else ""
    return [f"accuracy {100 * float(subject.accuracy.value):.1f} %{sure}"]


def _remark(found: Sequence[Subject]) -> str:
    """Name what is unsure and what is not in the picture."""
    each_of = [(number, each) for number, subject in enumerate(found) for each in subject.latencies]
    drawn = [each for _, each in each_of if _drawable(each)]
    if not drawn:
        return "No latency is known here: name a profile that has one."
    lacking = [
        f"{clean(each.profile or '', 60)}{' (reference)' if number else ''}"
        for number, each in each_of
        if not _drawable(each)
    ]
    unsure = any(each.status == "uncalibrated" for each in drawn)
    told = ["? uncalibrated: not graded."] if unsure else []
    return " ".join([*told, *([f"{len(lacking)} without a latency: {', '.join(lacking)}."] if lacking else [])])


def _description(found: Sequence[Subject], points: Sequence[_Point]) -> str:
    """Say what the picture shows, for those who do not see it."""
    told = []
    for number, subject in enumerate(found):
        figures = ", ".join([memory(subject.file_bytes), *_accuracy(subject)])
        own = [each for each in points if each.subject == number]
        latencies = "; ".join(
            f"{clean(each.profile, 60)} {figure(each.ms)} ms" + (f" ±{figure(100 * each.band)} %" if each.band else "")
            for each in own
        )
        told.append(f"{clean(subject.name, 80)}: {figures}. {latencies or 'No latency'}.")
    return clean(" ".join(told), 4_000)
