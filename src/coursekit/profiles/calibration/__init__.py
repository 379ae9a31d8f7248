"""The published measurements behind the prices: what each model has to do, and what it took on which board.

`features.csv` counts the work of each model (`coursekit.cost.Unit`), by the hash of its file; the files are not ours
and are not here. `measurements.csv` holds the published figures that prices are fitted to, one line each, with its
source. Only int8 models whose file is known are in it, at one memory placement and one version of a runtime for each
profile; of a figure that was published twice, and of one that its source calls superseded, nothing is.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib import resources
from typing import get_args

from coursekit.cost import Unit
from coursekit.records import Record

UNITS: tuple[Unit, ...] = get_args(Unit)


class Model(Record, frozen=True, kw_only=True):
    """One model: whose file it is, and what it has to do."""

    name: str
    sha256: str
    family: str
    largest_bytes: int
    work: dict[Unit, int]


class Row(Record, frozen=True, kw_only=True):
    """One published figure."""

    profile: str
    model: Model
    board: str
    clock_hz: int
    runtime: str
    milliseconds: float
    energy_uj: float | None
    source: str

    @property
    def cycles(self) -> float:
        """The clock cycles that it took."""
        return self.milliseconds * self.clock_hz / 1000


def rows(profile: str) -> tuple[Row, ...]:
    """Give the measurements that a profile is calibrated on, in the order of the file."""
    models = {line["model"]: _model(line) for line in _lines("features.csv")}
    return tuple(
        Row(
            profile=profile,
            model=models[line["model"]],
            board=line["board"],
            clock_hz=int(line["clock_hz"]),
            runtime=line["runtime"],
            milliseconds=float(line["ms"]),
            energy_uj=float(line["energy_uj"]) if line["energy_uj"] else None,
            source=line["source"],
        )
        for line in _lines("measurements.csv")
        if line["profile"] == profile
    )


def _model(line: dict[str, str]) -> Model:
    return Model(
        name=line["model"],
        sha256=line["sha256"],
        family=line["family"],
        largest_bytes=int(line["largest_bytes"]),
        work={unit: int(line[unit]) for unit in UNITS},
    )


def _lines(file: str) -> Sequence[dict[str, str]]:
    text = (resources.files(__name__) / file).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
