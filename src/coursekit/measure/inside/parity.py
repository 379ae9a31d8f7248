"""How far the outputs of TensorFlow Lite Micro are from those of LiteRT, in steps of the last bit.

Both get the same inputs: the lowest and the highest values that an input can have, and values spread evenly over its
range, drawn from a hash so that they are the same on every machine and with every version of every library. An output
that is a quantized one in other units counts by the steps of that. Other outputs of floating point are not compared:
their last bits depend on the mathematics library of the machine.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from coursekit.measure.documents import MAX_COUNT
from coursekit.measure.inside.graph import Graph
from coursekit.measure.inside.mending import mended
from coursekit.measure.inside.running import FAILURES, interpreter, run_on_zeros, said

RUNS = 8
"""Inputs that a model is fed: all lowest, all highest, and six at random."""

_SEED = "coursekit parity"

_QUANTIZED = {"int8", "uint8", "int16"}


def parity(model: bytes, graph: Graph, micro: Any) -> tuple[int | None, str]:
    """Give the largest difference of any value of any output, or None and a sentence that says why there is none.

    `micro` is the model in TensorFlow Lite Micro's interpreter, which has run once on zeros.
    """
    quantized = _dequantized(graph)
    kinds = {graph.main.tensor(quantized.get(index, index)).dtype for index in graph.main.outputs}
    if other := sorted(kind for kind in kinds if "int" not in kind and kind != "bool"):
        return None, f"Only whole numbers are compared to the last bit, and an output is {', '.join(other)}."
    try:
        lite = interpreter(mended(model))
        run_on_zeros(lite)
        scales = {entry["index"]: entry["quantization"][0] for entry in lite.get_tensor_details()}
        bits = [scales[quantized[index]] if index in quantized else 1.0 for index in graph.main.outputs]
        largest = max(_difference(lite, micro, bits, number) for number in range(RUNS))
    except (*FAILURES, LookupError, AttributeError, struct.error) as error:
        return None, f"It could not be run with the same inputs on LiteRT and TensorFlow Lite Micro: {said(error)}."
    return min(largest, MAX_COUNT), ""


def _dequantized(graph: Graph) -> dict[int, int]:
    """Give the float tensors that are nothing but a quantized one in other units, and which one."""
    return {
        operator.outputs[0]: operator.inputs[0]
        for operator in graph.main.operators
        if operator.name == "DEQUANTIZE" and graph.main.tensor(operator.inputs[0]).dtype in _QUANTIZED
    }


def _difference(lite: Any, micro: Any, bits: Sequence[float], number: int) -> int:
    """Run both on the input of this number; give the largest difference of any output, in steps of its last bit."""
    for place, entry in enumerate(lite.get_input_details()):
        fed = values(tuple(entry["shape"]), entry["dtype"], number, place)
        lite.set_tensor(entry["index"], fed)
        micro.set_input(fed, place)
    lite.invoke()
    micro.invoke()
    outputs = [entry["index"] for entry in lite.get_output_details()]
    return max(
        steps(lite.get_tensor(index), micro.get_output(place), bits[place]) for place, index in enumerate(outputs)
    )


def values(shape: Sequence[int], dtype: Any, number: int, place: int) -> Any:
    """Give the input of this number for the input in this place.

    Integers of 8 and 16 bits cover their whole range and floats -1 to 1; of wider integers, which are indices and
    lengths, only 0 and 1 are fed, which nearly every model accepts.
    """
    count = math.prod(int(size) for size in shape)
    bits = hashlib.shake_256(f"{_SEED} {number} {place}".encode()).digest(2 * count)
    if number < 2:
        bits = (b"\x00\x80", b"\xff\x7f")[number] * count
    drawn = np.frombuffer(bits, "<i2")
    kind = np.dtype(dtype)
    if kind.kind == "f":
        found = (drawn / 32768).astype(kind)
    elif kind.itemsize == 2:
        found = drawn.astype(kind)
    elif kind.itemsize == 1 and kind.kind in "iu":
        found = (drawn >> 8).astype(kind) if kind.kind == "i" else ((drawn >> 8) + 128).astype(kind)
    else:
        found = (drawn >= 0).astype(kind)
    return found.reshape(shape)


def steps(one: Any, other: Any, bit: float = 1.0) -> int:
    """Give the largest difference of two arrays in steps of the last bit; raises ValueError if they are not alike.

    `bit` is what a step is worth in floats; whole numbers are their own steps.
    """
    if one.shape != other.shape or one.dtype != other.dtype:
        raise ValueError(f"one gives {one.dtype} of shape {one.shape}, the other {other.dtype} of shape {other.shape}")
    if one.dtype.kind == "f":
        return int(np.rint(np.abs(one.astype(np.float64) - other.astype(np.float64)) / bit).max(initial=0))
    high, low = np.maximum(one, other).astype(np.uint64), np.minimum(one, other).astype(np.uint64)
    return int((high - low).max(initial=0))  # of numbers below zero too: both wrap, and so their difference is right
