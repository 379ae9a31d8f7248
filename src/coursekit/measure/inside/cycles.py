"""Reads what `model.tflite` has to do and prints a `documents.Work`."""

from __future__ import annotations

from coursekit.measure.documents import Work
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.countable import countable
from coursekit.measure.inside.graph import read
from coursekit.measure.inside.work import largest_bytes, steps


def main() -> None:
    """Answer for the model in the working folder."""
    answer(work)


def work(model: bytes) -> Work:
    """Give the work of one model by the shapes that running it gives, or why it cannot be counted."""
    graph = read(model)
    shapes = countable(model, graph)
    if isinstance(shapes, str):
        return Work(refusal=shapes)
    return Work(steps=steps(graph, shapes), largest_bytes=largest_bytes(graph, shapes))


if __name__ == "__main__":
    main()
