"""Figures that follow from a model's graph: multiply-accumulates, weights, dead channels, types."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from coursekit.errors import UnreadableWork
from coursekit.measure.documents import MAX_COUNT
from coursekit.measure.inside.graph import Graph, Operator, Subgraph, Tensor

Shapes = Sequence[tuple[int, ...]]

_NUMPY = {"int8": "<i1", "uint8": "<u1", "int16": "<i2", "float16": "<f2", "float32": "<f4"}
"""The types of weights that can be looked at one by one; int4 is unpacked first."""

_BITS = {"int2": 2, "int4": 4, "uint4": 4, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "float16": 16}
_BITS |= {"bfloat16": 16, "float8_e4m3fn": 8, "float8_e5m2": 8, "int32": 32, "uint32": 32, "float32": 32}
_BITS |= {"int64": 64, "uint64": 64, "float64": 64, "bool": 8}

_WEIGHTS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
"""The axis of the output channels in the weights, which are the second input of each of these."""

_RANKS = {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 4}

_POOLS = {"MAX_POOL_2D", "AVERAGE_POOL_2D"}

_OPAQUE = {
    "CALL",
    "CALL_ONCE",
    "IF",
    "WHILE",
    "STABLEHLO_CASE",
    "STABLEHLO_COMPOSITE",
    "STABLEHLO_WHILE",
    "DELEGATE",
    "CONV_3D",
    "CONV_3D_TRANSPOSE",
    "LSTM",
    "RNN",
    "SVDF",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "STABLEHLO_CONVOLUTION",
    "STABLEHLO_CUSTOM_CALL",
    "STABLEHLO_DOT_GENERAL",
    "STABLEHLO_REDUCE",
    "STABLEHLO_REDUCE_WINDOW",
    "STABLEHLO_SCATTER",
    "STABLEHLO_SORT",
}
"""Operators that multiply and accumulate, or call something that may, in a way that is not counted here."""

_MULTIPLY = {"MUL", "DIV", "SQUARE", "SQUARED_DIFFERENCE", "POW", "STABLEHLO_MULTIPLY"}
"""Operators that multiply value by value, and with a SUM behind them do what a layer does."""


def uncounted(graph: Graph) -> str:
    """Say why the multiply-accumulates cannot be counted; empty if they can."""
    found = sorted({operator.name for operator in graph.main.operators} & _OPAQUE)
    return f"The multiply-accumulates of {', '.join(found)} cannot be counted." if found else ""


def macs(graph: Graph, shapes: Shapes) -> int:
    """Count the multiply-accumulates of one inference, dense, of the main subgraph.

    They are those of CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV and BATCH_MATMUL; weights that are
    zero count as all others do, and so does padding.
    """
    return _bounded(sum(operator_macs(operator, shapes) for operator in graph.main.operators))


def disguised(graph: Graph, shapes: Shapes) -> str:
    """Say that the model multiplies more outside its layers than in them, as words that follow `because`."""
    outside = dict.fromkeys(sorted(_MULTIPLY), 0)
    for operator in graph.main.operators:
        if operator.name in outside:
            outside[operator.name] += sum(math.prod(shapes[index]) for index in operator.outputs)
    found = ", ".join(name for name, products in outside.items() if products)
    inside, total = macs(graph, shapes), sum(outside.values())
    if total <= inside:
        return ""
    return f"it multiplies more outside its layers ({found}: {total:,} products) than in them ({inside:,})"


def operator_macs(operator: Operator, shapes: Shapes) -> int:
    """Count the multiply-accumulates of one operator, dense; none for an operator that has none."""
    name = operator.name
    if name == "BATCH_MATMUL":
        left, output = _shape(operator.inputs, 0, shapes), _shape(operator.outputs, 0, shapes)
        if len(left) < 2:
            raise UnreadableWork("Your model is damaged: a BATCH_MATMUL multiplies what is no matrix.")
        return math.prod(output) * left[-2 if operator.adj_x else -1]
    if name not in _WEIGHTS:
        return 0
    weights = _shape(operator.inputs, 1, shapes)
    if len(weights) != _RANKS[name]:
        raise UnreadableWork(f"Your model is damaged: a {name} has weights of {len(weights)} dimensions.")
    if name == "TRANSPOSE_CONV":  # each input element meets every weight of its channel
        return math.prod(_shape(operator.inputs, 2, shapes)) * math.prod(weights[:3])
    output = _shape(operator.outputs, 0, shapes)
    if name == "DEPTHWISE_CONV_2D":
        return math.prod(output) * weights[1] * weights[2]
    return math.prod(output) * math.prod(weights[1:])


def _shape(tensors: tuple[int, ...], position: int, shapes: Shapes) -> tuple[int, ...]:
    if position >= len(tensors) or not 0 <= tensors[position] < len(shapes):
        raise UnreadableWork("Your model is damaged: an operator lacks one of its tensors.")
    return shapes[tensors[position]]


def pooled(operator: Operator, shapes: Shapes) -> int:
    """Count the values that the windows of a pool accumulate; none for any other operator."""
    return math.prod(_shape(operator.outputs, 0, shapes)) * operator.window if operator.name in _POOLS else 0


def tensor_bytes(main: Subgraph, index: int, shapes: Shapes) -> int:
    """Count the bytes of a tensor: of a constant as stored, of others by their type, 8 a value if it is not known."""
    tensor = main.tensor(index)
    if tensor.data is not None:
        return len(tensor.data)
    return -(-math.prod(shapes[index]) * _BITS.get(tensor.dtype, 64) // 8)


def declared_shapes(graph: Graph) -> Shapes:
    """Give the shapes that the file states for the tensors of the main subgraph."""
    return [tensor.shape for tensor in graph.main.tensors]


def constants(graph: Graph) -> Iterator[Tensor]:
    """Give every constant of the file once; tensors that share a buffer share its bytes."""
    seen: set[int] = set()
    for subgraph in graph.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.data is not None and tensor.buffer not in seen:
                seen.add(tensor.buffer)
                yield tensor


def weight_bytes(graph: Graph) -> int:
    """Count the bytes of all constants of all subgraphs, as stored: weights, biases, and the shapes of reshapes.

    Sparse ones count as dense, because they are made dense before anything is computed with them.
    """
    return _bounded(sum(_stored_bytes(tensor) for tensor in constants(graph)))


def parameters(graph: Graph) -> int:
    """Count the numbers that training found: constants that are real numbers, as floats or quantized.

    The count follows from the bytes that are there, not from the shape that the file states, unless they are sparse.
    """
    real = (tensor for tensor in constants(graph) if tensor.quantized or "float" in tensor.dtype)
    return _bounded(sum(_stored_bytes(tensor) * 8 // _BITS[tensor.dtype] for tensor in real if tensor.dtype in _BITS))


def _stored_bytes(tensor: Tensor) -> int:
    """Give the bytes of a constant; those that it has when it is made dense, if these are more."""
    if not tensor.sparse:
        return len(tensor.data)
    return max(len(tensor.data), -(-math.prod(tensor.shape) * _BITS.get(tensor.dtype, 8) // 8))


def _bounded(count: int) -> int:
    if count > MAX_COUNT:
        raise UnreadableWork("Your model is damaged: its tensors are larger than any memory.")
    return count


def zero_channels(graph: Graph) -> int:
    """Count the output channels whose weights are all zero, over all layers with weights of all subgraphs."""
    total = 0
    for subgraph in graph.subgraphs:
        smaller = _dequantized(subgraph)
        known: dict[tuple[int, int], int] = {}
        for operator in subgraph.operators:
            if operator.name in _WEIGHTS and len(operator.inputs) > 1:
                weights, axis = operator.inputs[1], _WEIGHTS[operator.name]
                if (weights, axis) not in known:
                    known[weights, axis] = _dead(subgraph.tensor(smaller.get(weights, weights)), axis)
                total += known[weights, axis]
    return total


def _dequantized(subgraph: Subgraph) -> dict[int, int]:
    """Give the tensors that a DEQUANTIZE makes, and from what: weights that are stored smaller than they are used."""
    return {
        operator.outputs[0]: operator.inputs[0]
        for operator in subgraph.operators
        if operator.name == "DEQUANTIZE" and len(operator.outputs) == 1 and operator.inputs
    }


def _dead(weights: Tensor, axis: int) -> int:
    """Count the channels along this axis that hold nothing but zeros; none in weights that are not stored densely."""
    values = _values(weights)
    if values is None or axis >= len(weights.shape):
        return 0
    channels = np.moveaxis(values.reshape(weights.shape), axis, 0).reshape(weights.shape[axis], -1)
    zeros = np.zeros(1) if len(weights.zero_points) not in (1, len(channels)) else np.array(weights.zero_points)
    return int((channels == zeros[:, None]).all(axis=1).sum())


def _values(weights: Tensor) -> Any:
    """Give the weights one by one, in the order of the file; None where they are not stored so."""
    if weights.data is None or weights.sparse or weights.dtype not in {*_NUMPY, "int4"}:
        return None
    count = math.prod(weights.shape)
    if len(weights.data) != -(-count * _BITS[weights.dtype] // 8):
        raise UnreadableWork(f"Your model is damaged: the weights '{weights.name}' do not have their shape's size.")
    if weights.dtype == "int4":  # two in a byte, the first in the low half; the sign does not matter for zero
        return np.stack([weights.data & 15, weights.data >> 4], axis=1).reshape(-1)[:count]
    return weights.data.view(_NUMPY[weights.dtype])


def dtypes(graph: Graph) -> tuple[str, ...]:
    """Give the types of all tensors of all subgraphs, each once, in order of their names."""
    return tuple(sorted({tensor.dtype for subgraph in graph.subgraphs for tensor in subgraph.tensors}))


def float_tensors(graph: Graph) -> int:
    """Count the tensors of any floating-point type in all subgraphs; a fully quantized model has none."""
    return sum("float" in tensor.dtype for subgraph in graph.subgraphs for tensor in subgraph.tensors)


def input_dtypes(graph: Graph) -> tuple[str, ...]:
    """Give the types of the model's inputs, in their order."""
    return tuple(graph.main.tensor(index).dtype for index in graph.main.inputs)


def output_dtypes(graph: Graph) -> tuple[str, ...]:
    """Give the types of the model's outputs, in their order."""
    return tuple(graph.main.tensor(index).dtype for index in graph.main.outputs)
