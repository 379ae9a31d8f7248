"""What a model's work costs on a board: kinds of work, their prices, and the sum, in whole numbers.

A price is thousandths of a clock cycle per unit of work; what a model costs is a sum of products of whole numbers, so
it is the same on every machine, in any order. Prices come from published measurements (`calibration`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from coursekit.records import Record

Unit = Literal[
    "point_macs",
    "kernel_macs",
    "first_macs",
    "depthwise_macs",
    "dense_macs",
    "filter_outputs",
    "depthwise_outputs",
    "pixel_values",
    "patch_values",
    "element_values",
    "scaled_values",
    "curve_values",
    "window_values",
    "mean_values",
    "resized_values",
    "moved_values",
    "converted_values",
    "traffic_bytes",
    "steps",
    "shape_steps",
    "other_macs",
    "other_values",
]
"""The kinds of work that are priced apart.

Multiply-accumulates: of 1x1 convolutions, of larger kernels, of layers that read an image (four channels or fewer),
depthwise, dense. `filter_outputs` and `depthwise_outputs` are sums that are scaled back to 8 bits; `pixel_values` and
`patch_values` are inputs that a 1x1 or a larger kernel gathers, once for all its filters. Then values of element-wise
operators, of maps scaled by another computed tensor, of curves (softmax, sigmoid), of pooling windows, of means,
resized, moved, and converted to another type. `traffic_bytes` is what operators read and write, and costs only where
it leaves the fast memory. A step is one operator; a shape step only renames a tensor's sizes. `other_` is work of
operators or number types for which there are no published measurements: dear, and never free.
"""

ROOM = (5, 4)
"""A runtime holds about 5/4 of the largest tensor at once: over the 36 ST rows with both figures the reported
activation RAM is 1.0 to 1.7 times the largest tensor, the large ones (over 400 KiB) 1.0 to 1.3 times."""


class Cost(Record, frozen=True, kw_only=True):
    """The prices of one board with one runtime, and how far off they were on models they had not seen."""

    milli_cycles: dict[Unit, int]
    """Thousandths of a cycle per unit; every unit has a price, and none is free."""
    calibrated: tuple[Unit, ...]
    """Units that calibration models spend at least 1 % of their time on; the others have the prior's price."""
    fast_bytes: int = 0
    """Memory for activations beyond which they lie outside and their traffic costs; 0 if they never do."""
    prior: str
    """The shape that prices lean on where measurements are few."""
    band: float
    """Published half-width of the error band, as a share of the figure."""
    rows: int = 0
    """Measurements that the prices were fitted to; 0 for prices taken over from another profile."""
    file_error: float = 0.0
    """Mean absolute error on models left out one by one, as a share."""
    family_error: float = 0.0
    """The same, leaving out all models of one family at a time."""
    inside: float = 0.0
    """The share of left-out models, by families, whose measurement lies in the band."""
    taken_from: str = ""
    """The profile whose prices these are, where this board has no measurements of its own."""


class Power(Record, frozen=True, kw_only=True):
    """What the board draws while it computes."""

    active_uw: int
    """Microwatts, the median of energy by latency over the measurements."""
    band: float
    """Published half-width of the error band of an energy, as a share."""


def outside(largest_bytes: int, fast_bytes: int) -> bool:
    """True if a model whose largest activation has this size does not fit into the fast memory."""
    held, of = ROOM
    return bool(fast_bytes) and largest_bytes * held > fast_bytes * of


def prices(cost: Cost, largest_bytes: int) -> dict[Unit, int]:
    """Give the prices that hold for a model whose largest activation has this size."""
    free = set() if outside(largest_bytes, cost.fast_bytes) else {"traffic_bytes"}
    return {unit: price for unit, price in cost.milli_cycles.items() if unit not in free}


def milli_cycles(work: Mapping[Unit, int], priced: Mapping[Unit, int]) -> int:
    """Give what this work costs at these prices."""
    return sum(count * priced.get(unit, 0) for unit, count in work.items())
