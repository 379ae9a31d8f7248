"""A figure of a model by the same figure of another: one definition for targets, tables and charts."""

from __future__ import annotations

import math
from typing import get_args

import msgspec

from coursekit.figures import figure
from coursekit.measure.asking import UNKNOWN
from coursekit.records import Measurement, Status

RATIOS = {
    "file_bytes": "file_ratio",
    "weight_bytes": "weight_ratio",
    "macs": "macs_ratio",
    "arena_bytes": "arena_ratio",
    "latency_ms": "latency_ratio",
    "energy_uj": "energy_ratio",
}
"""A figure's metric -> that of its ratio."""

_TAKEN = {"latency_ms", "energy_uj"}
"""What every model takes some of: nothing is no measurement, and no ratio of nothing is a gain."""


def ratio(found: Measurement, reference: Measurement, name: str) -> Measurement:
    """Give the ratio of two figures of one metric on one profile; `name` is the reference's, for the note.

    `unknown`, with the reason, where one of them is no number or there is nothing to divide by. The status is the
    weaker of the two. The band is that of two errors which know nothing of each other, the root of the sum of their
    squares: errors of one board cancel between models of one family, and between others they do not (README.md).
    """
    ratio_of = RATIOS[found.metric]
    why = _nothing(found, "", 0 if found.metric in _TAKEN else -1) or _nothing(reference, f" for '{name}'", 0)
    if why or isinstance(found.value, str) or isinstance(reference.value, str):
        return msgspec.structs.replace(
            found, metric=ratio_of, value=UNKNOWN, unit="", band=0.0, status="exact", note=why, interval=None
        )
    told = f"{figure(found.value)} {found.unit} against {figure(reference.value)} {found.unit} of '{name}'"
    unsure = [each.note for each in (found, reference) if each.status == "uncalibrated"]
    return msgspec.structs.replace(
        found,
        metric=ratio_of,
        value=round(found.value / reference.value, 6),
        unit="",
        band=round(math.hypot(found.band, reference.band), 4),
        status=max(found.status, reference.status, key=get_args(Status).index),
        note=" ".join([f"{told}." if unsure else told, *dict.fromkeys(unsure)]),
        interval=None,
    )


def _nothing(found: Measurement, whose: str, least: int) -> str:
    """Say why no ratio can be drawn from a figure that is no number or is not more than this; empty if one can."""
    if not isinstance(found.value, str) and found.value > least:
        return ""
    where = f" on {found.profile}" if found.profile else ""
    told = f"{found.metric}{where} is {found.value}{whose}, and no ratio can be drawn from it."
    return f"{told} {found.note}".strip() if found.value == UNKNOWN else told
