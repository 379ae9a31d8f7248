"""Whether a model's work can be counted, and by which shapes: what every program asks that prices work."""

from __future__ import annotations

from coursekit.measure.inside import counting
from coursekit.measure.inside.claims import idle
from coursekit.measure.inside.graph import Graph
from coursekit.measure.inside.running import try_shapes
from coursekit.measure.inside.work import unbounded


def countable(model: bytes, graph: Graph) -> list[tuple[int, ...]] | str:
    """Give the shapes that the main subgraph's tensors have when it runs, or the sentence that says why none hold."""
    if graph.custom_operators:
        return f"The work of custom operators cannot be counted: {', '.join(graph.custom_operators[:10])}."
    if reason := counting.uncounted(graph) or unbounded(graph):
        return reason
    shapes = try_shapes(model, graph)
    if isinstance(shapes, str):
        return f"Its work cannot be counted, because {shapes}."
    if reason := idle(graph):
        return f"It has no work, because {reason}."
    return shapes
