"""Prices from measurements: a ridge in the logarithm towards a prior shape, and its error on models left out.

Every price is positive because its logarithm is fitted; relative errors count, so that a model of a millisecond weighs
as much as one of a second; a kind of work that no measurement exercises keeps the prior's price on the board's scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from coursekit.cost import Unit, outside
from coursekit.profiles.calibration import UNITS, Row
from coursekit.profiles.calibration.priors import PRIORS
from coursekit.records import Record

Floats = npt.NDArray[np.float64]

STIFFNESS = 0.1
"""What one e-fold between a price and its prior weighs against an error of one e-fold in a measurement."""

SHARE = 0.01
"""A kind of work is calibrated if a measured model spends at least this share of its time on it."""

_STEPS = 100


class Misses(Record, frozen=True, kw_only=True):
    """Relative errors of predictions for rows that were left out, in the order of the rows: 0.1 is 10 % too slow."""

    by_file: tuple[float, ...]
    by_family: tuple[float, ...]


def fit(rows: Sequence[Row], prior: str, fast_bytes: int) -> dict[Unit, int]:
    """Give the prices in thousandths of a cycle, to three digits that count; the smallest is 1."""
    prices = np.exp(_fit(_work(rows, fast_bytes), _cycles(rows), _shape(prior)))
    return {unit: max(1, _three_digits(1000 * price)) for unit, price in zip(UNITS, prices, strict=True)}


def calibrated(rows: Sequence[Row], prices: dict[Unit, int], fast_bytes: int) -> tuple[Unit, ...]:
    """Give the units that some model spends a share of its time on that a measurement can tell."""
    spent = _work(rows, fast_bytes) * np.array([prices[unit] for unit in UNITS], np.float64)
    shares = (spent / spent.sum(axis=1, keepdims=True)).max(axis=0)
    return tuple(unit for unit, share in zip(UNITS, shares, strict=True) if share >= SHARE)


def misses(rows: Sequence[Row], prior: str, fast_bytes: int) -> Misses:
    """Fit without one model at a time, then without one family at a time, and predict what was left out."""
    return Misses(
        by_file=_left_out(rows, prior, fast_bytes, lambda row: row.model.sha256),
        by_family=_left_out(rows, prior, fast_bytes, lambda row: row.model.family),
    )


def energy_misses(rows: Sequence[Row], by_family: Sequence[float]) -> tuple[float, ...]:
    """Give the relative errors of energies: time of a left-out family times the median power of the other families."""
    metered = [(row, miss) for row, miss in zip(rows, by_family, strict=True) if row.energy_uj]
    found = []
    for row, miss in metered:
        others = [_power(other) for other, _ in metered if other.model.family != row.model.family]
        if others:
            found.append((1 + miss) * float(np.median(others)) / _power(row) - 1)
    return tuple(found)


def active_uw(rows: Sequence[Row]) -> int:
    """Give the median power in microwatts over the rows that have an energy, to three digits; 0 if none has."""
    powers = [_power(row) for row in rows if row.energy_uj]
    return _three_digits(float(np.median(powers))) if powers else 0


def _power(row: Row) -> float:
    return 1000 * (row.energy_uj or 0.0) / row.milliseconds


def _left_out(rows: Sequence[Row], prior: str, fast_bytes: int, key: Callable[[Row], str]) -> tuple[float, ...]:
    work, cycles, shape = _work(rows, fast_bytes), _cycles(rows), _shape(prior)
    keys = np.array([key(row) for row in rows])
    found = np.zeros(len(rows))
    for each in sorted(set(keys)):
        out = keys == each
        if out.all():
            return ()
        prices = np.exp(_fit(work[~out], cycles[~out], shape))
        found[out] = work[out] @ prices / cycles[out] - 1
    return tuple(found.tolist())


def _fit(work: Floats, cycles: Floats, shape: Floats) -> Floats:
    """Minimise the squared errors of the logarithm plus the pull towards the shape, whose scale is free: Gauss-Newton.

    `work` is rows by units, `shape` the logarithm of the prior; gives the logarithm of cycles per unit.
    """
    count = len(shape)
    pull = STIFFNESS * (np.eye(count) - np.full((count, count), 1 / count))
    wanted = np.log(cycles)
    found: Floats = shape + (wanted - np.log(work @ np.exp(shape))).mean()
    for _ in range(_STEPS):
        spent = work * np.exp(found)
        predicted = spent.sum(axis=1)
        slope = spent / predicted[:, None]
        down = slope.T @ (np.log(predicted) - wanted) + pull @ (found - shape)
        step = np.linalg.solve(slope.T @ slope + pull + 1e-9 * np.eye(count), down)
        found = found - step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return found


def _work(rows: Sequence[Row], fast_bytes: int) -> Floats:
    counts = np.array([[row.model.work[unit] for unit in UNITS] for row in rows], np.float64)
    slow = np.array([outside(row.model.largest_bytes, fast_bytes) for row in rows])
    counts[:, UNITS.index("traffic_bytes")] *= slow
    return counts


def _cycles(rows: Sequence[Row]) -> Floats:
    return np.array([row.cycles for row in rows], np.float64)


def _shape(prior: str) -> Floats:
    return np.log(np.array([PRIORS[prior][unit] for unit in UNITS], np.float64))


def _three_digits(value: float) -> int:
    return round(float(f"{value:.3g}"))
