"""What a file only claims: sizes and an order of operators that running it once would not show to be so.

Figures are counted by the shapes that one run on zeros gives. They hold for every input only if no size depends on the
values that the model is fed, if every tensor is made once, and before it is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from coursekit.measure.inside.graph import Graph, Operator, Subgraph

_RENAMES = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
"""Operators that change a tensor's sizes and none of its values."""

_FROM_SIZES = {"SHAPE", "RANK"}
"""Operators whose output follows from the sizes of their input, whatever its values are."""

_SIZES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("RESHAPE", "TILE", "BROADCAST_TO", "EXPAND_DIMS", "TRANSPOSE", "ONE_HOT", "TOPK_V2"), (1,)),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RFFT2D"), (1,)),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"), (1,)),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN", "SPARSE_TO_DENSE", "MULTINOMIAL"), (1,)),
    **dict.fromkeys(("FILL", "SPLIT", "TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"), (0,)),
    **dict.fromkeys(("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL"), (0,)),
    **dict.fromkeys(("SLICE", "SPLIT_V", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), (1, 2)),
    **dict.fromkeys(("SCATTER_ND", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"), (2,)),
    **dict.fromkeys(
        ("UNSORTED_SEGMENT_SUM", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_MIN"), (2,)
    ),
    "STRIDED_SLICE": (1, 2, 3),
    "RANGE": (0, 1, 2),
    "DILATE": (1, 2),
}
"""The inputs whose values say how large the output is."""

_BY_VALUES = {"WHERE": (0,), "UNIQUE": (0,), "SEGMENT_SUM": (1,), "EMBEDDING_LOOKUP_SPARSE": (0, 1, 2)}
"""Operators whose output is as large as the values of these inputs make it."""

_UNKNOWN = {"READ_VARIABLE", "SKIP_GRAM"}
"""Operators whose output may have another size each time."""

_RANDOM = {"RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL", *_UNKNOWN}


def claims(graph: Graph) -> str:
    """Say what in the file cannot be relied on, as words that follow `because`; empty if all can."""
    for subgraph in graph.subgraphs:
        if reason := _order(subgraph) or _loose(subgraph):
            return reason
    return _inputs(graph.main)


def idle(graph: Graph) -> str:
    """Say that the model computes nothing, if so: no output follows from an input but by a change of its shape."""
    renamed = set(graph.main.inputs)
    for operator in graph.main.operators:
        if operator.name in _RENAMES and operator.inputs[:1] and operator.inputs[0] in renamed:
            renamed |= set(operator.outputs)
    computed = fed(graph.main) - renamed
    if computed & set(graph.main.outputs):
        return ""
    return "it computes nothing: its outputs are its inputs, or do not depend on them"


def fed(subgraph: Subgraph) -> set[int]:
    """Give the tensors whose values depend on what the model is given, or on chance, and not on sizes alone."""
    found = set(subgraph.inputs) | {number for number, tensor in enumerate(subgraph.tensors) if tensor.variable}
    for operator in subgraph.operators:
        if operator.name not in _FROM_SIZES and (operator.name in _RANDOM or not found.isdisjoint(operator.inputs)):
            found |= set(operator.outputs)
    return found


def _order(subgraph: Subgraph) -> str:
    """Say which tensor is made twice or read before it is made; empty if none is.

    What has no values, and what is kept from one inference to the next, need not be made.
    """
    there = set(subgraph.inputs)
    for number, tensor in enumerate(subgraph.tensors):
        if tensor.data is not None or tensor.variable:
            if number in there:
                return f"its input '{tensor.name}' is stored in the file"
            there.add(number)
    computed = {index for operator in subgraph.operators for index in operator.outputs}
    empty = {number for number, tensor in enumerate(subgraph.tensors) if math.prod(tensor.shape) == 0}
    ready = there | (empty - computed)
    for operator in subgraph.operators:
        for index in operator.inputs:
            if index != -1 and index not in ready:
                return f"{operator.name} reads '{subgraph.tensor(index).name}' before it is made"
        for index in operator.outputs:
            if index in ready:
                return f"{operator.name} makes '{subgraph.tensor(index).name}', which is there already"
            ready.add(index)
    for index in subgraph.outputs:
        if index not in ready:
            return f"its output '{subgraph.tensor(index).name}' is never made"
    return ""


def _loose(subgraph: Subgraph) -> str:
    """Say which tensor's size depends on the values that the model is given; empty if none does."""
    values = fed(subgraph)
    for operator in subgraph.operators:
        loose = operator.name in _UNKNOWN or not values.isdisjoint(_sizing(operator))
        if loose and operator.outputs:
            return (
                f"the size of '{subgraph.tensor(operator.outputs[0]).name}', which {operator.name} makes, depends on "
                "the values that the model is given"
            )
    return ""


def _sizing(operator: Operator) -> Iterator[int]:
    for position in _SIZES.get(operator.name) or _BY_VALUES.get(operator.name, ()):
        if position < len(operator.inputs):
            yield operator.inputs[position]


def _inputs(main: Subgraph) -> str:
    """Say which input has a size that is not fixed, the number of inputs aside, or no values; empty if none has."""
    for index in main.inputs:
        tensor = main.tensor(index)
        if math.prod(tensor.shape) == 0:
            return f"its input '{tensor.name}' has no values: its shape is {_by(tensor.shape)}"
        if any(size < 0 for size in tensor.signature[1:]):
            return f"its input '{tensor.name}' has no fixed size: its shape is {_by(tensor.signature)}"
    return ""


def _by(shape: tuple[int, ...]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in shape)
