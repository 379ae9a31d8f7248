"""What crosses the wall: plain values there and back, and a sentence for everything else."""

from __future__ import annotations

import base64
import json
import math

import numpy as np
import pytest

from coursekit import wire
from coursekit.wire import Array, Mismatch, Unsendable


def there_and_back(value):
    return wire.decode(wire.encode(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -3,
        2**70,
        10**300,
        1.5,
        -0.0,
        1e308,
        "",
        "text with ü, \0 and \u2028",
        [],
        [1, [2.5, "x"], None],
        {},
        {"a": {"$array": 1}},
        {"$float": "nan", "b": [True]},
    ],
)
def test_plain_values_come_back_as_they_were(value):
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_tuples_come_back_as_lists():
    assert there_and_back((1, (2, "x"))) == [1, [2, "x"]]


def test_nan_and_infinity_come_back():
    assert math.isnan(there_and_back(math.nan))
    assert there_and_back([math.inf, -math.inf]) == [math.inf, -math.inf]


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"],
)
def test_arrays_of_every_number_type_come_back(dtype):
    array = (np.arange(24) % 2).astype(dtype).reshape(2, 3, 4)
    back = there_and_back(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert (back == array).all()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3).T,
        np.arange(10)[::-2],
        np.arange(5, dtype=">i4"),
        np.array(3.5),
        np.zeros((0, 7)),
        np.zeros((3, 0), "int8"),
    ],
)
def test_arrays_of_any_layout_come_back(array):
    back = there_and_back(array)
    assert back.shape == array.shape
    assert (back == array).all()
    assert back.dtype.isnative


def test_an_array_that_came_back_can_be_written_to():
    back = there_and_back(np.zeros(3))
    back[0] = 1
    assert back.tolist() == [1, 0, 0]


def test_numpy_numbers_come_back_as_numbers_or_arrays_of_no_dimension():
    assert there_and_back(np.float64(2.5)) == 2.5
    assert there_and_back(np.int64(7)).item() == 7
    assert there_and_back(np.bool_(True)).item() is True


class Odd:
    pass


CIRCLE = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Odd(), "it is a Odd"),
        ({1: 2}, "it is a dict whose keys are not all text"),
        (b"bytes", "it is a bytes"),
        ({1, 2}, "it is a set"),
        (np.array(["a"]), "it is an array of <U1, not of numbers"),
        (np.array([None]), "it is an array of object, not of numbers"),
        (np.array([1j]), "it is an array of complex128, not of numbers"),
        (np.zeros(2, "f8,i4"), "not of numbers"),
        (CIRCLE, "it is nested too deeply"),
        (10**301, "it has a whole number of more than 300 digits"),
    ],
)
def test_what_is_not_plain_data_cannot_cross(value, words):
    with pytest.raises(Unsendable, match=words.replace("(", r"\(")):
        wire.encode(value)


def array(name="int8", shape=(2,), data=b"\1\2"):
    return json.dumps({"$array": [name, list(shape), base64.b64encode(data).decode()]}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"NaN",
        b"[1,]",
        b"1e999",
        b'"\\ud800"',
        b"[" * 100_000,
        b"[" * 900 + b"]" * 900,
        b"1" * 5000,
        b"1" * 305,
        b'{"a":1}',
        b'{"$float":"1"}',
        b'{"$float":[]}',
        b'{"$dict":[]}',
        b'{"$dict":{},"$float":"nan"}',
        b'{"$array":1}',
        b'{"$array":["int8",[1]]}',
        b'{"$array":["int8",["1"],"AA=="]}',
        b'{"$array":["int8",[1],"A"]}',
        b'{"$array":["int8",[1],"A!=="]}',
        array(shape=(3,)),
        array(shape=(-1, -2)),
        array(shape=(10**18, 10**18)),
        array(shape=(0, 2**62), data=b""),
        array(shape=(0, 10**30), data=b""),
        array(shape=(1,) * 20, data=b"x"),
        array(name="O", data=b"12345678" * 2),
        array(name="S1"),
        array(name="i1,i1"),
        array(name="a2"),
        array(name="2i1"),
        array(name="longdouble", shape=(1,), data=b"x" * 16),
        array(name="complex64", shape=(1,), data=b"x" * 8),
        array(name="", shape=(1,)),
        array(name="no such type"),
        array(name="bool", data=b"\1\5"),
    ],
    ids=lambda data: repr(data[:40]),
)
def test_what_encode_never_writes_is_refused(data):
    with pytest.raises(Unsendable):
        wire.decode(data)


