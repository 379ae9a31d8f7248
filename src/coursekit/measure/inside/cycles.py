"""Reads what `model.tflite` has to do and prints a `documents.Work`."""

from __future__ import annotations

from coursekit.measure.documents import Work
from coursekit.measure.inside import counting
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.claims import idle
from coursekit.measure.inside.graph import read
from coursekit.measure.inside.running import try_shapes
from coursekit.measure.inside.work import largest_bytes, steps, unbounded


def main() -> None:
    """Answer for the model in the working folder."""
    answer(work)


def work(model: bytes) -> Work:
    """Give the work of one model by the shapes that running it gives, or why it cannot be counted."""
    graph = read(model)
    if reason := _refusal(graph.custom_operators, counting.uncounted(graph) or unbounded(graph)):
        return Work(refusal=reason)
    shapes = try_shapes(model, graph)
    if isinstance(shapes, str):
        return Work(refusal=f"Its work cannot be counted, because {shapes}.")
    if reason := idle(graph):
        return Work(refusal=f"It has no work, because {reason}.")
    return Work(steps=steps(graph, shapes), largest_bytes=largest_bytes(graph, shapes))


def _refusal(custom: tuple[str, ...], uncounted: str) -> str:
    if custom:
        return f"The work of custom operators cannot be counted: {', '.join(custom[:10])}."
    return uncounted


if __name__ == "__main__":
    main()
