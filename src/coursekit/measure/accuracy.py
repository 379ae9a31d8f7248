"""How often a model is right, on inputs and labels from a file; the labels never enter a box."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from coursekit.errors import UnreadableWork
from coursekit.measure import predict
from coursekit.measure.asking import by, clean
from coursekit.records import Measurement, RunInside

_MOST_BYTES = 2_000_000_000
_FED_BYTES = 32_000_000
"""As float32, what one box is fed at a time."""

_Z = 1.959963984540054
"""The two-sided 95 % point of the normal distribution."""

_UNREADABLE = (OSError, ValueError, EOFError, MemoryError, ArithmeticError, SyntaxError, RuntimeError, TokenError)
"""What NumPy raises for a file that is none of its own; it has Python read the header of an array."""

_FIX = "save it with numpy.savez('data.npz', x=inputs, y=labels)."


class Samples(NamedTuple):
    """Inputs of shape (n, ...) and the number of the right class of each, of shape (n,)."""

    x: npt.NDArray[Any]
    y: npt.NDArray[Any]


def read(data: bytes, where: str) -> Samples:
    """Give the inputs `x` and labels `y` of an .npz file; nothing in it is run.

    Raises UnreadableWork, which names the file, for what is no such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            size = sum(each.file_size for each in packed.infolist())
        if size > _MOST_BYTES:
            raise UnreadableWork(f"it has {size:,} bytes when unpacked; {_MOST_BYTES:,} are the most.", where=where)
        with np.errstate(all="raise"), np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            absent = [name for name in ("x", "y") if name not in arrays]
            if absent:
                there = clean(", ".join(arrays.files)) or "nothing"
                raise UnreadableWork(f"it has no array '{absent[0]}'; it has {there}.", where=where, fix=_FIX)
            x, y = arrays["x"], arrays["y"]
    except (*_UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        what = "it holds Python objects" if "pickle" in str(error) else "it is not an .npz file that can be read"
        raise UnreadableWork(f"{what}: arrays of numbers are needed.", where=where, fix=_FIX) from error
    problem = _problem(x, y)
    if problem:
        raise UnreadableWork(problem, where=where)
    return Samples(x, y.reshape(-1))


def _problem(x: Any, y: Any) -> str:
    """Say what is wrong with inputs or labels; empty if nothing."""
    if not isinstance(x, np.ndarray) or not isinstance(y, np.ndarray):
        return "x and y must be arrays."
    if x.dtype.kind not in "biuf":
        return f"x has the type {x.dtype}; it must be numbers."
    if x.ndim < 2 or 0 in x.shape:
        return f"x has the shape {by(*x.shape)}; it must be n inputs, one beside the other: (n, ...input)."
    if not np.isfinite(x).all():
        return "x holds NaN or infinity."
    if y.dtype.kind not in "iu":
        return f"y has the type {y.dtype}; a label is the whole number of a class, from 0."
    if y.shape not in ((len(x),), (len(x), 1)):
        hint = " If its rows are one-hot, save y.argmax(axis=1)." if y.ndim == 2 and len(y) == len(x) else ""
        return f"y has the shape {by(*y.shape)}; it must be one label for each of the {len(x)} inputs.{hint}"
    return "y has labels below 0; classes are numbered from 0." if y.min() < 0 else ""


def accuracy(model: bytes, samples: Samples, inside: RunInside) -> Measurement:
    """Give the share of inputs whose largest output is the label's, with its 95 % Wilson interval.

    Raises UnreadableWork if the model does not take these inputs, or gives no row of classes for each.
    """
    rows = max(1, _FED_BYTES // (4 * math.prod(samples.x.shape[1:])))
    hits = 0
    for start in range(0, len(samples.x), rows):
        outputs = predict(model, samples.x[start : start + rows], inside)
        if outputs.ndim != 2 or outputs.shape[1] < 2:
            told = f"The model gives outputs of shape {outputs.shape}; one row of classes per input is needed."
            raise UnreadableWork(told)
        if samples.y.max() >= outputs.shape[1]:
            told = f"y has the label {samples.y.max()}, and the model has {outputs.shape[1]} classes, from 0."
            raise UnreadableWork(told)
        hits += right(outputs, samples.y[start : start + rows])
    return Measurement(
        metric="accuracy",
        value=round(hits / len(samples.y), 6),
        unit="",
        engine="litert",
        note=f"{hits:,} of {len(samples.y):,} inputs right",
        interval=wilson(hits, len(samples.y)),
    )


def right(outputs: npt.NDArray[Any], labels: npt.NDArray[Any]) -> int:
    """Give how many rows have their largest output at the label; of equal ones the first counts."""
    return int((outputs.argmax(axis=1) == labels).sum())


def drop(found: float, before: float, name: str) -> Measurement:
    """Give what a model's accuracy lost against that of its reference, in percentage points."""
    return Measurement(
        metric="accuracy_drop_points",
        value=round(100 * (before - found), 4),
        unit="percentage points",
        engine="litert",
        note=f"against '{name}', which has {before:.4f}",
    )


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Give the 95 % confidence interval of a share (Wilson 1927, without correction for continuity)."""
    share, weight = hits / of, _Z * _Z / of
    middle = (share + weight / 2) / (1 + weight)
    reach = _Z * math.sqrt(share * (1 - share) / of + weight / (4 * of)) / (1 + weight)
    return round(max(0.0, middle - reach), 6), round(min(1.0, middle + reach), 6)
