"""What a model has to do, operator by operator, in the units that boards have prices for.

A pure function of the graph. An activation that is folded into its convolution is no operator, and so costs nothing.
Work is counted dense: zeros and padding are multiplied like all else.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from coursekit.cost import Unit
from coursekit.errors import UnreadableWork
from coursekit.measure.documents import MAX_COUNT, Step
from coursekit.measure.inside.claims import fed
from coursekit.measure.inside.counting import Shapes, operator_macs
from coursekit.measure.inside.graph import Graph, Operator, Subgraph

_EIGHT_BITS = {"int8", "uint8"}
"""The types that published measurements are of."""

_IMAGE_CHANNELS = 4
"""A layer that reads no more channels than this cannot use a kernel's wide loads."""

_FEW = 64
"""Arithmetic on so few 32-bit numbers that follow from shapes is about shapes; all other is work in disguise."""

_UNBOUNDED = {"LOCAL_RESPONSE_NORMALIZATION", "LSH_PROJECTION", "RFFT2D", "REDUCE_WINDOW", "DILATE"}
_UNBOUNDED |= {"NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "EMBEDDING_LOOKUP_SPARSE"}
"""Operators that take more than in proportion to the values that they read and make."""

_SHAPES = {"SHAPE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
_SHAPE_ARITHMETIC = {"STRIDED_SLICE", "PACK", "SLICE", "CONCATENATION", "GATHER", "CAST", "FILL", "RANGE"}
_SHAPE_ARITHMETIC |= {"ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "REDUCE_PROD"}
_FILTERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
_COMBINE = {"ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "PRELU"}

_BY_OUTPUT: dict[str, Unit] = dict.fromkeys(
    (*_COMBINE, "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU"), "element_values"
)
_BY_OUTPUT |= dict.fromkeys(("SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "TANH", "HARD_SWISH", "ELU", "GELU"), "curve_values")
_BY_OUTPUT |= dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), "resized_values")
_BY_OUTPUT |= dict.fromkeys(
    ("PAD", "PADV2", "MIRROR_PAD", "CONCATENATION", "PACK", "TILE", "TRANSPOSE"), "moved_values"
)
_BY_OUTPUT |= dict.fromkeys(("SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "UNPACK", "GATHER"), "moved_values")
_BY_OUTPUT |= dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), "moved_values")
_BY_OUTPUT |= dict.fromkeys(("QUANTIZE", "DEQUANTIZE"), "converted_values")
_BY_INPUT: dict[str, Unit] = dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), "mean_values")
_FOLD = {"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"}
"""The operators that pad by themselves."""

_POOLS = {"MAX_POOL_2D", "AVERAGE_POOL_2D"}


def unbounded(graph: Graph) -> str:
    """Say which operators' work does not follow from the sizes of their tensors; empty if all does."""
    found = sorted({operator.name for operator in graph.main.operators} & _UNBOUNDED)
    return f"The work of {', '.join(found)} cannot be counted." if found else ""


def steps(graph: Graph, shapes: Shapes) -> tuple[Step, ...]:
    """Give every operator of the main subgraph with its work, in the order in which they run."""
    values = fed(graph.main)
    found = tuple(_step(operator, graph.main, shapes, values) for operator in graph.main.operators)
    if sum(sum(step.work.values()) for step in found) > MAX_COUNT:
        raise UnreadableWork("Your model is damaged: its tensors are larger than any memory.")
    return found


def largest_bytes(graph: Graph, shapes: Shapes) -> int:
    """Give the bytes of the largest tensor that the model computes or is given, one byte for each value.

    A PAD is left out if only convolutions and pools read it: runtimes fold it into them.
    """
    main = graph.main
    padded = {index for operator in main.operators if operator.name in {"PAD", "PADV2"} for index in operator.outputs}
    padded -= {index for operator in main.operators if operator.name not in _FOLD for index in operator.inputs}
    padded -= set(main.outputs)
    computed = {index for operator in main.operators for index in (*operator.inputs, *operator.outputs)}
    sizes = [
        math.prod(shapes[index])
        for index in computed - padded
        if 0 <= index < len(shapes) and main.tensors[index].data is None
    ]
    return max(sizes, default=0)


def _step(operator: Operator, main: Subgraph, shapes: Shapes, values: set[int]) -> Step:
    read = sum(_values(index, main, shapes) for index in operator.inputs if index >= 0)
    made = sum(_values(index, main, shapes) for index in operator.outputs)
    name = main.tensor(operator.outputs[0]).name if operator.outputs else ""
    if _about_shapes(operator, main, values, max(read, made)):
        return Step(operator=operator.name, name=name, work={"shape_steps": 1})
    work: dict[Unit, int] = {"steps": 1, "traffic_bytes": read + made}
    priced = _priced(operator, main, shapes)
    work |= priced(made, read) if priced else _other(operator, shapes, read + made * operator.window)
    return Step(operator=operator.name, name=name, work={unit: count for unit, count in work.items() if count})


def _values(index: int, main: Subgraph, shapes: Shapes) -> int:
    """Count the values of a computed tensor; a constant is counted with the operator that uses it."""
    return math.prod(shapes[index]) if main.tensor(index).data is None else 0


def _about_shapes(operator: Operator, main: Subgraph, values: set[int], handled: int) -> bool:
    if operator.name in _SHAPES:
        return True
    if operator.name not in _SHAPE_ARITHMETIC or handled > _FEW or not values.isdisjoint(operator.outputs):
        return False
    return all(main.tensor(index).dtype in {"int32", "int64"} for index in operator.outputs)


def _priced(operator: Operator, main: Subgraph, shapes: Shapes) -> Callable[[int, int], dict[Unit, int]] | None:
    """Give how to count an operator that has a price of its own; None for any other operator or number type."""
    name = operator.name
    types = {main.tensor(index).dtype for index in operator.inputs[: 2 if name in _FILTERS else 1] if index >= 0}
    if name in {"QUANTIZE", "DEQUANTIZE"}:
        types |= {main.tensor(index).dtype for index in operator.outputs}
        return (lambda made, _: {"converted_values": made}) if types & _EIGHT_BITS else None
    if not types <= _EIGHT_BITS:
        return None
    if name in _FILTERS:
        return lambda made, _: _filter(operator, shapes, made)
    if name in _POOLS:
        return lambda made, _: {"window_values": made * operator.window}
    if name in _BY_INPUT:
        first = math.prod(shapes[operator.inputs[0]]) if operator.inputs else 0  # a constant is read like all else
        return lambda _, read: {_BY_INPUT[name]: max(first, read)}
    if name in _COMBINE and _scales(operator, main, shapes):
        return lambda made, _: {"scaled_values": made}
    return (lambda made, _: {_BY_OUTPUT[name]: made}) if name in _BY_OUTPUT else None


def _scales(operator: Operator, main: Subgraph, shapes: Shapes) -> bool:
    """True if two computed tensors of unlike shapes are combined: kernels for that take every value by itself."""
    computed = [shapes[index] for index in operator.inputs if index >= 0 and main.tensor(index).data is None]
    return len(computed) == 2 and computed[0] != computed[1]


def _filter(operator: Operator, shapes: Shapes, made: int) -> dict[Unit, int]:
    """Count a layer with weights: its multiply-accumulates by kind, what it gathers, and the sums it scales back."""
    macs = operator_macs(operator, shapes)
    weights = shapes[operator.inputs[1]]
    if operator.name == "FULLY_CONNECTED":
        return {"dense_macs": macs, "filter_outputs": made}
    if operator.name == "DEPTHWISE_CONV_2D":
        return {"depthwise_macs": macs, "depthwise_outputs": made}
    filters, height, width, channels = weights
    image = shapes[operator.inputs[0]] if operator.inputs[0] >= 0 else ()
    if len(image) != 4 or image[3] != channels:  # in groups: no kernel that was measured
        return {"other_macs": macs, "other_values": made}
    gathered = macs // max(filters, 1)
    if height * width == 1:
        return {"point_macs": macs, "filter_outputs": made, "pixel_values": gathered}
    kind: Unit = "first_macs" if channels <= _IMAGE_CHANNELS else "kernel_macs"
    return {kind: macs, "filter_outputs": made, "patch_values": gathered}


def _other(operator: Operator, shapes: Shapes, values: int) -> dict[Unit, int]:
    return {"other_macs": operator_macs(operator, shapes), "other_values": values}
