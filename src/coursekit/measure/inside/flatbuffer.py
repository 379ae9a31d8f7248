"""Reads what stands in `model.tflite` and prints a `documents.Anatomy`."""

from __future__ import annotations

from coursekit.measure.documents import Anatomy
from coursekit.measure.inside import counting
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.claims import idle
from coursekit.measure.inside.graph import Graph, read
from coursekit.measure.inside.running import try_shapes

_UNCOUNTED = "The multiply-accumulates cannot be counted, because "


def main() -> None:
    """Answer for the model in the working folder."""
    answer(anatomy)


def anatomy(model: bytes) -> Anatomy:
    """Give the figures of one model file."""
    graph = read(model)
    macs, note = _macs(model, graph)
    return Anatomy(
        weight_bytes=counting.weight_bytes(graph),
        parameters=counting.parameters(graph),
        operators=sum(len(subgraph.operators) for subgraph in graph.subgraphs),
        macs=macs,
        macs_note=note,
        zero_channels=counting.zero_channels(graph),
        float_tensors=counting.float_tensors(graph),
        dtypes=counting.dtypes(graph),
        inputs=counting.input_dtypes(graph),
        outputs=counting.output_dtypes(graph),
        custom_operators=graph.custom_operators,
    )


def _macs(model: bytes, graph: Graph) -> tuple[int | None, str]:
    """Count by the shapes that running the model gives; None with the reason where that would not be the whole."""
    if note := counting.uncounted(graph):
        return None, note
    shapes = try_shapes(model, graph)
    if isinstance(shapes, str):
        names = ", ".join(graph.custom_operators[:10])
        custom = f"The multiply-accumulates of custom operators cannot be counted: {names}."
        return None, custom if names else f"{_UNCOUNTED}{shapes}."
    if reason := idle(graph) or counting.disguised(graph, shapes):
        return None, f"{_UNCOUNTED}{reason}."
    return counting.macs(graph, shapes), ""


if __name__ == "__main__":
    main()
