"""The published latencies that rooflines are held to, and how far off they are.

`rooflines.csv` has one published figure on each line, with its source: an anchor gave a type its efficiency, a check
was not used for that. `loads.csv` has what the operators of each model compute and move, as the engine counts it;
operators that do the same are on one line, where the first of them stood. The models were built from their
architectures with random weights, because the files that were timed are not ours; figures for whole models do not
depend on the values of weights.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib import resources

from coursekit.profiles import Profile
from coursekit.profiles.rooflines import bounds, whole
from coursekit.records import Record


class Load(Record, frozen=True, kw_only=True):
    """One operator: what it computes and moves."""

    dtype: str
    depthwise: bool
    macs: int
    activation_bytes: int
    weight_bytes: int


class Row(Record, frozen=True, kw_only=True):
    """One published figure."""

    model: str
    family: str
    dtype: str
    milliseconds: float
    anchor: bool
    """True if an efficiency of the profile was chosen so that this figure comes out."""
    ends_bytes: int
    """What goes in and out of the model."""
    loads: tuple[Load, ...]
    source: str


def rows(profile: str) -> tuple[Row, ...]:
    """Give the published figures for a profile, in the order of the file."""
    loads = _loads()
    return tuple(
        Row(
            model=line["model"],
            family=line["family"],
            dtype=line["dtype"],
            milliseconds=float(line["ms"]),
            anchor=line["use"] == "anchor",
            ends_bytes=int(line["ends_bytes"]),
            loads=loads[line["model"], line["dtype"]],
            source=line["source"],
        )
        for line in _lines("rooflines.csv")
        if line["profile"] == profile
    )


def miss(board: Profile, row: Row) -> float:
    """Give by which share of a published figure the profile's roofline is too slow, or too fast where negative."""
    if board.roofline is None:
        raise ValueError(board.name)
    if board.edgetpu:
        found = bounds(row.loads, board.roofline, board.edgetpu.cache_bytes)
        took = whole(found, board.roofline, row.ends_bytes)
    else:
        took = whole(bounds(row.loads, board.roofline), board.roofline)
    return took / 10**9 / row.milliseconds - 1


def _loads() -> dict[tuple[str, str], tuple[Load, ...]]:
    found: dict[tuple[str, str], list[Load]] = {}
    for line in _lines("loads.csv"):
        load = Load(
            dtype=line["dtype"],
            depthwise=line["depthwise"] == "1",
            macs=int(line["macs"]),
            activation_bytes=int(line["activation_bytes"]),
            weight_bytes=int(line["weight_bytes"]),
        )
        found.setdefault((line["model"], line["dtype"]), []).extend([load] * int(line["times"]))
    return {model: tuple(each) for model, each in found.items()}


def _lines(file: str) -> Sequence[dict[str, str]]:
    text = (resources.files(__package__ or "") / file).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
