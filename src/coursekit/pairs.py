"""How many times slower one thing is than another, from runs that were timed in pairs, and how sure that is.

A pair holds four samples in the order A, B, B, A, so that a drift which is even over the four adds the same to both.
Its ratio is A's time for one inference by B's; logarithms make a ratio and its inverse equally far from 1. The figure
is the median over pairs, which one disturbed pair does not move, and its interval a percentile bootstrap of that median
(Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): 95 % of intervals made like this hold the
true ratio if pairs are independent. Whoever times makes them so, by a fresh process for each. Times are nanoseconds,
ratios are plain numbers, and the same samples always give the same figures.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from coursekit.records import Record

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 20_270_101
_TAIL = round(RESAMPLES * (1 - CONFIDENCE) / 2)

Samples = tuple[int, int, int, int]
"""The times of A, B, B, A."""


class Ratio(Record, frozen=True, kw_only=True):
    """A's time by B's: the median over pairs, and the two ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """How much larger the upper end is than the lower, as a share: 0.03 from 0.985 to 1.015."""
        return self.high / self.low - 1


def log_ratio(samples: Samples, a_loops: int, b_loops: int) -> float:
    """Give the logarithm of A's time by B's in one pair, where a sample of A holds `a_loops` inferences."""
    first, second, third, fourth = samples
    return math.log((first + fourth) * b_loops) - math.log((second + third) * a_loops)


def ratio(logs: Sequence[float]) -> Ratio:
    """Give the ratio of pairs whose logarithms these are, at least one, with its interval. Ratios have six digits."""
    draw = random.Random(_SEED)  # noqa: S311 - it must repeat, not surprise
    medians = sorted(_median(draw.choices(logs, k=len(logs))) for _ in range(RESAMPLES))
    ends = _median(logs), medians[_TAIL - 1], medians[-_TAIL]
    value, low, high = (float(f"{math.exp(end):.6g}") for end in ends)
    return Ratio(value=value, low=low, high=high)


def quiet(same: Ratio, spread: float) -> bool:
    """Say whether a machine can time: a thing against itself came out at 1, to within a share, and surely enough."""
    return same.width <= spread and same.low <= 1 + spread and same.high >= 1 / (1 + spread)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
