"""Reads what `model.tflite` has to do and prints a `documents.Work`."""

from __future__ import annotations

from coursekit.measure.documents import Work
from coursekit.measure.inside import counting
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.graph import read
from coursekit.measure.inside.running import try_shapes
from coursekit.measure.inside.work import largest_bytes, steps


def main() -> None:
    """Answer for the model in the working folder."""
    answer(work)


def work(model: bytes) -> Work:
    """Give the work of one model, by the shapes that running it gives; by its own where LiteRT cannot run it."""
    graph = read(model)
    if reason := refusal(graph.custom_operators, counting.uncounted(graph)):
        return Work(refusal=reason)
    shapes = try_shapes(model, graph)
    note = ""
    if isinstance(shapes, str):
        note = f"By the shapes that the file states, because LiteRT cannot run the model: {shapes}."
        shapes = list(counting.declared_shapes(graph))
    return Work(steps=steps(graph, shapes), largest_bytes=largest_bytes(graph, shapes), note=note)


def refusal(custom: tuple[str, ...], uncounted: str) -> str:
    """Say why the work of a model cannot be counted; empty if it can."""
    if custom:
        return f"The work of custom operators cannot be counted: {', '.join(custom[:10])}."
    return uncounted


if __name__ == "__main__":
    main()
