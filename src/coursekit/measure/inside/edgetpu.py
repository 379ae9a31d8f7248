"""Reads which operators of `model.tflite` have tensors that an Edge TPU can take, and prints a `documents.Places`.

By the requirements of Google's documentation: every tensor is 8-bit and quantized (the bias 32-bit), and of its
dimensions only the three innermost are larger than one. Sizes that are computed while the model runs are 32-bit numbers
and so are caught too; a size that the file leaves open is taken as running the model has it.
"""

from __future__ import annotations

from coursekit.errors import UnreadableWork
from coursekit.measure.documents import MAX_COUNT, Place, Places
from coursekit.measure.inside import counting
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.countable import countable
from coursekit.measure.inside.counting import Shapes
from coursekit.measure.inside.graph import Operator, Subgraph, Tensor, read
from coursekit.measure.inside.roofline import load

_QUANTIZED = {"int8", "uint8"}
_INNERMOST = 3


def main() -> None:
    """Answer for the model in the working folder."""
    answer(places)


def places(model: bytes) -> Places:
    """Give the operators of one model by the shapes that running it gives, or why they cannot be known."""
    graph = read(model)
    shapes = countable(model, graph)
    if isinstance(shapes, str):
        return Places(refusal=shapes)
    stored = {index for index, tensor in enumerate(graph.main.tensors) if tensor.data is not None}
    found = tuple(
        Place(load=load(operator, graph.main, shapes, stored), obstacle=_obstacle(operator, graph.main, shapes))
        for operator in graph.main.operators
    )
    if sum(each.load.macs + each.load.activation_bytes + each.load.weight_bytes for each in found) > MAX_COUNT:
        raise UnreadableWork("Your model is damaged: its tensors are larger than any memory.")
    return Places(
        places=found,
        input_bytes=sum(counting.tensor_bytes(graph.main, index, shapes) for index in graph.main.inputs),
        output_bytes=sum(counting.tensor_bytes(graph.main, index, shapes) for index in graph.main.outputs),
    )


def _obstacle(operator: Operator, main: Subgraph, shapes: Shapes) -> str:
    """Say what is in the way of mapping one operator; empty if nothing that can be seen from its tensors."""
    for index in (*operator.inputs, *operator.outputs):
        if index >= 0 and (reason := _wrong(main.tensor(index), shapes[index])):
            return reason
    return ""


def _wrong(tensor: Tensor, shape: tuple[int, ...]) -> str:
    if tensor.data is not None:
        return "" if tensor.dtype in {*_QUANTIZED, "int32"} else f"has constants of {tensor.dtype}"
    if tensor.dtype not in _QUANTIZED:
        return f"computes with {tensor.dtype}"
    if any(size > 1 for size in shape[:-_INNERMOST]):
        return "has a tensor with more than three dimensions larger than one"
    return ""


if __name__ == "__main__":
    main()
