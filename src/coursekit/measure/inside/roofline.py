"""Reads what each operator of `model.tflite` computes and moves, and prints a `documents.Demand`."""

from __future__ import annotations

from coursekit.errors import UnreadableWork
from coursekit.measure.documents import MAX_COUNT, Demand, Load
from coursekit.measure.inside import counting
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.countable import countable
from coursekit.measure.inside.counting import Shapes
from coursekit.measure.inside.graph import Graph, Operator, Subgraph, read

_RENAMES = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SHAPE"}
"""Operators that only change what a tensor's sizes are called."""

_UNPACKS = {"DEQUANTIZE", "DENSIFY"}
"""Operators by which a file stores weights smaller; of a constant they are done once, when the model is loaded."""


def main() -> None:
    """Answer for the model in the working folder."""
    answer(demand)


def demand(model: bytes) -> Demand:
    """Give the demand of one model by the shapes that running it gives, or why it cannot be counted."""
    graph = read(model)
    shapes = countable(model, graph)
    return Demand(refusal=shapes) if isinstance(shapes, str) else Demand(loads=loads(graph, shapes))


def loads(graph: Graph, shapes: Shapes) -> tuple[Load, ...]:
    """Give every operator of the main subgraph that runs for each inference, in the order in which they run."""
    stored = {index for index, tensor in enumerate(graph.main.tensors) if tensor.data is not None}
    found = []
    for operator in graph.main.operators:
        if operator.name in _UNPACKS and stored.issuperset(operator.inputs):
            stored.update(operator.outputs)
        else:
            found.append(load(operator, graph.main, shapes, stored))
    if sum(each.macs + each.activation_bytes + each.weight_bytes for each in found) > MAX_COUNT:
        raise UnreadableWork("Your model is damaged: its tensors are larger than any memory.")
    return tuple(found)


def load(operator: Operator, main: Subgraph, shapes: Shapes, stored: set[int]) -> Load:
    """Count one operator. Each value in the window of a pool counts as one multiply-accumulate."""
    inputs = [index for index in operator.inputs if index >= 0]
    computed = [index for index in inputs if index not in stored]
    typed = next(iter((*computed, *operator.outputs)), None)
    moved = () if operator.name in _RENAMES else (*computed, *operator.outputs)
    return Load(
        operator=operator.name,
        name=main.tensor(operator.outputs[0]).name if operator.outputs else "",
        dtype="" if typed is None else main.tensor(typed).dtype,
        depthwise=operator.name == "DEPTHWISE_CONV_2D",
        macs=counting.operator_macs(operator, shapes) + counting.pooled(operator, shapes),
        activation_bytes=sum(counting.tensor_bytes(main, index, shapes) for index in moved),
        weight_bytes=sum(counting.tensor_bytes(main, index, shapes) for index in {*inputs} & stored),
    )


if __name__ == "__main__":
    main()