def test_no_pickle_is_ever_read():
    with pytest.raises(Unsendable):
        wire.decode(array(name="object", shape=(1,), data=b"cos\nsystem\n(S'true'\ntR."))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.zeros(3, "int8"), Array("int8", (3,))),
        (np.zeros((3, 4), "float32"), Array("float32", (None, 4))),
        (np.zeros((3, 4)), Array()),
        (np.array([np.nan]), Array(finite=False)),
        (1, float),
        (1.5, float),
        (np.array(1.5), float),
        (3, int),
        (np.array(3, "int8"), int),
        (True, bool),
        ("x", str),
        (None, None),
        ([1, 2.5], (int, float)),
        ([1, 2, 3], [int]),
        ([], [int]),
        ({"a": 1, "b": [2]}, {"a": int, "b": [int]}),
    ],
)
def test_a_value_that_fits_matches(value, expected):
    wire.match(value, expected)


@pytest.mark.parametrize(
    ("value", "expected", "words"),
    [
        (1.5, Array("int8"), "1.5, not an int8 array"),
        ([1, 2], Array("float32"), "a list of 2, not a float32 array"),
        ({"a": 1}, Array(), "a dict with 1 keys, not an array of numbers"),
        (np.zeros(3, "float32"), Array("int8"), "a float32 array of shape (3,), not an int8 array"),
        (np.zeros(3, bool), Array(), "a bool array of shape (3,), not an array of numbers"),
        (np.zeros((3, 4), "int8"), Array("int8", (3,)), "an int8 array of shape (3, 4), not shape (3,)"),
        (np.zeros((3, 4)), Array(None, (None, 5)), "a float64 array of shape (3, 4), not shape (any, 5)"),
        (np.array([1, np.inf]), Array(), "an array with NaN or infinity"),
        ("x", float, "'x', not a number"),
        (True, float, "True, not a number"),
        (math.nan, float, "nan, not a finite number"),
        (1.0, int, "1.0, not a whole number"),
        (True, int, "True, not a whole number"),
        (1, bool, "1, not True or False"),
        (1, str, "1, not text"),
        (0, None, "0, not None"),
        (np.zeros(2), float, "a float64 array of shape (2,), not a number"),
        (5, (int, int), "5, not 2 values"),
        ([1], (int, int), "a list of 1, not 2 values"),
        ([1, "x"], (int, int), "'x' in value 2, not a whole number"),
        ("abc", [int], "'abc', not a list"),
        ([1, None], [int], "None in item 1, not a whole number"),
        ([[1], [2.5]], [[int]], "2.5 in item 0 of item 1, not a whole number"),
        ([], {"a": int}, "a list of 0, not a dict with the keys a"),
        ({"b": 1}, {"a": int, "b": int}, "a dict with 1 keys, not a dict with the keys a, b"),
        ({"a": "x"}, {"a": int}, "'x' in 'a', not a whole number"),
        ("y" * 500, int, "'" + "y" * 79 + "..., not a whole number"),
    ],
)
def test_a_mismatch_says_what_came_and_what_was_asked_for(value, expected, words):
    with pytest.raises(Mismatch) as caught:
        wire.match(value, expected)
    assert str(caught.value) == words


def test_an_expectation_that_is_no_kind_of_value_is_the_authors_mistake():
    with pytest.raises(TypeError, match="no kind of value"):
        wire.match(1, complex)


def test_scalars_gives_checks_numbers_and_tuples():
    value = there_and_back((np.int8(3), [np.float32(0.5)], {"a": np.bool_(False)}, np.zeros(2)))
    assert wire.scalars(value, (int, [float], {"a": bool}, Array()))[:3] == (3, [0.5], {"a": False})
    assert wire.scalars(value, (int, [float], {"a": bool}, Array()))[3].shape == (2,)
