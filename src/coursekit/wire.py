"""Values that cross the wall between the grader and a student's kernel: JSON and arrays of numbers, never pickle.

`encode` and `decode` are inverse on numbers, text, booleans, None, lists, tuples (which come back as lists), dicts with
text keys and NumPy arrays of numbers. `match` compares a decoded value with what a check expects and says, in words for
the student, how it differs. A decoded value is a claim: it has the right form, and nothing more is known of it.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np

_NUMBERS = frozenset(
    ["bool", "float16", "float32", "float64"] + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
_MAX_DEPTH = 32
_MAX_DIMENSIONS = 16
_LONGEST = 2**31
_SHOWN = 80
_LARGEST = 10**300  # what a check can still turn into a float
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Unsendable(ValueError):
    """A value of a kind that cannot cross, or text that is not a value."""


class Mismatch(ValueError):
    """A claim that is not what the check asked for, as words that go on 'it returned ...'."""


class Array(msgspec.Struct, frozen=True):
    """An expected array: its dtype and shape; None stands for any number type, any length, any shape."""

    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    finite: bool = True
    """Whether NaN and infinity are refused."""


def encode(value: Any) -> bytes:
    """The value as JSON. Raises Unsendable for anything that is not plain data."""
    return json.dumps(_plain(value, 0), allow_nan=False).encode()


def _plain(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise Unsendable("it is nested too deeply")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise Unsendable("it has a whole number of more than 300 digits")
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise Unsendable("it is a dict whose keys are not all text")
        return {"$dict": {key: _plain(item, depth + 1) for key, item in value.items()}}
    return _plain_array(value)


def _plain_array(value: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - `coursekit --help` must not pay for it

    if not hasattr(value, "__array__"):
        raise Unsendable(f"it is a {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype.name not in _NUMBERS:
        raise Unsendable(f"it is an array of {array.dtype}, not of numbers")
    array = np.ascontiguousarray(array).reshape(array.shape)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {"$array": [array.dtype.name, list(array.shape), base64.b64encode(little.tobytes()).decode()]}


def decode(data: bytes) -> Any:
    """The value behind the JSON. Raises Unsendable for anything that `encode` does not write."""
    try:
        return _value(msgspec.json.decode(data), 0)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Unsendable(f"it is not JSON ({type(error).__name__})") from error


def _value(plain: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise Unsendable("it is nested too deeply")
    if isinstance(plain, list):
        return [_value(item, depth + 1) for item in plain]
    if isinstance(plain, int) and abs(plain) > _LARGEST:
        raise Unsendable("it has a whole number of more than 300 digits")
    if not isinstance(plain, dict):
        return plain
    if len(plain) != 1:
        raise Unsendable("it has an unknown form")
    ((kind, inner),) = plain.items()
    if kind == "$float" and isinstance(inner, str) and inner in _FLOATS:
        return _FLOATS[inner]
    if kind == "$dict" and isinstance(inner, dict):
        return {str(key): _value(item, depth + 1) for key, item in inner.items()}
    if kind == "$array":
        return _array(inner)
    raise Unsendable("it has an unknown form")


def _array(inner: Any) -> np.ndarray[Any, Any]:
    """The array, after its type, shape and size have been compared with the bytes that came."""
    import numpy as np  # noqa: PLC0415 - `coursekit --help` must not pay for it

    try:
        name, shape, text = msgspec.convert(inner, tuple[str, list[int], str])
        data = base64.b64decode(text, validate=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise Unsendable("it has an array of an unknown form") from error
    if name not in _NUMBERS or len(shape) > _MAX_DIMENSIONS or any(not 0 <= length <= _LONGEST for length in shape):
        raise Unsendable("it has an array of an unknown form")
    dtype = np.dtype(name)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Unsendable("it has an array whose size does not fit its shape")
    if name == "bool" and not set(data) <= {0, 1}:
        raise Unsendable("it has an array of truth values that are neither")
    try:
        return np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape).astype(dtype)
    except ValueError as error:  # no values, in more dimensions than could ever have some
        raise Unsendable("it has an array of an unknown form") from error


def match(value: Any, expected: Any, where: str = "") -> None:
    """Compare a claim with what is expected. Raises Mismatch, whose words go on 'it returned ...'.

    `expected` is an Array, one of float, int, bool, str and None, a tuple (a list or tuple of exactly these), a list
    with one entry (a list of any length) or a dict (exactly these keys).
    """
    place = f" in {where}" if where else ""
    if isinstance(expected, Array):
        _match_array(value, expected, place)
    elif isinstance(expected, tuple):
        if not isinstance(value, list) or len(value) != len(expected):
            raise Mismatch(f"{describe(value)}{place}, not {len(expected)} values")
        for index, (item, kind) in enumerate(zip(value, expected, strict=True)):
            match(item, kind, f"value {index + 1}{' of ' + where if where else ''}")
    elif isinstance(expected, list):
        if not isinstance(value, list):
            raise Mismatch(f"{describe(value)}{place}, not a list")
        for index, item in enumerate(value):
            match(item, expected[0], f"item {index}{' of ' + where if where else ''}")
    elif isinstance(expected, dict):
        if not isinstance(value, dict) or set(value) != set(expected):
            raise Mismatch(f"{describe(value)}{place}, not a dict with the keys {', '.join(sorted(expected))}")
        for key, kind in expected.items():
            match(value[key], kind, f"'{key}'{' of ' + where if where else ''}")
    else:
        _match_scalar(value, expected, place)


def _match_array(value: Any, expected: Array, place: str) -> None:
    import numpy as np  # noqa: PLC0415 - `coursekit --help` must not pay for it

    wanted = f"{_article(expected.dtype)} {expected.dtype} array" if expected.dtype else "an array of numbers"
    if not isinstance(value, np.ndarray):
        raise Mismatch(f"{describe(value)}{place}, not {wanted}")
    fits = value.dtype == np.dtype(expected.dtype) if expected.dtype else value.dtype.kind != "b"
    if not fits:
        raise Mismatch(f"{describe(value)}{place}, not {wanted}")
    if expected.shape is not None:
        same = len(expected.shape) == value.ndim
        if not same or any(want not in (None, got) for want, got in zip(expected.shape, value.shape, strict=True)):
            raise Mismatch(f"{describe(value)}{place}, not shape {shape_words(expected.shape)}")
    if expected.finite and value.dtype.kind == "f" and not np.isfinite(value).all():
        raise Mismatch(f"an array with NaN or infinity{place}")


def _match_scalar(value: Any, expected: Any, place: str) -> None:
    import numpy as np  # noqa: PLC0415 - `coursekit --help` must not pay for it

    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    names = {float: "a number", int: "a whole number", bool: "True or False", str: "text", None: "None"}
    kinds: dict[Any, Any] = {float: int | float, int: int, bool: bool, str: str, None: type(None)}
    if expected not in kinds:
        raise TypeError(f"a check expects {expected!r}, which is no kind of value")
    fits = isinstance(value, kinds[expected]) and (expected is bool or not isinstance(value, bool))
    if not fits:
        raise Mismatch(f"{describe(value)}{place}, not {names[expected]}")
    if expected is float and not math.isfinite(value):
        raise Mismatch(f"{value}{place}, not a finite number")


def scalars(value: Any, expected: Any) -> Any:
    """The claim with arrays of no dimension made numbers where a number was expected, for the check to compute with."""
    if isinstance(expected, tuple) and isinstance(value, list):
        return tuple(scalars(item, kind) for item, kind in zip(value, expected, strict=True))
    if isinstance(expected, list) and isinstance(value, list):
        return [scalars(item, expected[0]) for item in value]
    if isinstance(expected, dict) and isinstance(value, dict):
        return {key: scalars(item, expected[key]) for key, item in value.items()}
    if not isinstance(expected, Array) and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def shape_words(shape: Sequence[int | None]) -> str:
    """A shape as a student writes it: (64, any)."""
    inner = ", ".join("any" if length is None else str(length) for length in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def _article(dtype: str) -> str:
    return "an" if dtype.startswith("int") else "a"


def describe(value: Any) -> str:
    """What a value is, briefly: 'a float32 array of shape (64,)'."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{_article(str(value.dtype))} {value.dtype} array of shape {shape_words(shape)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"a dict with {len(value)} keys"
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
