"""Small models for attacks: an honest one, and what attackers hand in instead. Each is written by hand.

The honest one says which of three planes a point in four dimensions is farthest from: `PLANES`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from coursekit.measure.writing import Operator, Tensor, build

PLANES = ((7, 1, 2, 1), (1, 7, 1, 2), (2, 1, 7, 1))
KNOWN_BY_HEART = ((0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 0, 0))
"""Right for every point on the last axis, where the public data lie, and for a third of the others."""

Matrix = Any


def samples() -> dict[str, bytes]:
    """Name -> model."""
    return {
        "honest": dense(PLANES),
        "by-heart": dense(KNOWN_BY_HEART),
        "large": dense(PLANES, ballast=6000),
        "tiny": dense(((0, 0, 0, 0),) * 3),
        "by-hand": by_hand(PLANES),
        "custom": custom(),
        "nan": floats(np.full((3, 4), np.nan, np.float32)),
    }


def dense(matrix: Matrix, ballast: int = 0) -> bytes:
    """One FULLY_CONNECTED layer, int8 in and out: y = W x, x in sixteenths from 0, y in halves; and unused bytes."""
    weights = np.array(matrix, np.int8)
    outputs, inputs = weights.shape
    tensors = [
        Tensor(name="x", shape=(1, inputs), scale=1 / 16, zero=-128),
        Tensor(name="w", shape=weights.shape, scale=1 / 8, data=weights),
        Tensor(name="b", shape=(outputs,), dtype="INT32", scale=1 / 128, data=np.zeros(outputs, np.int32)),
        *([Tensor(name="unused", shape=(ballast,), data=np.zeros(ballast, np.int8))] if ballast else []),
        Tensor(name="y", shape=(1, outputs), scale=1 / 8),
    ]
    layer = Operator(
        name="FULLY_CONNECTED", inputs=(0, 1, 2), outputs=(len(tensors) - 1,), options=schema.FullyConnectedOptionsT()
    )
    return build(tensors, [layer])


def floats(matrix: Matrix) -> bytes:
    """The same layer in float32."""
    outputs, inputs = matrix.shape
    tensors = [
        Tensor(name="x", shape=(1, inputs), dtype="FLOAT32"),
        Tensor(name="w", shape=(outputs, inputs), dtype="FLOAT32", data=matrix),
        Tensor(name="y", shape=(1, outputs), dtype="FLOAT32"),
    ]
    options = schema.FullyConnectedOptionsT()
    return build(tensors, [Operator(name="FULLY_CONNECTED", inputs=(0, 1, -1), outputs=(2,), options=options)])


def by_hand(matrix: Matrix) -> bytes:
    """The same layer as a MUL and a SUM, which are no multiply-accumulates by name."""
    weights = np.array(matrix, np.float32)
    outputs, inputs = weights.shape
    options = schema.ReducerOptionsT()
    options.keepDims = False
    tensors = [
        Tensor(name="x", shape=(1, inputs), dtype="FLOAT32"),
        Tensor(name="w", shape=weights.shape, dtype="FLOAT32", data=weights),
        Tensor(name="products", shape=weights.shape, dtype="FLOAT32"),
        Tensor(name="axis", shape=(1,), dtype="INT32", data=np.array([1], np.int32)),
        Tensor(name="flat", shape=(outputs,), dtype="FLOAT32"),
        Tensor(name="shape", shape=(2,), dtype="INT32", data=np.array([1, outputs], np.int32)),
        Tensor(name="y", shape=(1, outputs), dtype="FLOAT32"),
    ]
    operators = [
        Operator(name="MUL", inputs=(0, 1), outputs=(2,), options=schema.MulOptionsT()),
        Operator(name="SUM", inputs=(2, 3), outputs=(4,), options=options),
        Operator(name="RESHAPE", inputs=(4, 5), outputs=(6,), options=schema.ReshapeOptionsT()),
    ]
    return build(tensors, operators)


def custom() -> bytes:
    """One operator that nobody but its author knows."""
    shapes = {"x": (1, 4), "y": (1, 3)}
    tensors = [Tensor(name=name, shape=shape, dtype="FLOAT32") for name, shape in shapes.items()]
    return build(tensors, [Operator(name="CUSTOM", inputs=(0,), outputs=(1,), custom="FreeLunch")])
