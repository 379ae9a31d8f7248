"""Axes of a chart: where a number stands, and which round numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

from coursekit.records import Record

_LOGARITHMIC = 12.0
"""From this ratio of the largest number to the smallest on, equal ratios are equally far apart."""


class Axis(Record, frozen=True, kw_only=True):
    """A straight line from `start` to `end` on the picture, which stand for `low` and `high`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Give where a number stands, to a tenth; one that is not on the axis stands at its end."""
        at, low, high = ((_log(each) if self.logarithmic else each) for each in (value, self.low, self.high))
        share = min(1.0, max(0.0, (at - low) / (high - low)))
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[float]:
        """Give the round numbers on the axis, `most` or fewer."""
        return (_powers if self.logarithmic else _steps)(self.low, self.high, most)


def times(lows: Sequence[float], highs: Sequence[float], start: float, end: float, kept: float) -> Axis:
    """Give an axis for times above zero whose longest ends `kept` before the axis does, so that its label fits."""
    least, longest = min(lows), max(highs)
    room = end - start
    if longest / least < _LOGARITHMIC:
        return Axis(low=0.0, high=longest * room / (room - kept), start=start, end=end)
    lead = 20.0
    ratio = max(_log(longest / least), 0.1) / (room - kept - lead)
    low = least / 10 ** (ratio * lead)
    return Axis(low=low, high=low * 10 ** (ratio * room), start=start, end=end, logarithmic=True)


def widened(values: Sequence[float], least: float, most: float) -> tuple[float, float]:
    """Give a range that holds these numbers with room around them, but nothing outside what there can be."""
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.05 * (abs(high) or 1.0)
    return max(least, low - room), min(most, high + room)


def _log(value: float) -> float:
    return math.log10(value)


def _steps(low: float, high: float, most: int) -> list[float]:
    """Give the multiples of 1, 2 or 5 times a power of ten; as many as are allowed."""
    exponent = math.floor(math.log10((high - low) / most))
    for digit, power in ((1, 0), (2, 0), (5, 0), (1, 1), (2, 1), (5, 1)):
        step = digit * 10.0 ** (exponent + power)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [_round(number * step) for number in range(first, last + 1)]
    return []


def _powers(low: float, high: float, most: int) -> list[float]:
    """Give powers of ten, and numbers between them where there is room."""
    first, last = math.floor(_log(low)), math.ceil(_log(high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [_round(digit * 10.0**power) for power in range(first, last + 1) for digit in digits]
        inside = [each for each in found if low <= each <= high]
        if len(inside) <= most:
            return inside
    every = math.ceil((last - first + 1) / most)
    return [each for each in (_round(10.0**power) for power in range(first, last + 1, every)) if low <= each <= high]


def _round(value: float) -> float:
    return float(f"{value:.12g}")
